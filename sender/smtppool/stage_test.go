package smtppool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"broadside/sender/reply"
)

// stages are dialogues that stop where an answer is due.
var stages = []struct {
	stage   reply.Stage
	script  string
	wait    time.Duration // that RFC 5321 4.5.3.2 gives, or our own
	verdict reply.Verdict // of silence
}{
	{reply.Connect, "", 5 * time.Minute, reply.RetryLane},
	{reply.Ehlo, "S: 220 hi\nC: EHLO me.example\n", time.Minute, reply.RetryLane},
	{reply.Auth, hello("AUTH PLAIN") + "C: AUTH PLAIN AHUAcA==\n", time.Minute, reply.RetryLane},
	{reply.Mail, hello("AUTH PLAIN") + "C*\nS: 235 in\nC*\n", 5 * time.Minute, reply.RetryLane},
	{reply.Rcpt, hello("AUTH PLAIN") + "C*\nS: 235 in\nC*\nS: 250 ok\nC*\n", 5 * time.Minute, reply.RetryRecipient},
	{reply.Data, hello("AUTH PLAIN") + "C*\nS: 235 in\nC*\nS: 250 ok\nC*\nS: 250 ok\nC*\n", 2 * time.Minute, reply.RetryRecipient},
	{reply.Dot, hello("AUTH PLAIN") + "C*\nS: 235 in\nC*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\nC*\nC*\n", 10 * time.Minute, reply.Uncertain},
}

// deliver dials and sends one message, and returns the last reply.
func deliver(ctx context.Context, cfg Config) reply.Reply {
	c, err := Dial(ctx, cfg)
	var e *Error
	if errors.As(err, &e) {
		return e.Reply
	}
	defer c.Abort()
	if r := c.Envelope(ctx, "f@x.org", "t@x.org", 0); r != nil {
		return *r
	}

	return c.Body(ctx, []byte("hi\r\n")).Reply
}

func stageConfig() Config { return Config{Username: "u", Password: "p", Auth: "plain"} }

// A server that falls silent costs the time of its stage and no more, and
// the same when it lets a byte trickle in every second.
func TestSilenceAndDrip(t *testing.T) {
	t.Parallel()
	for _, tt := range stages {
		t.Run(string(tt.stage), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				r := deliver(t.Context(), scripted(t, stageConfig(), tt.script))
				if d := reply.Classify(r); r.Event != reply.ReadTimeout || r.Stage != tt.stage || d.Verdict != tt.verdict {
					t.Errorf("silence: got %s at %s, %s", r, r.Stage, d.Verdict)
				}
				if took := time.Since(start); took != tt.wait {
					t.Errorf("silence: took %s, want %s", took, tt.wait)
				}
			})
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				r := deliver(t.Context(), pipeTo(t, stageConfig(), func(conn net.Conn) {
					drip(t, conn, tt.script)
				}))
				if r.Event != reply.ReadTimeout || r.Stage != tt.stage {
					t.Errorf("drip: got %s at %s", r, r.Stage)
				}

				if took := time.Since(start); took != tt.wait {
					t.Errorf("drip: took %s, want %s", took, tt.wait)
				}
			})
		})
	}
}

// drip plays the script and goes on with an endless reply line, a byte a second.
func drip(t *testing.T, conn net.Conn, script string) {
	p := newPeer(t, conn)
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		if err := p.step(line[:2], strings.TrimPrefix(line[2:], " ")); err != nil {
			t.Errorf("server at %q: %v", line, err)
			return
		}
	}

	for _, err := io.WriteString(conn, "2"); err == nil; _, err = io.WriteString(conn, "2") {
		time.Sleep(time.Second)
	}
}

// A server that stops reading in the middle of a body.
func TestServerStopsReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := dialScript(t, Config{}, hello()+"C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\nC> 5000\nW")
		if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
			t.Fatal(r)
		}
		start := time.Now()
		out := c.Body(t.Context(), []byte(strings.Repeat("x", 20_000)))
		if out.Reply.Event != reply.WriteTimeout || out.Complete || time.Since(start) != 3*time.Minute {
			t.Errorf("got %+v after %s, want a write timeout after 3m", out, time.Since(start))
		}
	})
}

func TestDropAtEachStage(t *testing.T) {
	t.Parallel()
	for _, tt := range stages {
		t.Run(string(tt.stage), func(t *testing.T) {
			t.Parallel()
			r := deliver(t.Context(), scripted(t, stageConfig(), tt.script+"X"))
			if d := reply.Classify(r); r.Event != reply.EOF || r.Stage != tt.stage || d.Verdict != tt.verdict {
				t.Errorf("got %s at %s, %s; want eof at %s, %s", r, r.Stage, d.Verdict, tt.stage, tt.verdict)
			}
		})
	}
}

// The end of the context interrupts each stage at once.
func TestCancelAtEachStage(t *testing.T) {
	t.Parallel()
	for _, tt := range stages {
		t.Run(string(tt.stage), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				time.AfterFunc(7*time.Second, cancel)
				start := time.Now()
				r := deliver(ctx, scripted(t, stageConfig(), tt.script))
				want := reply.RetryLane
				if tt.stage == reply.Dot {
					want = reply.Uncertain
				}
				if d := reply.Classify(r); r.Event != reply.Cancelled || r.Stage != tt.stage || d.Verdict != want {
					t.Errorf("got %s at %s, %s; want cancelled, %s", r, r.Stage, d.Verdict, want)
				}
				if took := time.Since(start); took != 7*time.Second {
					t.Errorf("took %s, want 7s", took)
				}
			})
		})
	}
}

// A context that ends between two operations does not disturb the next one,
// which has another.
func TestCancelIsForgotten(t *testing.T) {
	t.Parallel()
	c := dialScript(t, Config{}, hello()+strings.Repeat("C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\nC*\nC*\nS: 250 ok\n", 3))
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		if r := c.Envelope(ctx, "f@x.org", "t@x.org", 0); r != nil {
			t.Fatal(r)
		}
		cancel()
		if out := c.Body(t.Context(), []byte("x\r\n")); !out.Reply.OK() {
			t.Fatal(out)
		}
	}
}

// Whatever a server sends, it is read up to a limit, and said in a short and
// printable line.
func TestHostileReplies(t *testing.T) {
	t.Parallel()
	endless := func(line string) func(io.Writer) {
		return func(w io.Writer) {
			for _, err := io.WriteString(w, line); err == nil; _, err = io.WriteString(w, line) {
			}
		}
	}
	attacks := map[string]func(io.Writer){
		"endless multi-line": endless("250-" + strings.Repeat("x", 200) + "\r\n"),
		"endless line":       endless("250 " + strings.Repeat("x", 1000)),
		"endless blanks":     endless("\r\n"),
		"NULs":               endless("\x00\x00\x00\x00"),
		"megabyte line":      func(w io.Writer) { _, _ = io.WriteString(w, "250 "+strings.Repeat("x", 1<<20)+"\r\n") },
		"terminal escapes":   func(w io.Writer) { _, _ = io.WriteString(w, "2\x1b[2J\r\n") },
	}
	for name, attack := range attacks {
		for _, tt := range stages {
			t.Run(fmt.Sprintf("%s/%s", name, tt.stage), func(t *testing.T) {
				t.Parallel()
				var sent atomic.Int64
				cfg := pipeTo(t, stageConfig(), func(conn net.Conn) {
					p := newPeer(t, conn)
					for line := range strings.Lines(tt.script) {
						line = strings.TrimSuffix(line, "\n")
						if err := p.step(line[:2], strings.TrimPrefix(line[2:], " ")); err != nil {
							t.Errorf("server at %q: %v", line, err)
						}
					}
					attack(countWriter{conn, &sent})
					_, _ = io.Copy(io.Discard, conn)
				})
				r := deliver(t.Context(), cfg)
				if r.Event != reply.BadReply || r.Stage != tt.stage {
					t.Errorf("got %s at %s, want bad_reply at %s", r, r.Stage, tt.stage)
				}

				if len(r.Text) > reply.MaxText || strings.ContainsAny(r.Text, "\x00\x1b\r\n") {
					t.Errorf("text %q", r.Text)
				}
				if n := sent.Load(); n > maxUnanswered+8192 {
					t.Errorf("read %d bytes, want at most about %d", n, maxUnanswered)
				}
			})
		}
	}
}

type countWriter struct {
	w io.Writer
	n *atomic.Int64
}

func (c countWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n.Add(int64(n))
	return n, err
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	refuse := func(err error) Config {
		return Config{Account: "main", Host: "smtp.example.com", Dial: func(context.Context, string, string) (net.Conn, error) { return nil, err }}
	}
	tests := []struct {
		name string
		cfg  Config
		want string // the event, and part of the message
		text string
	}{
		{"unknown host", refuse(&net.DNSError{Err: "no such host", Name: "smtp.example.com", IsNotFound: true}), reply.HostLookup, `no address is known for "smtp.example.com"`},
		{"timeout", refuse(&net.OpError{Op: "dial", Err: context.DeadlineExceeded}), reply.DialTimeout, "check host and port"},
		{"no host", Config{Account: "main"}, reply.Setup, "set host"},
		{"port", Config{Account: "main", Host: "h", Port: 70000}, reply.Setup, "port 70000"},
		{"tls", Config{Account: "main", Host: "h", TLS: "ssl"}, reply.Setup, `tls "ssl"`},
		{"auth", Config{Account: "main", Host: "h", Auth: "ntlm"}, reply.Setup, `auth "ntlm"`},
		{"auth without user", Config{Account: "main", Host: "h", Auth: "plain"}, reply.Setup, "without a username"},
		{"pipelining", Config{Account: "main", Host: "h", Pipelining: "on"}, reply.Setup, `pipelining "on"`},
		{"helo", Config{Account: "main", Host: "h", Helo: "a\r\nb"}, reply.Setup, "helo"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Dial(t.Context(), tt.cfg)
			var e *Error
			if !errors.As(err, &e) || e.Reply.Event != tt.want || !strings.Contains(err.Error(), tt.text) || !strings.Contains(err.Error(), "account main") {
				t.Errorf("got %v, want %s with %q", err, tt.want, tt.text)
			}
			if e != nil && e.Err != nil && !errors.Is(err, e.Err) {
				t.Error("the cause is not wrapped")
			}
		})
	}
}

// Nothing listens: a real socket says so.
func TestConnectionRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	_, err = Dial(t.Context(), Config{Account: "main", Host: "127.0.0.1", Port: port, TLS: TLSNone})
	var e *Error
	if !errors.As(err, &e) || e.Reply.Event != reply.ConnRefused || !strings.Contains(e.Hint, "nothing listens there") {
		t.Errorf("got %v, want refused", err)
	}
	if d := reply.Classify(e.Reply); d.Verdict != reply.RetryLane {
		t.Errorf("got %s, want %s", d.Verdict, reply.RetryLane)
	}
}

func TestRefusedBeforeLogin(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, script, want string
		verdict            reply.Verdict
	}{
		{"greeting 554", "S: 554-no\nS: 554 5.7.1 not you\n", "554 no 5.7.1 not you", reply.PauseLane},
		{"greeting 421", "S: 421 4.3.2 busy\n", "421 4.3.2 busy", reply.RetryLane},
		{"greeting 250", "S: 250 hi\n", "bad_reply: unexpected reply 250 hi", reply.RetryLane},
		{"EHLO and HELO refused", "S: 220 hi\nC: EHLO me.example\nS: 550 5.7.1 bad name\nC: HELO me.example\nS: 550 no\n", "550 5.7.1 bad name", reply.PauseLane},
		{"talks unasked", "S: 220 hi\nC: EHLO me.example\nS> 250 hi\\n250 what\\n\n", "bad_reply: the server spoke before it was asked", reply.RetryLane},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := deliver(t.Context(), scripted(t, Config{}, tt.script))
			if d := reply.Classify(r); r.String() != tt.want || d.Verdict != tt.verdict {
				t.Errorf("got %q, %s; want %q, %s", r, d.Verdict, tt.want, tt.verdict)
			}
		})
	}
}

// An old server without EHLO still takes mail.
func TestHELO(t *testing.T) {
	t.Parallel()
	r := deliver(t.Context(), scripted(t, Config{}, "S: 220 hi\nC: EHLO me.example\nS: 502 what\nC: HELO me.example\nS: 250 hi\n"+
		"C: MAIL FROM:<f@x.org>\nS: 250 ok\nC: RCPT TO:<t@x.org>\nS: 250 ok\nC: DATA\nS: 354 go\nC: hi\nC: .\nS: 250 done\n"))
	if r.String() != "250 done" {
		t.Errorf("got %s", r)
	}
}
