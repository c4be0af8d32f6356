package sink

import (
	"strconv"
	"time"
)

// message answers DATA: it reads the message, does with it what the Config
// asks for and replies; false closes the connection.
func (s *session) message() bool {
	if len(s.mail.to) == 0 {
		s.reply("503 5.5.1 no recipient was accepted")
		return true
	}
	s.reply("354 end with CRLF.CRLF")
	if s.flush() != nil {
		return false
	}
	cfg := &s.sink.cfg
	s.msg.reset(cfg.Out != "" || cfg.OnMessage != nil)
	s.data(true)
	err := readMessage(s.r, &s.msg)
	s.data(false)
	if err != nil {
		return false
	}
	if s.mail.drop {
		s.finish(DroppedAfterDot)
		return false
	}
	if s.msg.tooLarge() {
		s.finish(Refused)
		s.reply("552 5.3.4 message too large")
	} else if err := s.keep(); err != nil {
		s.sink.log.Error("store message", "err", err)
		s.finish(Refused)
		s.reply("451 4.3.0 message could not be stored")
	} else {
		s.finish(Accepted)
		s.reply("250 2.0.0 ok: queued as " + strconv.FormatUint(s.sink.sequence.Add(1), 16))
	}
	s.mail.reset()
	return true
}

// keep stores an accepted message and hands it on.
func (s *session) keep() error {
	if st := s.sink.store; st != nil {
		if err := st.put(s.mail.to[0], s.msg.data); err != nil {
			return err
		}
	}
	if f := s.sink.cfg.OnMessage; f != nil {
		f(Message{At: time.Now(), From: s.mail.from, To: s.mail.to, Data: s.msg.data})
	}
	return nil
}

// finish counts and records every recipient of the message.
func (s *session) finish(o Outcome) {
	s.sink.totals.outcomes[o].Add(int64(len(s.mail.to)))
	if o == Accepted {
		s.sink.totals.bytes.Add(int64(s.msg.size))
	}
	rec := s.sink.cfg.Record
	if rec == nil {
		return
	}
	e := Event{At: time.Now(), Outcome: o, From: s.mail.from, MessageID: s.msg.id(), Size: s.msg.size}
	for _, to := range s.mail.to {
		e.To = to
		rec(e)
	}
}
