package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Stages and actions of a fault. Not every action makes sense at every stage;
// the one that does not is as good as none.
var (
	stages  = []string{"listen", "connect", "ehlo", "mail", "rcpt", "data", "body", "dot", "quit"}
	actions = []string{"refuse", "hang", "drop", "forget", "421", "garbage", "endless", "long", "drip"}
)

// ending are the stages of a new connection: while one of them is at fault,
// connections that are open end with their message.
var (
	ending  = []string{"listen", "connect", "ehlo"}
	refusal = &fault{action: "refuse"}
)

const (
	longLine = 1 << 20               // bytes of the line of "long"
	dripRest = 20 * time.Millisecond // between two bytes of "drip"
)

// A fault is what the server does wrong at one stage until it is lifted:
//
//	refuse   (listen) nothing listens
//	hang     no reply; once lifted the dialogue goes on as if nothing had been
//	drop     the connection is closed without a reply; at dot the message is taken
//	forget   the same, and at dot the message is not taken
//	421      said, and the connection closed
//	garbage  a line that is no reply, then the reply
//	endless  lines of a reply that does not end
//	long     a reply line of 1 MiB
//	drip     replies leave one byte at a time
type fault struct {
	stage, action string
	every         int64 // of the times the stage is come to
	lifted        chan struct{}

	times, struck int64 // guarded by mu of faults
}

// faults has the fault that is in force.
type faults struct {
	mu  sync.Mutex
	now *fault
}

// at returns the fault that is to strike at a stage now; nil for none.
func (f *faults) at(stage string) *fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		return nil
	}
	if stage == "mail" && slices.Contains(ending, f.now.stage) {
		return refusal // so that there are new ones
	}
	if f.now.stage != stage {
		return nil
	}
	if f.now.times++; f.now.times%f.now.every != 0 {
		return nil
	}
	f.now.struck++
	return f.now
}

// struck returns how often the fault in force has struck.
func (f *faults) struck() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now == nil {
		return 0
	}
	return f.now.struck
}

// set puts a fault in force, nil for none, and lifts the one before.
func (f *faults) set(next *fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.now != nil {
		close(f.now.lifted)
	}
	f.now = next
}

// parseFault reads "STAGE ACTION [EVERY]".
func parseFault(words []string) (*fault, error) {
	f := &fault{every: 1, lifted: make(chan struct{})}
	switch len(words) {
	case 3:
		n, err := strconv.ParseInt(words[2], 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("fault %q, expected a number at its end", words)
		}
		f.every = n
		fallthrough
	case 2:
		f.stage, f.action = words[0], words[1]
	}
	if !slices.Contains(stages, f.stage) || !slices.Contains(actions, f.action) {
		return nil, fmt.Errorf("fault %q, expected one of %q and one of %q", words, stages, actions)
	}
	return f, nil
}

// control takes orders, one line on each connection: "fault STAGE ACTION
// [EVERY]", "clear", "struck", which is answered with how often the fault has
// struck so far, or "count", with the number of messages taken.
func (s *server) control(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return fmt.Errorf("accept control connection: %w", err)
		}
		line, _ := bufio.NewReader(c).ReadString('\n') // an empty order is refused
		answer, err := s.order(strings.Fields(line))
		if err != nil {
			answer = "error: " + err.Error()
		}
		_, _ = io.WriteString(c, answer+"\n") // who asked and left does not miss it
		c.Close()
	}
}

func (s *server) order(words []string) (string, error) {
	switch {
	case len(words) == 1 && words[0] == "count":
		return strconv.FormatInt(s.accepted.Load()+s.lost.Load(), 10), nil
	case len(words) == 1 && words[0] == "struck":
		return strconv.FormatInt(s.faults.struck(), 10), nil
	case len(words) == 1 && words[0] == "clear":
		s.faults.set(nil)
		return "ok", s.listen()
	case len(words) > 1 && words[0] == "fault":
		f, err := parseFault(words[1:])
		if err != nil {
			return "", err
		}
		s.faults.set(f)
		if f.stage == "listen" {
			return "ok", s.unlisten()
		}
		return "ok", nil
	}
	return "", fmt.Errorf("order %q, expected fault, clear, struck or count", words)
}

// strike does what a fault at a stage asks for; false closes the connection.
func (d *dialogue) strike(stage string) bool {
	f := d.s.faults.at(stage)
	if f == nil {
		return true
	}
	switch f.action {
	case "hang":
		d.w.Flush() // what was said before has left; an error shows at the next one
		<-f.lifted
	case "drop", "forget", "refuse":
		return false
	case "421":
		d.say("421 4.3.2 shutting down")
		return false
	case "garbage":
		d.say("\x00\xff\x1b[31m 25O maybe")
	case "endless":
		d.drone(f)
		return false
	case "long":
		d.say("250 " + strings.Repeat("x", longLine))
	case "drip":
		d.w.Flush()
		d.w = bufio.NewWriter(&dripper{d.c, f.lifted})
	}
	return true
}

// drone talks until no one listens or the fault is lifted.
func (d *dialogue) drone(f *fault) {
	for {
		select {
		case <-f.lifted:
			return
		default:
		}
		d.say("250-" + strings.Repeat("and another thing, ", 50))
		if d.w.Flush() != nil {
			return
		}
	}
}

// A dripper writes one byte at a time until it is lifted.
type dripper struct {
	w      io.Writer
	lifted chan struct{}
}

func (s *dripper) Write(p []byte) (int, error) {
	for n := range p {
		select {
		case <-s.lifted:
			k, err := s.w.Write(p[n:])
			return n + k, err
		case <-time.After(dripRest):
		}
		if _, err := s.w.Write(p[n : n+1]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}
