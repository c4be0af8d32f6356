package testkit

import (
	"bufio"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	oddEvery = 13 // messages, of which one is answered oddly
	// oddPatience is how long an OddServer waits for a client that waits for it.
	oddPatience = 700 * time.Millisecond
	// oddLate is how late the second reply of a late one is.
	oddLate = 2 * time.Millisecond
)

// An OddServer is an SMTP server in this process that answers some of its
// messages as no server should (oddities.go). It knows the truth: for which
// recipients it took a message.
type OddServer struct {
	odd    Oddity
	refuse func(to string) (rcpt, dot string)
	l      net.Listener
	wg     sync.WaitGroup

	mu       sync.Mutex
	conns    []net.Conn
	messages int // since the last odd one
	struck   int
	taken    map[string]int
}

// NewOddServer starts a server on a free port. refuse returns what it says to
// RCPT, and to the message, for an address; "" accepts.
func NewOddServer(t testing.TB, odd Oddity, refuse func(to string) (rcpt, dot string)) *OddServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &OddServer{odd: odd, refuse: refuse, l: l, taken: map[string]int{}}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for _, c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

// Addr returns 127.0.0.1:PORT.
func (s *OddServer) Addr() string { return s.l.Addr().String() }

// Took returns how many messages it took for each recipient.
func (s *OddServer) Took() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for to, n := range s.taken {
		out[to] = n
	}
	return out
}

// Struck returns how many messages were answered oddly.
func (s *OddServer) Struck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck
}

func (s *OddServer) accept() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, c)
		s.mu.Unlock()
		s.wg.Go(func() {
			defer c.Close()
			talk := &oddTalk{s: s, c: c, r: bufio.NewReader(c), first: true}
			talk.serve()
			talk.late.Wait()
		})
	}
}

// strikes counts a message and reports whether it is to be answered oddly: not
// the first of a connection, after which the server could be taken for one that
// never works.
func (s *OddServer) strikes(first bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.messages++
	if s.odd.Always || s.messages >= oddEvery && !first {
		s.messages = 0
		return true
	}
	return false
}

// An oddTalk is one connection. Replies leave together while more commands are
// at hand.
type oddTalk struct {
	s    *OddServer
	c    net.Conn
	r    *bufio.Reader
	late sync.WaitGroup

	mu  sync.Mutex
	out string // not sent yet; guarded by mu

	odd   bool // the message under way is answered oddly
	to    string
	first bool // no message has begun yet
	ended bool // by the oddity
}

// say adds to what is sent.
func (d *oddTalk) say(text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.out += text
}

func (d *oddTalk) flush() {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, _ = io.WriteString(d.c, d.out) // who has left misses it
	d.out = ""
}

// answer says the reply that is due at a stage, or what the oddity has instead.
func (d *oddTalk) answer(stage, due string) {
	if d.odd && d.s.odd.answer != nil {
		if said, strange := d.s.odd.answer(d, stage, due); strange {
			d.s.mu.Lock()
			d.s.struck++
			d.s.mu.Unlock()
			d.say(said)
			return
		}
	}
	if due != "" {
		d.say(due + "\r\n")
	}
}

func (d *oddTalk) serve() {
	d.say("220 odd.test ESMTP\r\n")
	for !d.ended {
		if d.r.Buffered() == 0 {
			d.flush()
		}
		_ = d.c.SetReadDeadline(time.Now().Add(oddPatience)) // fails only on a closed connection
		line, err := d.r.ReadString('\n')
		if err != nil {
			return
		}
		if !d.command(strings.TrimRight(line, "\r\n")) {
			break
		}
	}
	d.flush()
}

// command carries out one command; false ends the connection.
func (d *oddTalk) command(line string) bool {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "EHLO":
		d.say("250-odd.test\r\n250 PIPELINING\r\n")
	case "MAIL":
		d.odd, d.to = d.s.strikes(d.first), ""
		d.first = false
		d.answer("mail", "250 2.1.0 sender ok")
	case "RCPT":
		d.recipient(strings.TrimSuffix(strings.TrimPrefix(rest, "TO:<"), ">"))
	case "DATA":
		return d.data()
	case "RSET":
		d.to = ""
		d.answer("rset", "250 2.0.0 reset")
	case "QUIT":
		d.say("221 2.0.0 bye\r\n")
		return false
	default:
		d.say("502 5.5.2 what\r\n")
	}
	return true
}

func (d *oddTalk) recipient(to string) {
	due := "250 2.1.5 recipient ok"
	if refusal, _ := d.s.refuse(to); refusal != "" {
		due = refusal
	} else {
		d.to = to
	}
	d.answer("rcpt", due)
}

// data takes a message, or refuses it.
func (d *oddTalk) data() bool {
	if d.to == "" {
		d.say("503 5.5.1 RCPT first\r\n")
		return true
	}
	d.answer("data", "354 go ahead")
	d.flush()
	if d.ended {
		return false
	}
	if _, err := d.r.ReadString('\n'); err != nil {
		return false
	}
	_, due := d.s.refuse(d.to)
	d.answer("body", "")
	d.flush()
	if _, err := textproto.NewReader(d.r).ReadDotBytes(); err != nil {
		return false
	}
	if due == "" {
		due = "250 2.0.0 queued"
		d.s.mu.Lock()
		d.s.taken[d.to]++
		d.s.mu.Unlock()
	}
	d.answer("dot", due)
	return true
}
