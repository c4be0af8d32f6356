package smtppool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"broadside/sender/reply"

	"github.com/google/go-cmp/cmp"
)

// chain sends to one recipient after the other, the envelope of each with the
// body of the one before where may allows it, and says in a line for each what
// came of it. It ends with the connection.
func chain(ctx context.Context, c *Conn, may func(*Conn) bool, to ...string) (got []string) {
	const msg, from = "hi\r\n", "f@x.org"
	ahead := false
	for i, rcpt := range to {
		var r *reply.Reply
		if ahead {
			r = c.Answer(ctx)
		} else {
			r = c.Envelope(ctx, from, rcpt, 0)
		}

		ahead = false
		if r != nil {
			got = append(got, fmt.Sprintf("%s %s", r.Stage, r))
			if !c.Usable() {
				return got
			}
			continue
		}

		var out Outcome
		if i+1 < len(to) && may(c) {
			out = c.BodyAhead(ctx, []byte(msg), Next{From: from, To: to[i+1]})
			ahead = out.Ahead
		} else {
			out = c.Body(ctx, []byte(msg))
		}

		got = append(got, fmt.Sprintf("%s %s complete=%t", out.Reply.Stage, out.Reply, out.Complete))
		if !ahead && !c.Usable() {
			return got
		}
	}

	return got
}

// always lets every envelope go ahead.
func always(*Conn) bool { return true }

// Pieces of the server's side of a dialogue.
const (
	envelopeOK = "S: 250 ok\nS: 250 ok\nS: 354 go\n"
	hiBody     = "C: hi\nC: .\n"
)

func envelopeTo(name string) string {
	return "C: MAIL FROM:<f@x.org>\nC: RCPT TO:<" + name + ">\nC: DATA\n"
}

// Whatever the server says to a body and to the envelope that came with it,
// each reply is taken for what it answers.
func TestOverlap(t *testing.T) {
	t.Parallel()
	// The first message is under way, and the second one's envelope with it.
	begin := envelopeTo("a") + envelopeOK + hiBody + envelopeTo("b")
	last := hiBody + "S: 250 2\n"
	const idle = "mail idle_closed: the connection ended with the message before"
	tests := []struct {
		name   string
		script string // after EHLO
		to     string
		want   []string
		usable bool
	}{
		{
			name: "a line at a time", to: "a b c", usable: true,
			script: begin + "S: 250 1\n" + envelopeOK + hiBody + envelopeTo("c") + "S: 250 2\n" + envelopeOK + hiBody + "S: 250 3\n",
			want:   []string{"dot 250 1 complete=true", "dot 250 2 complete=true", "dot 250 3 complete=true"},
		},
		{
			name: "all at once", to: "a b", usable: true,
			script: begin + `S> 250 1\n250 ok\n250 ok\n354 go\n` + "\n" + last,
			want:   []string{"dot 250 1 complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "cut where no line ends", to: "a b", usable: true,
			script: begin + `S> 250-1\n25` + "\n" + `S> 0 2.0.0 one\n250 o` + "\n" + `S> k\n250 ok\n3` + "\n" + `S> 54 go\n` + "\n" + last,
			want:   []string{"dot 250 1 2.0.0 one complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "body deferred, next envelope accepted", to: "a b", usable: true,
			script: begin + "S: 451 4.3.0 later\n" + envelopeOK + last,
			want:   []string{"dot 451 4.3.0 later complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "body refused, next envelope accepted", to: "a b", usable: true,
			script: begin + "S: 554 5.7.1 spam\n" + envelopeOK + last,
			want:   []string{"dot 554 5.7.1 spam complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "421 to the body", to: "a b",
			script: begin + "S: 421 4.3.2 going down\n",
			want:   []string{"dot 421 4.3.2 going down complete=true", idle},
		},
		{
			name: "gone after the dot", to: "a b",
			script: begin + "X",
			want:   []string{"dot eof: EOF complete=true", idle},
		},
		{
			name: "garbage after the dot", to: "a b",
			script: begin + "S: 2500 ok\n",
			want:   []string{`dot bad_reply: expected an SMTP reply, got "2500 ok\r\n" complete=true`, idle},
		},
		{
			name: "354 after the dot", to: "a b",
			script: begin + "S: 354 go\n",
			want:   []string{"dot bad_reply: expected a final reply, got 354 go complete=true", idle},
		},
		{
			name: "next refused, its DATA with 503", to: "a b c", usable: true,
			script: begin + "S: 250 1\nS: 250 ok\nS: 550 5.1.1 no\nS: 503 no recipients\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + "S: 250 3\n",
			want: []string{"dot 250 1 complete=true", "rcpt 550 5.1.1 no", "dot 250 3 complete=true"},
		},
		{
			name: "next refused, its DATA with 554", to: "a b c d", usable: true,
			script: begin + "S: 250 1\nS: 250 ok\nS: 550 5.1.1 no\nS: 554 no valid recipients\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + envelopeTo("d") + "S: 250 3\n" + envelopeOK + hiBody + "S: 250 4\n",
			want: []string{"dot 250 1 complete=true", "rcpt 550 5.1.1 no", "dot 250 3 complete=true", "dot 250 4 complete=true"},
		},
		{
			name: "next refused, 354 all the same", to: "a b c", usable: true,
			script: begin + "S: 250 1\nS: 250 ok\nS: 550 5.1.1 no\nS: 354 go\n" + "C: .\nS: 554 no valid recipients\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + "S: 250 3\n",
			want: []string{"dot 250 1 complete=true", "rcpt 550 5.1.1 no", "dot 250 3 complete=true"},
		},
		{
			name: "next refused, 354 and 250 for nobody", to: "a b c", usable: true,
			script: begin + "S: 250 1\nS: 250 ok\nS: 450 4.2.1 busy\nS: 354 go\n" + "C: .\nS: 250 queued for nobody\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + "S: 250 3\n",
			want: []string{"dot 250 1 complete=true", "rcpt 450 4.2.1 busy", "dot 250 3 complete=true"},
		},
		{
			name: "next MAIL deferred", to: "a b c", usable: true,
			script: begin + "S: 250 1\nS: 451 4.3.0 later\nS: 503 need MAIL\nS: 503 need RCPT\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + "S: 250 3\n",
			want: []string{"dot 250 1 complete=true", "mail 451 4.3.0 later", "dot 250 3 complete=true"},
		},
		{
			name: "next DATA deferred", to: "a b c", usable: true,
			script: begin + "S: 250 1\nS: 250 ok\nS: 250 ok\nS: 451 4.3.0 later\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + "S: 250 3\n",
			want: []string{"dot 250 1 complete=true", "data 451 4.3.0 later", "dot 250 3 complete=true"},
		},
		{
			name: "421 to the next MAIL", to: "a b",
			script: begin + "S: 250 1\nS: 421 4.7.0 enough\n",
			want:   []string{"dot 250 1 complete=true", "mail 421 4.7.0 enough"},
		},
		{
			name: "421 to the next RCPT", to: "a b",
			script: begin + "S: 250 1\nS: 250 ok\nS: 421 4.7.0 enough\n",
			want:   []string{"dot 250 1 complete=true", "rcpt 421 4.7.0 enough"},
		},
		{
			name: "gone at the next MAIL", to: "a b",
			script: begin + "S: 250 1\nX",
			want:   []string{"dot 250 1 complete=true", "mail idle_closed: EOF"},
		},
		{
			name: "next refused, then gone", to: "a b",
			script: begin + "S: 250 1\nS: 250 ok\nS: 550 5.1.1 no\nX",
			want:   []string{"dot 250 1 complete=true", "rcpt 550 5.1.1 no"},
		},
		{
			name: "a recipient whose name is that of a pipelining fault", to: "a pipeline c", usable: true,
			script: envelopeTo("a") + envelopeOK + hiBody + envelopeTo("pipeline") + "S: 250 1\nS: 250 ok\nS: 550 no mailbox for pipeline here\nS: 503 no recipients\n" +
				"C: RSET\n" + envelopeTo("c") + "S: 250 ok\n" + envelopeOK + hiBody + "S: 250 3\n",
			want: []string{"dot 250 1 complete=true", "rcpt 550 no mailbox for pipeline here", "dot 250 3 complete=true"},
		},
		{
			name: "the same after the body", to: "pipeline b", usable: true,
			script: envelopeTo("pipeline") + envelopeOK + hiBody + envelopeTo("b") + "S: 550 no mailbox for Pipeline here\n" + envelopeOK + last,
			want:   []string{"dot 550 no mailbox for Pipeline here complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "a pipelining fault in words after the body", to: "a b",
			script: begin + "S: 550 5.5.0 Improper pipelining\n",
			want:   []string{"mail idle_closed: 550 5.5.0 Improper pipelining complete=false"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dialScript(t, Config{}, hello("PIPELINING")+tt.script)
			got := chain(t.Context(), c, always, strings.Fields(tt.to)...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.Usable() != tt.usable || c.pipeliningFault != "" && tt.usable {
				t.Errorf("usable %t, pipelining fault %q; want usable %t", c.Usable(), c.pipeliningFault, tt.usable)
			}
		})
	}
}

// slowConn says one byte at a time.
type slowConn struct{ net.Conn }

func (s slowConn) Write(p []byte) (int, error) {
	for i := range p {
		if n, err := s.Conn.Write(p[i : i+1]); err != nil {
			return i + n, err
		}
	}
	return len(p), nil
}

func TestOverlapByteByByte(t *testing.T) {
	t.Parallel()
	cfg := pipeTo(t, Config{}, func(conn net.Conn) {
		p := newPeer(t, conn)
		p.conn = slowConn{conn}
		p.play(hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + envelopeTo("b") + "S: 451 4.3.0 later\n" + envelopeOK + hiBody + "S: 250 2\n")
	})
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	want := []string{"dot 451 4.3.0 later complete=true", "dot 250 2 complete=true"}
	if diff := cmp.Diff(want, chain(t.Context(), c, always, "a", "b")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Answered tells whether Answer would not have to wait.
func TestAnswered(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		replies string
		want    bool
	}{
		{"S: 250 1\n" + envelopeOK, false},
		{`S> 250 1\n250 ok\n` + "\n" + `S> 250 ok\n354 go\n` + "\n", false},
		{`S> 250 1\n250-a\n250-b\n250 ok\n250 ok\n` + "\n" + `S> 354 go\n` + "\n", false},
		{`S> 250 1\n250 ok\n250 ok\n354 go\n` + "\n", true},
		{`S> 250-1\n250 1\n250-a\n250 ok\n250\n354 go\n` + "\n", true},
	} {
		c := dialScript(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+hiBody+envelopeTo("b")+tt.replies)
		if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
			t.Fatal(r)
		}
		if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Reply.OK() || !out.Ahead {
			t.Fatalf("%+v", out)
		}
		if got := c.answered(); got != tt.want {
			t.Errorf("%q: answered %t, want %t", tt.replies, got, tt.want)
		}
		if r := c.Answer(t.Context()); r != nil {
			t.Errorf("%q: %s", tt.replies, r)
		}
	}
}

// An overlapped message costs one write and one read.
func TestSystemCallsPerOverlappedMessage(t *testing.T) {
	t.Parallel()
	p, srv, reads, writes := countedPool(t)
	c := get(t, p)
	msg := []byte(strings.Repeat("0123456789\r\n", 2000))
	next := Next{From: "f@x.org", To: "t@x.org", Size: len(msg)}
	*reads = 0
	*writes = 0
	if r := c.Envelope(t.Context(), next.From, next.To, next.Size); r != nil {
		t.Fatal(r)
	}

	const n = 10
	for i := range n {
		if !p.Ahead(c) {
			t.Fatalf("message %d: no overlap", i)
		}
		if out := c.BodyAhead(t.Context(), msg, next); !out.Reply.OK() || !out.Ahead {
			t.Fatalf("message %d: %+v", i, out)
		}
		if r := c.Answer(t.Context()); r != nil {
			t.Fatalf("message %d: %s", i, r)
		}
	}

	if diff := cmp.Diff([]int{n + 1, n + 1}, []int{*writes, *reads}); diff != "" {
		t.Errorf("writes and reads for %d messages and an envelope (-want +got):\n%s", n, diff)
	}

	p.Discard(c)
	srv.wg.Wait()
}

// What the server can have of a message is exact, with an envelope behind it:
// it is complete as soon as its own last byte has gone.
func TestCompleteIsExactWithAnEnvelopeBehind(t *testing.T) {
	t.Parallel()
	msg := strings.Repeat("0123456789\r\n", 1000)
	size := len(msg) + len(".\r\n")
	all := size + len("MAIL FROM:<f@x.org>\r\nRCPT TO:<b>\r\nDATA\r\n")
	for _, taken := range []int{0, 1, 4096, size - 4, size - 1, size, size + 1, all - 1, all} {
		t.Run(fmt.Sprint(taken), func(t *testing.T) {
			t.Parallel()
			c := dialScript(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+fmt.Sprintf("C> %d\nX", taken))
			if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
				t.Fatal(r)
			}

			out := c.BodyAhead(t.Context(), []byte(msg), Next{From: "f@x.org", To: "b"})
			if out.Complete != (taken >= size) || out.Written != min(taken, size) {
				t.Errorf("the server took %d, the message has %d: got complete=%t, written %d", taken, size, out.Complete, out.Written)
			}

			want := reply.RetryRecipient
			if out.Complete {
				want = reply.Uncertain
			}
			if d := reply.Classify(out.Reply); d.Verdict != want {
				t.Errorf("%s: got %s, want %s", out.Reply, d.Verdict, want)
			}

			if out.Ahead {
				if r := c.Answer(t.Context()); r == nil || r.Event != reply.IdleClosed {
					t.Errorf("next: got %v, want %s", r, reply.IdleClosed)
				}
			}

			if c.Usable() || c.Alive() {
				t.Error("the connection goes on")
			}
		})
	}
}

// shortConn fails a write as TCP does when the server closes in the middle of it.
type shortConn struct {
	net.Conn
	good int // bytes until then
}

func (s *shortConn) Write(p []byte) (int, error) {
	if len(p) <= s.good {
		s.good -= len(p)
		return s.Conn.Write(p)
	}
	n, err := s.Conn.Write(p[:s.good])
	s.good = 0
	return n, errors.Join(err, &net.OpError{Op: "write", Err: syscall.EPIPE})
}

// A message that went is answered for, also when its connection took nothing
// of what stood behind it; the next one's envelope never arrived.
func TestEnvelopeBehindABodyDoesNotGo(t *testing.T) {
	t.Parallel()
	cfg := scripted(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+hiBody+"S: 250 1\nW")
	dial := cfg.Dial
	cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		good := len("EHLO me.example\r\nMAIL FROM:<f@x.org>\r\nRCPT TO:<a>\r\nDATA\r\nhi\r\n.\r\n")
		return &shortConn{Conn: conn, good: good}, err
	}
	c, err := Dial(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	got := chain(t.Context(), c, always, "a", "b")
	want := []string{"dot 250 1 complete=true", "mail idle_closed: the connection ended with the message before"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if c.Usable() || c.Alive() {
		t.Error("the connection goes on")
	}
}

// An envelope that Envelope would refuse keeps no body back, and goes nowhere.
func TestEnvelopeThatCannotGoAhead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		next Next
		want string // the event of Envelope
	}{
		{Next{From: "f@x.org", To: "b", Size: 1001}, reply.LocalSize},
		{Next{From: "f@x.org", To: "b>\r\nDATA"}, reply.LocalAddress},
		{Next{From: "f\n", To: "b"}, reply.LocalAddress},
		{Next{From: "f@x.org", To: "bä@x.org"}, reply.LocalSMTPUTF8},
	} {
		c := dialScript(t, Config{}, hello("PIPELINING", "SIZE 1000")+envelopeTo("a")+envelopeOK+hiBody+"S: 250 1\n"+envelopeTo("c")+envelopeOK)
		if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
			t.Fatal(r)
		}
		if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), tt.next); out.Ahead || !out.Reply.OK() {
			t.Errorf("%+v: got %+v, want the body alone", tt.next, out)
		}
		if r := c.Envelope(t.Context(), tt.next.From, tt.next.To, tt.next.Size); r == nil || r.Event != tt.want {
			t.Errorf("%+v: got %v, want %s", tt.next, r, tt.want)
		}
		if r := c.Envelope(t.Context(), "f@x.org", "c", 0); r != nil {
			t.Errorf("%+v: the connection does not go on: %s", tt.next, r)
		}
	}
}

// Where a connection does not overlap, or is at its end, the body goes alone.
func TestOverlaps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		cfg     Config
		offers  string
		prepare func(*Conn)
		want    bool
	}{
		{name: "auto", offers: "PIPELINING", want: true},
		{name: "not offered"},
		{name: "envelope", offers: "PIPELINING", cfg: Config{Pipelining: PipeliningEnvelope}},
		{name: "off", offers: "PIPELINING", cfg: Config{Pipelining: PipeliningOff}},
		{name: "one message left", offers: "PIPELINING", cfg: Config{MaxMessages: 2}, want: true},
		{name: "no message left", offers: "PIPELINING", cfg: Config{MaxMessages: 1}},
		{name: "old", offers: "PIPELINING", prepare: func(c *Conn) { c.born = time.Now().Add(-5 * time.Minute) }},
		{name: "not yet old", offers: "PIPELINING", prepare: func(c *Conn) { c.born = time.Now().Add(-4 * time.Minute) }, want: true},
		{name: "after a pipelining fault", offers: "PIPELINING", prepare: func(c *Conn) { c.pipeliningFault = "so" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := hello(tt.offers) + "C*\nC*\nC*\n" + envelopeOK + hiBody
			if tt.offers == "" || tt.cfg.Pipelining == PipeliningOff {
				script = hello(tt.offers) + "C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n" + hiBody
			}
			if tt.want {
				script += envelopeTo("b")
			}

			c := dialScript(t, tt.cfg, script+"S: 250 1\n")
			if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
				t.Fatal(r)
			}
			if tt.prepare != nil {
				tt.prepare(c)
			}

			got := c.Overlaps()
			out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"})
			if got != tt.want || out.Ahead != tt.want || !out.Reply.OK() {
				t.Errorf("overlaps %t, then %+v; want %t", got, out, tt.want)
			}
		})
	}
}

// While the replies to an envelope are due, nothing else may be sent.
func TestNothingIsSentBeforeTheAnswer(t *testing.T) {
	t.Parallel()
	script := hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + envelopeTo("b") + "S: 250 1\n"
	begin := func(t *testing.T) *Conn {
		c := dialScript(t, Config{}, script)
		if r := c.Answer(t.Context()); r == nil || r.Event != reply.ConnReset || !c.Usable() {
			t.Errorf("an answer that nobody waits for: %v, usable %t", r, c.Usable())
		}
		if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
			t.Fatal(r)
		}
		if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Ahead || !out.Reply.OK() {
			t.Fatalf("%+v", out)
		}
		if c.Usable() || !c.Alive() {
			t.Errorf("usable %t, alive %t with an envelope under way", c.Usable(), c.Alive())
		}

		return c
	}
	for name, misuse := range map[string]func(context.Context, *Conn) bool{
		"envelope": func(ctx context.Context, c *Conn) bool { return c.Envelope(ctx, "f@x.org", "c", 0) != nil },
		"body":     func(ctx context.Context, c *Conn) bool { return !c.Body(ctx, []byte("hi\r\n")).Reply.OK() },
		"quit":     func(ctx context.Context, c *Conn) bool { c.Quit(ctx); return true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := begin(t)
			if !misuse(t.Context(), c) || c.Alive() {
				t.Error("it was done, want the connection closed")
			}
		})
	}
}

// The end of the context interrupts the wait for an answer: that says nothing
// about the server.
func TestAnswerIsInterrupted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := dialScript(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+hiBody+envelopeTo("b")+"S: 250 1\nS: 250 ok\n")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		time.AfterFunc(7*time.Second, cancel)
		start := time.Now()
		if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil {
			t.Fatal(r)
		}
		if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Reply.OK() || !out.Ahead {
			t.Fatalf("%+v", out)
		}
		if r := c.Answer(ctx); r == nil || r.Event != reply.Cancelled || r.Stage != reply.Rcpt {
			t.Errorf("got %v, want %s", r, reply.Cancelled)
		}
		if took := time.Since(start); took != 7*time.Second || c.pipeliningFault != "" || c.Alive() && c.Usable() {
			t.Errorf("took %s, pipelining fault %q, usable %t; want 7s and none", took, c.pipeliningFault, c.Usable())
		}
	})
}

// scriptPool is a Pool whose connections play one script after the other. What
// it logs is in the buffer, once the Pool is closed.
func scriptPool(t *testing.T, cfg Config, scripts ...string) (*Pool, *bytes.Buffer) {
	t.Helper()
	var wg sync.WaitGroup
	cfg.Account = "test"
	cfg.Host = "127.0.0.1"
	cfg.Helo = "me.example"
	cfg.TLS = TLSNone
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
		if len(scripts) == 0 {
			return nil, errors.New("there is no other script")
		}

		client, server := net.Pipe()
		script := scripts[0]
		scripts = scripts[1:]
		wg.Go(func() {
			defer server.Close()
			newPeer(t, server).play(script)
		})

		return client, nil
	}
	var log bytes.Buffer
	p := New(cfg, unlimited(), slog.New(slog.NewTextHandler(&log, nil)))
	t.Cleanup(func() {
		if err := p.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if len(scripts) > 0 {
			t.Errorf("%d scripts were not played", len(scripts))
		}
	})

	return p, &log
}

const bye = "C: QUIT\nS: 221 bye\n"

// A server that does not follow overlap costs no recipient an attempt: the one
// whose envelope it did not follow is tried again at once. The server is spoken to
// without overlap for a day, and the log says so once.
func TestAPipeliningFaultEndsOverlapForADay(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, replies string // to the envelope
		took          time.Duration
	}{
		{"bad sequence", "S: 503 5.5.1 bad sequence of commands\nS: 503 no\nS: 503 no\n", 0},
		{"DATA refused for pipelining", "S: 250 ok\nS: 250 ok\nS: 503 5.5.0 <DATA>: Data command rejected: Improper use of SMTP command pipelining\n", 0},
		{"words alone", "S: 550 Improper Pipelining\nS: 503 no\nS: 503 no\n", 0},
		{"synchronization error", "S: 554 SMTP synchronization error\nX", 0},
		{"354 without MAIL", "S: 550 no\nS: 250 ok\nS: 354 go\n", 0},
		{"one reply too few", "S: 250 ok\nS: 354 go\n", 0},
		{"garbage", "S: what\n", 0},
		{"closed at the first try", "X", 0},
		{"thrown away", "", aheadTime},
		{"thrown away in part", "S: 250 ok\nS: 250 ok\n", 2 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				classic := hello("PIPELINING") + envelopeTo("b") + envelopeOK + hiBody + "S: 250 2\n" + envelopeTo("c") + envelopeOK + hiBody + "S: 250 3\n"
				again := hello("PIPELINING") + envelopeTo("d") + envelopeOK + hiBody + envelopeTo("e") + "S: 250 4\n" + envelopeOK + hiBody + "S: 250 5\n" + bye
				p, log := scriptPool(t, Config{}, hello("PIPELINING")+envelopeTo("a")+envelopeOK+hiBody+envelopeTo("b")+"S: 250 1\n"+tt.replies, classic, again)
				c := get(t, p)
				if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil || !p.Ahead(c) {
					t.Fatalf("%v, ahead %t", r, p.Ahead(c))
				}
				if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Reply.OK() || !out.Ahead {
					t.Fatalf("%+v", out)
				}

				start := time.Now()
				r := c.Answer(t.Context())
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %s, want %s", took, tt.took)
				}
				if r == nil || r.Event != reply.IdleClosed || !reply.Classify(*r).AtOnce || c.Alive() {
					t.Errorf("got %v, alive %t; want %s, the connection closed", r, c.Alive(), reply.IdleClosed)
				}

				p.Put(c)
				c = get(t, p)
				if got := chain(t.Context(), c, p.Ahead, "b", "c"); len(got) != 2 || got[1] != "dot 250 3 complete=true" {
					t.Errorf("after the pipelining fault: %q", got)
				}

				p.Put(c)
				if n := strings.Count(log.String(), "less pipelining"); n != 1 || !strings.Contains(log.String(), "pipelining=envelope for=24h0m0s") {
					t.Errorf("said %d times, want once:\n%s", n, log)
				}

				time.Sleep(demotion)
				c = get(t, p)
				if got := chain(t.Context(), c, p.Ahead, "d", "e"); len(got) != 2 || got[1] != "dot 250 5 complete=true" {
					t.Errorf("a day after the pipelining fault: %q", got)
				}

				p.Put(c)
			})
		})
	}
}

// Connections that were opened before the pipelining fault stop overlapping with it, and
// their own faults are no news.
func TestAPipeliningFaultIsNewsOnce(t *testing.T) {
	t.Parallel()
	fault := hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + envelopeTo("b") + "S: 250 1\nS: 503 bad sequence\nS: 503 no\nS: 503 no\n"
	fine := hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + envelopeTo("b") + "S: 250 1\n" + envelopeOK
	third := hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + "S: 250 1\n" + envelopeTo("b") + envelopeOK + hiBody + "S: 250 2\n" + bye
	p, log := scriptPool(t, Config{}, fine, fault, fault, third)
	first := get(t, p)
	second := get(t, p)
	late := get(t, p)
	alone := get(t, p)
	open := func(c *Conn) {
		if r := c.Envelope(t.Context(), "f@x.org", "a", 0); r != nil || !p.Ahead(c) {
			t.Fatalf("%v, ahead %t", r, p.Ahead(c))
		}
		if out := c.BodyAhead(t.Context(), []byte("hi\r\n"), Next{From: "f@x.org", To: "b"}); !out.Reply.OK() || !out.Ahead {
			t.Fatalf("%+v", out)
		}
	}
	open(first)
	if r := first.Answer(t.Context()); r != nil {
		t.Fatal(r)
	}

	open(second)
	open(late)
	for _, c := range []*Conn{second, late} {
		if r := c.Answer(t.Context()); r == nil || r.Event != reply.IdleClosed {
			t.Errorf("got %v, want %s", r, reply.IdleClosed)
		}
		p.Put(c)
	}

	if p.Ahead(first) || p.Ahead(alone) {
		t.Error("a connection overlaps after the pipelining fault")
	}
	if got := chain(t.Context(), alone, p.Ahead, "a", "b"); len(got) != 2 || got[1] != "dot 250 2 complete=true" {
		t.Errorf("without overlap: %q", got)
	}

	p.Discard(first)
	p.Put(alone)
	if n := strings.Count(log.String(), "less pipelining"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, log)
	}
}

// Overlap is tried on one connection until it is known to work: a server that
// does not follow has one uncertain message at most.
func TestOneConnectionTriesOverlap(t *testing.T) {
	t.Parallel()
	p, _ := newPool(t, Config{}, unlimited())
	ahead := func(conns ...*Conn) (got []bool) {
		for _, c := range conns {
			got = append(got, p.Ahead(c))
		}
		return got
	}
	expect := func(when string, got []bool, want ...bool) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	a := get(t, p)
	b := get(t, p)
	c := get(t, p)
	expect("at first", ahead(a, b, c, a), true, false, false, true)
	p.Put(a)
	expect("after the one that tried rests", ahead(b, c), true, false)
	p.Discard(b)
	expect("after the one that tried has died", ahead(c), true)
	if got := chain(t.Context(), c, always, "x", "y"); got[len(got)-1] != "dot 250 ok complete=true" {
		t.Fatal(got)
	}

	d := get(t, p)
	expect("after it worked", ahead(c, d), true, true)
	p.excess.Store(1)
	expect("while another process waits", ahead(c, d), false, false)
	p.excess.Store(0)
	p.Put(c)
	expect("after that one rests", ahead(d), true)
	p.Put(d)
}

// A server that ends its connections after the same number of messages twice
// is taken at its word: the last one before goes without a following envelope,
// and the connection ends politely.
func TestLimitOfAConnectionIsLearned(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, end, want string }{
		{"421", "S: 421 4.7.0 too many messages on this connection\n", "mail 421 4.7.0 too many messages on this connection"},
		{"closed", "X", "mail idle_closed: EOF"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				three := func(rest string) string {
					return hello("PIPELINING") + envelopeTo("a") + envelopeOK + hiBody + envelopeTo("b") + "S: 250 1\n" + envelopeOK +
						hiBody + envelopeTo("c") + "S: 250 2\n" + envelopeOK + hiBody + rest
				}
				cut := three(envelopeTo("d") + "S: 250 3\n" + tt.end)
				whole := three("S: 250 3\n" + bye)
				p, log := scriptPool(t, Config{}, cut, cut, whole, cut)
				sent := []string{"dot 250 1 complete=true", "dot 250 2 complete=true", "dot 250 3 complete=true"}
				for i, want := range [][]string{append(sent, tt.want), append(sent, tt.want), sent} {
					c := get(t, p)
					got := chain(t.Context(), c, p.Ahead, "a", "b", "c", "d")
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("connection %d (-want +got):\n%s", i+1, diff)
					}
					p.Put(c)
				}

				time.Sleep(demotion + time.Second)
				c := get(t, p)
				if got := chain(t.Context(), c, p.Ahead, "a", "b", "c", "d"); len(got) != 4 {
					t.Errorf("a day later: %q, want the limit tried again", got)
				}

				p.Put(c)
				if log.Len() > 0 {
					t.Errorf("log %s", log)
				}
			})
		})
	}
}

// A restart ends connections that are equally old after equally many messages:
// that is no limit of the server.
func TestARestartTeachesNoLimit(t *testing.T) {
	t.Parallel()
	var s steps
	born := time.Now().Add(-time.Minute)
	before := s.limit()
	s.ended(&Conn{born: born, transactions: 3})
	s.ended(&Conn{born: born, transactions: 3})
	if got := s.limit(); got != before {
		t.Errorf("limit %d learned from two connections that ended at once", got)
	}
}
