package testkit

import (
	"bufio"
	"io"
	"net"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An Answer is what a ScriptServer says at one stage of a dialogue.
type Answer struct {
	Text string        // without the end of the line; "": what a server says that takes everything
	Wait time.Duration // before it is said
	Drop bool          // the connection is closed without a word
}

// A Script decides about the reply to a command: "connect", "auth", "mail", "rcpt",
// "data", or "dot" for the message. to is the recipient, "" before RCPT. Connections
// ask it at the same time.
type Script func(stage, to string) Answer

// Taken is a message that a ScriptServer took.
type Taken struct {
	To string
	At time.Time
}

// A ScriptServer is an SMTP server in this process that says what a script tells it.
// It answers 421 and closes the connection when the script says so.
type ScriptServer struct {
	script Script
	l      net.Listener
	quit   chan struct{}
	wg     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
	taken []Taken
}

// NewScriptServer starts a server on a free port. It ends with the test.
func NewScriptServer(t testing.TB, script Script) *ScriptServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &ScriptServer{script: script, l: l, quit: make(chan struct{}), conns: map[net.Conn]bool{}}
	s.wg.Go(s.accept)
	t.Cleanup(s.end)
	return s
}

// Addr returns 127.0.0.1:PORT.
func (s *ScriptServer) Addr() string { return s.l.Addr().String() }

// Taken returns the messages that were taken so far, in their order.
func (s *ScriptServer) Taken() []Taken {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

func (s *ScriptServer) end() {
	close(s.quit)
	s.l.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *ScriptServer) accept() {
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns[c] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			talk := &scriptTalk{s: s, r: bufio.NewReader(c), w: bufio.NewWriter(c)}
			talk.serve()
			_ = talk.w.Flush() // the client may be gone
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

// A scriptTalk is one connection. Replies leave together while more commands are at
// hand.
type scriptTalk struct {
	s  *ScriptServer
	r  *bufio.Reader
	w  *bufio.Writer
	to string // the recipient that was taken last; "": none
}

func (k *scriptTalk) serve() {
	if !k.answer("connect", "", "220 script ESMTP") {
		return
	}
	for {
		if k.r.Buffered() == 0 && k.w.Flush() != nil {
			return
		}
		line, err := k.r.ReadString('\n')
		if err != nil || !k.command(strings.TrimRight(line, "\r\n")) {
			return
		}
	}
}

// command answers one command; false ends the connection.
func (k *scriptTalk) command(line string) bool {
	verb, _, _ := strings.Cut(line, " ")
	switch verb = strings.ToUpper(verb); verb {
	case "EHLO":
		k.to = ""
		return k.say("250-script\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES")
	case "AUTH":
		return k.answer("auth", "", "235 2.7.0 ok")
	case "MAIL":
		k.to = ""
		return k.answer("mail", "", "250 2.1.0 ok")
	case "RCPT":
		return k.rcpt(line)
	case "DATA":
		return k.data()
	case "RSET", "NOOP":
		k.to = ""
		return k.say("250 2.0.0 ok")
	case "QUIT":
		k.say("221 2.0.0 bye")
		return false
	}
	return k.say("502 5.5.1 not implemented")
}

func (k *scriptTalk) rcpt(line string) bool {
	_, to, _ := strings.Cut(line, "<")
	to, _, _ = strings.Cut(to, ">")
	a := k.s.script("rcpt", to)
	if a.Text == "" {
		k.to = to
	}
	return k.give(a, "250 2.1.5 ok")
}

// data takes a message, if there is a recipient for it.
func (k *scriptTalk) data() bool {
	if k.to == "" {
		return k.say("503 5.5.1 no recipient was taken")
	}
	to := k.to
	k.to = ""
	a := k.s.script("data", to)
	if !k.give(a, "354 go ahead") || k.w.Flush() != nil {
		return false
	}
	if a.Text != "" {
		return true
	}
	_, err := io.Copy(io.Discard, textproto.NewReader(k.r).DotReader())
	if err != nil {
		return false
	}

	a = k.s.script("dot", to)
	if a.Text == "" && !a.Drop {
		k.s.mu.Lock()
		k.s.taken = append(k.s.taken, Taken{to, time.Now()})
		k.s.mu.Unlock()
	}
	return k.give(a, "250 2.0.0 ok")
}

func (k *scriptTalk) answer(stage, to, usual string) bool {
	return k.give(k.s.script(stage, to), usual)
}

// give gives an answer; false ends the connection.
func (k *scriptTalk) give(a Answer, usual string) bool {
	if a.Wait > 0 {
		if k.w.Flush() != nil {
			return false
		}
		select {
		case <-time.After(a.Wait):
		case <-k.s.quit:
			return false
		}
	}
	switch {
	case a.Drop:
		return false
	case a.Text == "":
		return k.say(usual)
	}
	return k.say(a.Text) && !strings.HasPrefix(a.Text, "421")
}

func (k *scriptTalk) say(line string) bool {
	_, err := k.w.WriteString(line + "\r\n")
	return err == nil
}
