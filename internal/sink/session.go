package sink

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

const (
	idleTimeout  = 5 * time.Minute // RFC 5321, 4.5.3.2.7
	writeTimeout = time.Minute
	grace        = 5 * time.Second // for a message under way when the sink closes
	slowness     = 2 * time.Second // of slow@
	maxLine      = 2048            // bytes of a command; RFC 5321, 4.5.3.1.4 asks for 512
)

var (
	errClosing = errors.New("sink is closing")
	errTooLong = errors.New("command line too long")
)

// A session is the dialogue on one connection. One goroutine runs it; shut
// alone is called from others.
type session struct {
	sink *Sink
	conn net.Conn
	r    *bufio.Reader // reads through session.Read
	w    *bufio.Writer // to conn; replies wait here until the next read would block

	greeted bool
	mail    envelope
	msg     message

	mu      sync.Mutex // guards what follows, and the read deadline
	closing bool
	inData  bool
}

// An envelope is what MAIL and RCPT have said.
type envelope struct {
	open bool // MAIL was accepted
	from string
	to   []string
	utf8 bool // SMTPUTF8 was asked for
	slow bool // a slow@ is among the recipients
	drop bool // a drop-after-dot@ is among the recipients
}

func (e *envelope) reset() { *e = envelope{to: e.to[:0]} }

func newSession(s *Sink, c net.Conn) *session {
	ses := &session{sink: s, conn: c}
	ses.r = bufio.NewReaderSize(reader{ses}, 32<<10)
	ses.w = bufio.NewWriterSize(c, 4<<10)
	return ses
}

// run speaks until the client quits, the connection breaks or the sink closes.
func (s *session) run() {
	defer s.conn.Close()
	s.reply("220 localhost ESMTP Broadside sink")
	for {
		line, err := s.readLine()
		if err == nil && s.command(line) {
			continue
		}
		switch {
		case errors.Is(err, errClosing):
			s.reply("421 4.3.2 shutting down")
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.reply("421 4.4.2 idle for too long")
		case errors.Is(err, errTooLong):
			s.reply("500 5.5.6 line too long")
		}
		_ = s.flush() // the session is over either way
		return
	}
}

// readLine returns the next command without its line end. Replies leave
// before it waits. The line is valid until the next read.
func (s *session) readLine() ([]byte, error) {
	if b, _ := s.r.Peek(s.r.Buffered()); bytes.IndexByte(b, '\n') < 0 {
		if err := s.flush(); err != nil {
			return nil, err
		}
	}
	line, err := s.r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) || len(line) > maxLine {
		return nil, errTooLong
	}
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
}

// reply queues one reply line; errors show at the next flush.
func (s *session) reply(text string) {
	if s.mail.slow && s.flush() == nil {
		s.wait(slowness)
	}
	_, _ = s.w.WriteString(text)
	_, _ = s.w.WriteString("\r\n")
}

func (s *session) flush() error {
	if s.w.Buffered() == 0 {
		return nil
	}
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	return s.w.Flush()
}

// wait waits for d, or until the sink closes.
func (s *session) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.sink.quit:
	}
}

// A reader reads from the connection of its session with the deadline that
// holds at that moment.
type reader struct{ s *session }

func (r reader) Read(b []byte) (int, error) {
	s := r.s
	s.mu.Lock()
	if s.closing && !s.inData {
		s.mu.Unlock()
		return 0, errClosing
	}
	if !s.closing { // else shut has set the last deadline
		if err := s.conn.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
			s.mu.Unlock()
			return 0, err
		}
	}
	s.mu.Unlock()
	n, err := s.conn.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closing {
			return n, errClosing
		}
	}
	return n, err
}

// data says whether a message is being read.
func (s *session) data(under bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inData = under
}

// shut ends the session soon: at once when it waits for a command, within
// grace when a message is under way.
func (s *session) shut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	last := time.Now()
	if s.inData {
		last = last.Add(grace)
	}
	_ = s.conn.SetReadDeadline(last) // fails only when the connection is closed
}
