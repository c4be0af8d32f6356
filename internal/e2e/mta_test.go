package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// A mailServer is one that takes a whole campaign.
type mailServer struct {
	accounts string // YAML
	log      func() string
	arrived  func(n int) map[string]int // waits for n messages; by recipient
}

// TestMailServersFollow sends to the mail servers that people run with all the
// pipelining that they offer. None of them objects.
func TestMailServersFollow(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	for _, tt := range []struct {
		name   string
		offers bool // PIPELINING
		start  func(*testing.T) mailServer
	}{
		{"Postfix over TLS", true, func(t *testing.T) mailServer {
			p := testkit.Postfix(t, testkit.PostfixConfig{User: "news", Password: "correct-horse", Cert: certs.Valid})
			return mailServer{submission(p.Submission(), "starttls", "correct-horse", certs.CAFile), p.Log, func(n int) map[string]int {
				got := map[string]int{}
				for _, m := range p.WaitDelivered(n, time.Minute) {
					got[m.To]++
				}
				return got
			}}
		}},
		{"exim", true, func(t *testing.T) mailServer {
			s := testkit.Exim(t, certs.Valid)
			return queueing(s, account("exim", s.Addr(), ""))
		}},
		{"exim over TLS", true, func(t *testing.T) mailServer {
			s := testkit.Exim(t, certs.Valid)
			yaml := strings.Replace(account("exim", s.Addr(), ""), "tls: none", "tls: starttls", 1)
			return queueing(s, yaml+"    ca_file: "+certs.CAFile+"\n")
		}},
		{"OpenSMTPD", false, func(t *testing.T) mailServer {
			s := testkit.OpenSMTPD(t)
			return queueing(s, account("opensmtpd", s.Addr(), ""))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			said := s.takesAll(t, 500)
			if want := fmt.Sprintf(`"pipelining":%t`, tt.offers); !strings.Contains(said, want) {
				t.Errorf("no connection had %s:\n%s", want, said)
			}
			if found := ahead.FindString(s.log()); found != "" {
				t.Errorf("the server's log has %q", found)
			}
			if strings.Contains(said, fellBack) {
				t.Errorf("the worker pipelines less")
			}
		})
	}
}

func queueing(s *testkit.MailServer, accounts string) mailServer {
	return mailServer{accounts, s.Log, func(n int) map[string]int { return s.WaitAccepted(n, time.Minute) }}
}

// ahead finds what servers log of a client that sends ahead where it must not.
var ahead = regexp.MustCompile(`(?i)pipelin|synchroni[sz]ation|improper`)

// fellBack is what a worker says when it pipelines less.
const fellBack = "less pipelining from now on"

// takesAll sends to everybody over 5 connections, checks that everybody is
// accepted and got one message, and returns the worker's log.
func (s mailServer) takesAll(t *testing.T, people int) string {
	t.Helper()
	w := newWorld(t, setup{people: people, accounts: s.accounts + "    pipelining: auto\n    limits: {connections: 5}\n"})
	worker := w.worker()
	d := w.finished(w.launch(), time.Minute)
	if d.Counts["accepted"] != int64(people) {
		t.Errorf("not all accepted: %+v", d)
	}
	exactlyOnce(t, s.arrived(people), people, pattern, 0)
	return worker.Output()
}

// TestServerThatDoesNotFollow puts in front of an exim that does not offer
// PIPELINING something that does. It follows as long as the final dot is the
// end of what it is sent; else exim has it all at once, and objects. No one
// suffers from it, and the worker says once what it does about it.
func TestServerThatDoesNotFollow(t *testing.T) {
	t.Parallel()
	s := testkit.Exim(t, testkit.Certs(t).Valid, "pipelining_advertise_hosts = :")
	f := newFront(t, s.Addr())
	said := queueing(s, account("front", f.l.Addr().String(), "")).takesAll(t, 200)
	overlaps, objections := int(f.overlaps.Load()), strings.Count(s.Log(), "synchronization error")
	if overlaps == 0 || objections != overlaps {
		t.Errorf("the server objected %d times to %d overlapped envelopes, want as many, and some", objections, overlaps)
	}
	if got := strings.Count(said, fellBack); got != 1 {
		t.Errorf("the worker said %d times that it pipelines less, want once", got)
	}
}

// A front is a proxy that offers PIPELINING for a server that does not: it
// hands on one command at a time, but what comes behind a final dot as it is.
type front struct {
	l        net.Listener
	to       string
	overlaps atomic.Int64 // final dots that had something behind them
	done     sync.WaitGroup
}

func newFront(t *testing.T, to string) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{l: l, to: to}
	f.done.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			f.done.Go(func() { f.serve(c) })
		}
	})
	t.Cleanup(func() { // the worker is gone by then, and its connections with it
		l.Close()
		f.done.Wait()
	})
	return f
}

func (f *front) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer server.Close()
	commands, replies := bufio.NewReaderSize(client, 1<<17), bufio.NewReader(server)
	code, ok := answer(client, replies, "")
	for ok && code != "221" {
		command, err := commands.ReadBytes('\n')
		if err != nil {
			return
		}
		if code == "354" {
			for err == nil && !bytes.HasSuffix(command, []byte("\n.\r\n")) {
				var line []byte
				line, err = commands.ReadBytes('\n')
				command = append(command, line...)
			}
			if n := commands.Buffered(); n > 0 {
				f.overlaps.Add(1)
				rest, _ := commands.Peek(n)
				if _, err := server.Write(append(command, rest...)); err == nil {
					_, _ = io.Copy(client, replies) // until the server closes
				}
				return
			}
		}
		if _, err := server.Write(command); err != nil {
			return
		}
		code, ok = answer(client, replies, string(command))
	}
}

// answer passes one reply on and returns its code.
func answer(client io.Writer, replies *bufio.Reader, command string) (code string, ok bool) {
	for {
		line, err := replies.ReadString('\n')
		if err != nil || len(line) < 5 {
			return "", false
		}
		if strings.HasPrefix(command, "EHLO") && strings.HasPrefix(line, "250-8BITMIME") {
			line += "250-PIPELINING\r\n"
		}
		if _, err := io.WriteString(client, line); err != nil {
			return "", false
		}
		if line[3] == ' ' {
			return line[:3], true
		}
	}
}
