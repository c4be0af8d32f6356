package smtppool

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/sender/reply"
)

// goAhead lets an envelope go ahead on a new connection of the pool, behind a
// message to a.
func goAhead(t *testing.T, p *Pool, to string) *Conn {
	t.Helper()
	return goAheadTo(t, p, "a", to)
}

func goAheadTo(t *testing.T, p *Pool, one, to string) *Conn {
	t.Helper()
	c := get(t, p)
	if r := c.Envelope(t.Context(), "f@x.org", one, 0); r != nil || !p.Ahead(c) {
		t.Fatalf("%v, ahead %t", r, p.Ahead(c))
	}
	if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: to}); !out.Reply.OK() || !out.Ahead {
		t.Fatalf("%+v", out)
	}
	return c
}

// unanswered waits in vain for the answer to what went ahead.
func unanswered(t *testing.T, p *Pool, c *Conn) {
	t.Helper()
	if r := c.Answer(t.Context()); r == nil || r.Event != reply.IdleClosed || !reply.Classify(*r).AtOnce || c.Alive() {
		t.Fatalf("got %v, alive %t; want %s, the connection closed", r, c.Alive(), reply.IdleClosed)
	}
	p.Put(c)
}

// silent is the script of goAhead and unanswered; the server says some replies.
func silent(to, replies string) string {
	return hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + envelopeTo(to) + "S: 250 1\n" + replies
}

// overlapped is the script of a connection that carries two with overlap.
func overlapped(one, two string) string {
	return hello("PIPELINING") + envelopeTo(one) + envelopeOK + hiBody + envelopeTo(two) + "S: 250 1\n" + envelopeOK + hiBody + "S: 250 2\n"
}

// oneByOne is the script of a connection that carries them without.
func oneByOne(to ...string) string {
	s := hello("PIPELINING")
	for _, rcpt := range to {
		s += envelopeTo(rcpt) + envelopeOK + hiBody + "S: 250 ok\n"
	}
	return s
}

// expectSent sends with as much overlap as the pool allows.
func expectSent(t *testing.T, p *Pool, to ...string) {
	t.Helper()
	c := get(t, p)
	got := chain(t.Context(), c, p.Ahead, to...)
	if len(got) != len(to) || !strings.HasPrefix(got[len(got)-1], "dot 250 ") {
		t.Errorf("to %s: %q", to, got)
	}
	p.Discard(c)
}

// lateConn is late with what is read next.
type lateConn struct {
	net.Conn
	lag time.Duration
}

func (l *lateConn) Read(p []byte) (int, error) {
	time.Sleep(l.lag) // in a bubble
	l.lag = 0
	return l.Conn.Read(p)
}

// latePool is a scriptPool whose connections can be late.
func latePool(t *testing.T, scripts ...string) (*Pool, *bytes.Buffer) {
	p, log := scriptPool(t, Config{}, scripts...)
	dial := p.cfg.Dial
	p.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		return &lateConn{Conn: conn}, err
	}
	return p, log
}

// late lets the server take its time over the next reply.
func late(c *Conn, lag time.Duration) { c.raw.(*lateConn).lag = lag }

// A server that does not answer what went ahead, and is as slow when the same
// envelope comes by itself, does follow: overlap goes on, and nothing is said.
func TestASlowServerIsNoPipeliningFault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, replies string // to the envelope, both times
		late          bool   // it answers when it comes by itself, but not soon
		want          string // of the envelope by itself
	}{
		{"at MAIL", "", false, "mail read_timeout: read pipe: i/o timeout"},
		{"at RCPT", "S: 250 ok\n", false, "rcpt read_timeout: read pipe: i/o timeout"},
		{"at DATA", "S: 250 ok\nS: 250 ok\n", false, "data read_timeout: read pipe: i/o timeout"},
		{"after a minute", "", true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				alone := tt.replies
				if tt.late {
					alone = envelopeOK
				}

				p, log := latePool(t, silent("b", tt.replies), hello("PIPELINING")+envelopeTo("b")+alone, overlapped("c", "d"))
				unanswered(t, p, goAhead(t, p, "b"))
				c := get(t, p)
				if p.Ahead(c) {
					t.Error("overlap goes on before it is known why there was no answer")
				}

				if tt.late {
					late(c, aheadTime)
				}

				got := ""
				if r := c.Envelope(t.Context(), "f@x.org", "b", 0); r != nil {
					got = string(r.Stage) + " " + r.String()
				}
				if got != tt.want {
					t.Errorf("by itself: got %q, want %q", got, tt.want)
				}

				p.Discard(c)
				expectSent(t, p, "c", "d")
				if log.Len() > 0 {
					t.Errorf("log %s", log)
				}
			})
		})
	}
}

// What became of other envelopes tells nothing about the one that was not
// answered: a server may be slow for one recipient alone. Nothing goes ahead
// until it is known, or a quarter of an hour has passed.
func TestAnotherEnvelopeTellsNothingOfTheSilentOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p, log := scriptPool(t, Config{}, silent("b", ""), oneByOne("c", "d"), hello("PIPELINING")+envelopeTo("b")+"X", oneByOne("e", "g"), overlapped("h", "i"))
		unanswered(t, p, goAhead(t, p, "b"))
		start := time.Now()
		expectSent(t, p, "c", "d")
		c := get(t, p)
		if r := c.Envelope(t.Context(), "f@x.org", "b", 0); r == nil || r.Event != reply.EOF {
			t.Errorf("got %v, want %s", r, reply.EOF)
		}

		p.Put(c)
		expectSent(t, p, "e", "g")
		time.Sleep(suspicion - time.Since(start))
		expectSent(t, p, "h", "i")
		if log.Len() > 0 {
			t.Errorf("log %s", log)
		}
	})
}

// A server that has thrown an envelope away is found out also by a connection
// that was open before, and by a refusal. What is not answered in the meantime on
// another connection changes nothing.
func TestAnEnvelopeThrownAwayIsFoundOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		open := hello("PIPELINING") + envelopeTo("x") + envelopeOK + hiBody + "S: 250 1\n" +
			envelopeTo("b") + "S: 250 ok\nS: 550 5.1.1 no such user\nS: 503 no\nC: RSET\n" + envelopeTo("y") + "S: 250 ok\n" + envelopeOK
		p, log := scriptPool(t, Config{MaxAge: time.Hour}, overlapped("v", "w"), open, silent("b", "S: 250 ok\n"), silent("z", "S: 250 ok\n"))
		expectSent(t, p, "v", "w") // overlap is known to work then
		c := get(t, p)
		if r := c.Envelope(t.Context(), "f@x.org", "x", 0); r != nil {
			t.Fatal(r)
		}

		first := goAhead(t, p, "b")
		second := goAhead(t, p, "z")
		unanswered(t, p, first)
		unanswered(t, p, second)
		if out := c.Body(t.Context(), []byte("hi\r\n")); !out.Reply.OK() {
			t.Error(out.Reply)
		}
		if log.Len() > 0 {
			t.Errorf("before it is known: log %s", log)
		}
		if r := c.Envelope(t.Context(), "f@x.org", "b", 0); r == nil || r.Code != 550 {
			t.Errorf("got %v, want 550", r)
		}
		if want := `level=WARN msg="less pipelining from now on" account=test pipelining=envelope for=24h0m0s reason="BS-ACCOUNT-PIPELINING: `; strings.Count(log.String(), want) != 1 {
			t.Errorf("log %s, want once %s", log, want)
		}

		time.Sleep(suspicion)
		if r := c.Envelope(t.Context(), "f@x.org", "y", 0); r != nil || p.Ahead(c) {
			t.Errorf("%v, ahead %t: want no overlap", r, p.Ahead(c))
		}

		p.Discard(c)
	})
}

// A server that is late with the replies to what went ahead is taken to wait for
// our acknowledgement; one that takes as long over the message itself is not.
func TestALateAnswerIsAcknowledgedAtOnceFromThenOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		body, answer time.Duration // that the server takes
		want         bool
	}{
		{"all at once", 0, 0, false},
		{"a slow message", time.Second, 0, false},
		{"soon", 0, stall, false},
		{"late", 0, stall + time.Millisecond, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				p, _ := latePool(t, overlapped("a", "b"))
				c := get(t, p)
				if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil || !p.Ahead(c) {
					t.Fatalf("%v, ahead %t", r, p.Ahead(c))
				}

				late(c, tt.body)
				if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Reply.OK() || !out.Ahead {
					t.Fatalf("%+v", out)
				}

				late(c, tt.answer)
				if r := c.Answer(t.Context()); r != nil {
					t.Fatal(r)
				}
				if got := p.steps.holds.Load(); got != tt.want {
					t.Errorf("replies are taken to be held back: %t, want %t", got, tt.want)
				}
				if out := c.Body(t.Context(), []byte("hi\r\n")); !out.Reply.OK() {
					t.Error(out.Reply)
				}

				p.Discard(c)
			})
		})
	}
}

// The last reply is here when its line is.
func TestHalfALineIsNoAnswer(t *testing.T) {
	t.Parallel()
	c := dialScript(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+hiBody+envelopeTo("b")+`S> 250 1\n250 ok\n250 ok\n354 g`+"\n"+`S> o\n`+"\n")
	if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
		t.Fatal(r)
	}
	if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Reply.OK() || !out.Ahead {
		t.Fatalf("%+v", out)
	}
	if c.answered() {
		t.Error("half a line is taken for a reply")
	}
	if r := c.Answer(t.Context()); r != nil {
		t.Error(r)
	}
}

// Only a permanent refusal of commands is one of the pipelining.
func TestTheWordsOfAPipeliningFault(t *testing.T) {
	t.Parallel()
	c := &Conn{from: "f@x.org", to: "b@x.org", before: "a@x.org"}
	for text, want := range map[string]bool{
		"554 SMTP synchronization error":              true,
		"503 5.5.0 Improper PIPELINING":               true,
		"550 5.5.1 pipelining not supported":          true,
		"451 4.3.0 the delivery pipeline is busy":     false,
		"451 the delivery pipeline is busy":           false,
		"550 5.7.1 rejected by the filter pipeline":   false,
		"550 5.1.1 sales pipeline is no mailbox here": false,
		"550 5.5.1 no such command":                   false,
		"250 pipelined":                               false,
	} {
		r, err := reply.Parse(text)
		if err != nil {
			t.Fatal(err)
		}

		if got := c.outOfStep(r); got != want {
			t.Errorf("%s: a pipelining fault %t, want %t", text, got, want)
		}
	}

	if r := reply.Lost(reply.Mail, reply.EOF, "554 SMTP synchronization error"); c.outOfStep(r) {
		t.Error("an event of ours is taken for the server's words")
	}
}

// A server that does not follow without overlap either is sent one command at a
// time, whatever is found out later on a connection that was open before. After
// a day all is tried again, on one connection first.
func TestAPipeliningFaultWithoutOverlapEndsPipelining(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const no = "S: 554 SMTP synchronization error\nX"
		step := hello("PIPELINING") + "C: MAIL FROM:<f@x.org>\nS: 250 ok\nC: RCPT TO:<d>\nS: 250 ok\nC: DATA\nS: 354 go\n" + hiBody + "S: 250 1\n"
		again := hello("PIPELINING") + envelopeTo("e") + envelopeOK + hiBody + envelopeTo("g") + "S: 250 1\n" + envelopeOK
		p, log := scriptPool(t, Config{}, overlapped("v", "w"), silent("b", no), silent("z", no), silent("y", envelopeOK), hello("PIPELINING")+envelopeTo("c")+no, step, again, hello("PIPELINING"))
		expectSent(t, p, "v", "w") // overlap works
		first := goAhead(t, p, "b")
		second := goAhead(t, p, "z")
		third := goAhead(t, p, "y")
		unanswered(t, p, first)
		if r := third.Answer(t.Context()); r != nil || p.Ahead(third) {
			t.Errorf("%v, ahead %t; want an answer, which changes nothing", r, p.Ahead(third))
		}

		p.Discard(third)
		c := get(t, p)
		if r := c.Envelope(t.Context(), "f@x.org", "c", 0); r == nil || r.Event != reply.IdleClosed || !reply.Classify(*r).AtOnce {
			t.Errorf("got %v, want %s", r, reply.IdleClosed)
		}

		p.Put(c)
		unanswered(t, p, second)
		expectSent(t, p, "d")
		var modes []string
		for line := range strings.Lines(log.String()) {
			_, mode, _ := strings.Cut(line, " pipelining=")
			mode, reason, _ := strings.Cut(mode, " reason=")
			if modes = append(modes, mode); !strings.Contains(reason, "554 SMTP synchronization error") {
				t.Errorf("without what the server said: %s", line)
			}
		}

		if diff := cmp.Diff([]string{"envelope for=24h0m0s", "off for=24h0m0s"}, modes); diff != "" {
			t.Errorf("said (-want +got):\n%s", diff)
		}

		time.Sleep(demotion)
		c = goAheadTo(t, p, "e", "g")
		other := get(t, p)
		if p.Ahead(other) {
			t.Error("a second connection overlaps before it is known to work again")
		}

		if r := c.Answer(t.Context()); r != nil {
			t.Error(r)
		}
		if !p.Ahead(other) {
			t.Error("no overlap after it worked")
		}

		p.Discard(c)
		p.Discard(other)
	})
}

// The connection that tries overlap goes on doing so while others come and go.
func TestATrialOutlivesOtherConnections(t *testing.T) {
	t.Parallel()
	p, _ := newPool(t, Config{}, unlimited())
	trial := get(t, p)
	other := get(t, p)
	if !p.Ahead(trial) || p.Ahead(other) {
		t.Fatal("want one connection to try")
	}

	p.Put(other)
	if other = get(t, p); p.Ahead(other) || !p.Ahead(trial) {
		t.Error("another connection tries as well")
	}

	p.Discard(other)
	if other = get(t, p); p.Ahead(other) || !p.Ahead(trial) {
		t.Error("another connection tries as well")
	}

	p.Discard(other)
	p.Discard(trial)
}

// A connection whose trial came to nothing is one like others afterwards: its
// end is no pipelining fault once overlap is known to work.
func TestATrialThatRestedIsOver(t *testing.T) {
	t.Parallel()
	rested := hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + "S: 250 1\n" +
		envelopeTo("b") + envelopeOK + hiBody + envelopeTo("c") + "S: 250 2\nX"
	p, log := scriptPool(t, Config{}, rested, overlapped("d", "e"))
	c := get(t, p)
	other := get(t, p)
	if !p.Ahead(c) {
		t.Fatal("want this connection to try")
	}
	if got := chain(t.Context(), c, never, "a"); len(got) != 1 || got[0] != "dot 250 1 complete=true" {
		t.Fatal(got)
	}

	p.Put(c)
	if got := chain(t.Context(), other, p.Ahead, "d", "e"); len(got) != 2 || got[1] != "dot 250 2 complete=true" {
		t.Fatal(got)
	}

	p.Discard(other)
	c = get(t, p)
	got := chain(t.Context(), c, p.Ahead, "b", "c")
	if diff := cmp.Diff([]string{"dot 250 2 complete=true", "mail idle_closed: EOF"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	p.Put(c)
	if log.Len() > 0 {
		t.Errorf("log %s", log)
	}
}

// never keeps every envelope back.
func never(*Conn) bool { return false }
