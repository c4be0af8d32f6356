package mailbox

import (
	"context"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"broadside/configs"
)

func dialTo(address string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
}

// A cutter cuts connections at one of the commands that are sent on them: before the
// server has it, or when the server has answered it.
type cutter struct {
	at     int64 // which command, from 1
	before bool
	sent   atomic.Int64
}

func (c *cutter) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &cutConn{Conn: conn, cutter: c}, nil
}

type cutConn struct {
	net.Conn
	cutter *cutter
}

func (c *cutConn) Write(b []byte) (int, error) {
	if c.cutter.sent.Add(1) >= c.cutter.at && c.cutter.before {
		c.Close()
		return 0, io.ErrClosedPipe
	}
	return c.Conn.Write(b)
}

func (c *cutConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err == nil && c.cutter.sent.Load() >= c.cutter.at {
		c.Close() // the answer is lost
		return 0, io.ErrUnexpectedEOF
	}
	return n, err
}

// TestACutAtAnyCommandLosesNothing cuts the connection at each command in turn.
func TestACutAtAnyCommandLosesNothing(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		capability string
		box        func(s *setting) configs.Mailbox
	}{
		{"MOVE", "", func(s *setting) configs.Mailbox { return s.mailbox("imap", s.dovecot.IMAP, "/INBOX?move=Processed") }},
		{"COPY and UID EXPUNGE", withoutMove, func(s *setting) configs.Mailbox {
			return s.mailbox("imap", s.dovecot.IMAP, "/INBOX?move=Processed")
		}},
		{"flags", "", func(s *setting) configs.Mailbox { return s.mailbox("imap", s.dovecot.IMAP, "/INBOX") }},
		{"POP3", "", func(s *setting) configs.Mailbox { return s.mailbox("pop3", s.dovecot.POP3, "") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := arrange(t, tt.capability)
			box := tt.box(s)
			cuts := 0
			for _, before := range []bool{true, false} {
				for at := int64(1); ; at++ {
					c := &cutter{at: at, before: before}
					s.cutAt(box, c)
					if c.sent.Load() < at {
						break // it came to its end
					}
					cuts++
				}
			}
			if cuts < 10 {
				t.Errorf("%d cuts, want one for each command", cuts)
			}
		})
	}
}

// cutAt polls a mailbox with new messages through a connection that is cut, and then
// through a good one.
func (s *setting) cutAt(box configs.Mailbox, c *cutter) {
	s.t.Helper()
	want := []string{"one", "three", "two"}
	s.sink.stored = nil
	for name := range s.dovecot.Messages("INBOX") {
		if unmarked(name) {
			s.t.Fatalf("the mailbox still has %s", name)
		}
	}
	for _, subject := range []string{"one", "two", "three"} {
		s.dovecot.Deliver("INBOX", letter(subject))
	}

	s.poller(box).dials(c.dial).Poll(s.t.Context())
	stored := s.sink.subjects()
	kept := s.unmarked()
	for _, subject := range want {
		if !slices.Contains(stored, subject) && !slices.Contains(kept, subject) {
			s.t.Errorf("cut at command %d (before it: %t): %s is marked and was not stored", c.at, c.before, subject)
		}
	}

	s.poll(s.poller(box))
	stored = s.sink.subjects()
	slices.Sort(stored)
	expect(s.t, "stored", slices.Compact(stored), want...)
	expect(s.t, "not marked", s.unmarked())
}

// unmarked returns the subjects of messages in the inbox that no one has marked.
func (s *setting) unmarked() []string {
	var subjects []string
	for name, text := range s.dovecot.Messages("INBOX") {
		if unmarked(name) {
			first, _, _ := strings.Cut(text, "\r\n")
			subjects = append(subjects, strings.TrimPrefix(first, "Subject: "))
		}
	}
	return subjects
}

// unmarked reports whether a file of a maildir has no flag.
func unmarked(name string) bool {
	_, flags, _ := strings.Cut(name, ":2,")
	return flags == ""
}
