package smtppool

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"broadside/sender/reply"

	"github.com/google/go-cmp/cmp"
)

// overTCP is a Config whose connection is a socket, on which a script is
// played, under TLS from the first byte if it is asked for.
func overTCP(t *testing.T, cfg Config, script string) Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}

	done := make(chan struct{})
	secure := cfg.TLS == TLSImplicit
	go func() {
		defer close(done)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if secure {
			cert := testCA().issue(t, mxHost, time.Now().Add(time.Hour))
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		}

		(&peer{t: t, raw: conn, conn: conn, r: bufio.NewReader(conn)}).play(script)
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	if secure {
		cfg.Host = mxHost
		cfg.RootCAs = testCA().pool
	} else {
		cfg.Host = "127.0.0.1"
		cfg.TLS = TLSNone
	}

	cfg.Account = "test"
	cfg.Helo = "me.example"
	cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, l.Addr().String())
	}

	return cfg
}

// heard waits until something is there that was not read.
func heard(t *testing.T, c *Conn) {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); c.quiet(); {
		if time.Now().After(until) {
			t.Fatal("the server says nothing")
		}
	}
}

// What the server says where nothing can have been asked is found on the
// socket, in clear and under TLS, and is no one's reply.
func TestNothingIsReadAsAnAnswerThatCameUnasked(t *testing.T) {
	t.Parallel()
	first := envelopeTo("a") + envelopeOK + hiBody + "S: 250 1\n"
	for _, tt := range []struct {
		name, script string
		inBody       bool // it comes before the second body, else before its envelope
	}{
		{"before MAIL", first + "S: 550 5.1.1 no such user\n", false},
		{"behind the reply, in one segment", strings.TrimSuffix(first, "S: 250 1\n") + `S> 250 1\n550 5.1.1 no such user\n` + "\n", false},
		{"before the body", first + envelopeTo("b") + envelopeOK + "S: 550 5.1.1 no such user\n", true},
		{"with the 354", first + envelopeTo("b") + "S: 250 ok\nS: 250 ok\n" + `S> 354 go\n550 5.1.1 no such user\n` + "\n", true},
	} {
		for _, mode := range []string{TLSNone, TLSImplicit} {
			t.Run(tt.name+", tls "+mode, func(t *testing.T) {
				t.Parallel()
				c, err := Dial(t.Context(), overTCP(t, Config{TLS: mode}, hello("PIPELINING")+tt.script))
				if err != nil {
					t.Fatal(err)
				}
				defer c.Abort()
				if got := chain(t.Context(), c, always, "a"); len(got) != 1 || got[0] != "dot 250 1 complete=true" {
					t.Fatal(got)
				}

				if tt.inBody {
					if r := c.Envelope(t.Context(), "f@x.org", "b", 0); r != nil {
						t.Fatal(r)
					}
				}

				heard(t, c)
				var got reply.Reply
				if tt.inBody {
					out := c.Body(t.Context(), []byte("hi\r\n"))
					if got = out.Reply; out.Written > 0 || out.Complete {
						t.Errorf("%d bytes were written", out.Written)
					}
				} else if r := c.Envelope(t.Context(), "f@x.org", "b", 0); r != nil {
					got = *r
				}

				if d := reply.Classify(got); got.Event != reply.IdleClosed || !d.AtOnce || c.Desync() == "" || c.Alive() {
					t.Errorf("got %s (%s), desync %q; want the connection ended and no recipient charged", got, d.Verdict, c.Desync())
				}
			})
		}
	}
}

// A connection on which nothing was said is quiet, and stays as it is.
func TestALookTakesNothing(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{TLSNone, TLSImplicit} {
		script := hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + "S: 250 1\n" + envelopeTo("b") + envelopeOK + hiBody + "S: 250 2\n"
		c, err := Dial(t.Context(), overTCP(t, Config{TLS: mode}, script))
		if err != nil {
			t.Fatal(err)
		}

		for _, to := range []string{"a", "b"} {
			for range 3 {
				if !c.quiet() {
					t.Errorf("tls %s: something was said", mode)
				}
			}
			if got := chain(t.Context(), c, always, to); len(got) != 1 || !strings.HasPrefix(got[0], "dot 250 ") {
				t.Errorf("tls %s: %q", mode, got)
			}
		}

		c.Abort()
	}
}

// A large body ends where the server answers it early; what became of it is
// unknown.
func TestABodyThatIsAnsweredEarly(t *testing.T) {
	t.Parallel()
	c, err := Dial(t.Context(), overTCP(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+"C> 1000\nS: 550 5.1.1 no such user\nW"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
		t.Fatal(r)
	}

	out := c.Body(t.Context(), []byte(strings.Repeat("0123456789\r\n", 8<<20/12)))
	if d := reply.Classify(out.Reply); out.Complete || out.Written == 0 || d.Verdict != reply.Uncertain || c.Alive() {
		t.Errorf("got %s (%s), complete %t, %d written", out.Reply, d.Verdict, out.Complete, out.Written)
	}
}

// apart sends to a and b, the envelope of b by itself behind the message to a,
// and returns what came of it.
func apart(t *testing.T, c *Conn) (got []string) {
	t.Helper()
	if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
		t.Fatal(r)
	}

	out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b", Apart: true})
	if out.Ahead || !out.Apart {
		t.Fatalf("got %+v, want the envelope apart", out)
	}

	got = append(got, out.Reply.String())
	if r := c.Answer(t.Context()); r != nil {
		got = append(got, r.String())
	}

	return got
}

// With an envelope right behind it, ahead or apart, a reply too many or too few is
// found before the outcome of the message is final.
func TestTheStepIsFoundLost(t *testing.T) {
	t.Parallel()
	const ok, no, serial, sent = "S: 250 ok\n", "S: 550 5.1.1 no\n", true, "C: hi\nC: .\n"
	for _, tt := range []struct {
		name, replies string // to the message and to the envelope
		one           bool   // commands one by one, else at once
		lost          bool
	}{
		{"in order", ok + envelopeOK + hiBody + ok, false, false},
		{"next refused", ok + ok + no + "S: 503 no\n", false, false},
		{"next refused at MAIL", ok + no + "S: 503 no\nS: 503 no\n", false, false},
		{"next answered with no reply of SMTP", ok + ok + "S: 399 what\nX", false, false},
		{"next answered with 354 at RCPT", ok + ok + "S: 354 go\nX", false, true},
		{"two replies, refused first", no + ok + ok + ok, false, true},
		{"two replies, accepted first", ok + no + ok + ok, false, true},
		{"two replies, next refused", ok + no + ok + no, false, true},
		{"none", ok + ok + "S: 354 go\n", false, true},
		{"none, next refused", ok + no + "S: 503 no\nX", false, true},
		{"one by one, in order", ok + "C*\n" + ok + "C*\n" + ok + "C*\nS: 354 go\n", serial, false},
		{"one by one, next refused", ok + "C*\n" + ok + "C*\n" + no + "C*\nS: 503 no\n", serial, false},
		{"one by one, refused first", no + "C*\n" + ok + "C*\n" + ok + "C*\n" + ok, serial, true},
		{"one by one, accepted first", ok + "C*\n" + no + "C*\n" + ok, serial, true},
		{"one by one, next refused at MAIL", ok + "C*\n" + no + "C: QUIT\nS: 221 bye\n", serial, false},
		{"one by one, late at RCPT", ok + "C*\n" + ok + "C*\n" + no + "C*\n" + ok, serial, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{}
			script := hello("PIPELINING") + envelopeTo("a") + envelopeOK + sent + envelopeTo("b") + tt.replies
			if tt.one {
				cfg.Pipelining = PipeliningOff
				script = hello("PIPELINING") + "C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n" + sent + tt.replies
			}

			c := dialScript(t, cfg, script)
			var got []string
			if tt.one {
				got = apart(t, c)
			} else {
				got = chain(t.Context(), c, always, "a", "b")
			}

			if lost := c.Desync() != ""; lost != tt.lost {
				t.Errorf("%q; desync %q, want lost %t", got, c.Desync(), tt.lost)
			}
			if tt.lost && (len(got) != 2 || !strings.Contains(got[1], reply.IdleClosed)) {
				t.Errorf("%q, want the next one charged with nothing", got)
			}
		})
	}
}

// A message that nothing follows is asked about: a second reply to it makes it
// uncertain, and everything else leaves it as it was.
func TestConfirm(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script, want string
		usable             bool
	}{
		{"accepted", "S: 250 1\nC: RSET\nS: 250 ok\n", "250 1", true},
		{"accepted, no RSET", "S: 250 1\nC: RSET\nS: 502 what\n", "250 1", true},
		{"accepted, then gone", "S: 250 1\nC: RSET\nX", "250 1", false},
		{"accepted, then 421", "S: 250 1\nC: RSET\nS: 421 bye\n", "250 1", false},
		{"accepted, then refused", "S: 250 1\nC: RSET\nS: 554 no\n", "bad_reply: the message was answered twice: 250 1, then 554 no", false},
		{"accepted, then nonsense", "S: 250 1\nC: RSET\nS: what\n", `bad_reply: expected an SMTP reply, got "what\r\n"`, false},
		{"refused", "S: 550 5.1.1 no\nC: QUIT\nS: 221 bye\n", "550 5.1.1 no", false},
		{"refused, then gone", "S: 550 5.1.1 no\nC: QUIT\nX", "550 5.1.1 no", false},
		{"refused twice", "S: 550 5.1.1 no\nC: QUIT\nS: 550 5.1.1 no\n", "550 5.1.1 no", false},
		{"deferred, then accepted", "S: 451 later\nC: QUIT\nS: 250 1\n", "bad_reply: the message was answered twice: 451 later, then 250 1", false},
		{"refused, then accepted", "S: 550 5.1.1 no\nC: QUIT\nS: 250 1\n", "bad_reply: the message was answered twice: 550 5.1.1 no, then 250 1", false},
		{"unknown", "S: 354 go\n", "bad_reply: expected a final reply, got 354 go", false},
		{"good-bye", "S: 221 bye\n", "bad_reply: expected a final reply, got 221 bye", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dialScript(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+hiBody+tt.script)
			if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
				t.Fatal(r)
			}
			out := c.Confirm(t.Context(), c.Body(t.Context(), []byte("hi\r\n")))
			if diff := cmp.Diff(tt.want, out.Reply.String()); diff != "" || out.Reply.Stage != reply.Dot || c.Usable() != tt.usable {
				t.Errorf("at %s, usable %t (-want +got):\n%s", out.Reply.Stage, c.Usable(), diff)
			}
		})
	}
}

// A permanent refusal of DATA behind which the 354 still comes is none.
func TestARefusalOfDataIsMadeSure(t *testing.T) {
	t.Parallel()
	first := envelopeTo("a") + envelopeOK + hiBody + "S: 250 1\n" + envelopeTo("b") + "S: 250 ok\nS: 250 ok\nS: 554 no\nC: RSET\n"
	for name, tt := range map[string]struct{ rest, want string }{
		"refused":      {"S: 250 ok\n", "data 554 no"},
		"and accepted": {"S: 354 go\n", "mail idle_closed: RSET was refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dialScript(t, Config{Pipelining: PipeliningEnvelope}, hello("PIPELINING")+first+tt.rest)
			got := chain(t.Context(), c, func(*Conn) bool { return false }, "a", "b")
			if len(got) != 2 || !strings.HasPrefix(got[1], tt.want) && !strings.HasPrefix(got[1], "mail idle_closed: expected 250, got 354") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if strings.HasPrefix(got[1], "data") != (tt.want == "data 554 no") {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
