package sink

import "strconv"

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
	s.msg.reset(s.sink.cfg.Out != "" || s.sink.cfg.Record != nil)
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
	} else if err := s.store(); err != nil {
		s.sink.log.Error("message not stored", "err", err)
		s.finish(Refused)
		s.reply("451 4.3.0 message could not be stored")
	} else {
		s.finish(Accepted)
		s.reply("250 2.0.0 ok: queued as " + strconv.FormatUint(s.sink.sequence.Add(1), 16))
	}
	s.mail.reset()
	return true
}

// store keeps an accepted message as a file, if that was asked for.
func (s *session) store() error {
	if s.sink.store == nil {
		return nil
	}
	return s.sink.store.put(s.mail.to[0], s.msg.data)
}

// finish counts and records every recipient of the message.
func (s *session) finish(o Outcome) {
	s.sink.totals.outcomes[o].Add(int64(len(s.mail.to)))
	if o == Accepted {
		s.sink.totals.bytes.Add(int64(s.msg.size))
	}
	for _, to := range s.mail.to {
		s.record(Event{Outcome: o, From: s.mail.from, To: to, Size: s.msg.size, Data: s.msg.data})
	}
}
