package smtppool

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"broadside/sender/reply"

	"github.com/google/go-cmp/cmp"
)

// send runs one transaction and says in one line what came of it.
func send(ctx context.Context, c *Conn, to, msg string) string {
	if r := c.Envelope(ctx, "news@example.com", to, len(msg)); r != nil {
		return fmt.Sprintf("%s %s", r.Stage, r)
	}
	out := c.Body(ctx, []byte(msg))
	return fmt.Sprintf("%s %s complete=%t", out.Reply.Stage, out.Reply, out.Complete)
}

func TestTransactions(t *testing.T) {
	t.Parallel()
	const (
		mail  = "C: MAIL FROM:<news@example.com>\n"
		ok    = "S: 250 ok\n"
		data  = "C: DATA\n"
		enter = "S: 354 go\n"
		body  = "C: hi\nC: .\n"
	)
	rcpt := func(to string) string { return "C: RCPT TO:<" + to + ">\n" }
	all := func(to string) string { return mail + rcpt(to) + data }
	serial := func(to string) string { return mail + ok + rcpt(to) + ok + data + enter }
	tests := []struct {
		name   string
		pipe   bool
		mode   string // Config.Pipelining
		script string
		to     string // recipients
		want   []string
		usable bool
	}{
		{
			name: "pipelined", pipe: true, to: "a@x.org b@x.org", usable: true,
			script: all("a@x.org") + ok + ok + enter + body + "S: 250 2.0.0 queued as 1\n" + all("b@x.org") + ok + ok + enter + body + "S: 250 queued as 2\n",
			want:   []string{"dot 250 2.0.0 queued as 1 complete=true", "dot 250 queued as 2 complete=true"},
		},
		{
			name: "one by one", to: "a@x.org b@x.org", usable: true,
			script: serial("a@x.org") + body + "S: 250 1\n" + serial("b@x.org") + body + "S: 250 2\n",
			want:   []string{"dot 250 1 complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "pipelining off", pipe: true, mode: PipeliningOff, to: "a@x.org", usable: true,
			script: serial("a@x.org") + body + "S: 250 1\n",
			want:   []string{"dot 250 1 complete=true"},
		},
		{
			name: "multi-line replies", pipe: true, to: "a@x.org", usable: true,
			script: all("a@x.org") + "S: 250-one\nS: 250 two\nS: 251 will forward\n" + enter + body + "S: 250-2.0.0 one\nS: 250-\nS: 250 2.0.0 two\n",
			want:   []string{"dot 250 2.0.0 one  2.0.0 two complete=true"},
		},
		{
			name: "RCPT refused, DATA too", pipe: true, to: "a@x.org b@x.org", usable: true,
			script: all("a@x.org") + ok + "S: 550 5.1.1 no\nS: 503 no recipients\n" +
				"C: RSET\n" + all("b@x.org") + ok + ok + ok + enter + body + "S: 250 2\n",
			want: []string{"rcpt 550 5.1.1 no", "dot 250 2 complete=true"},
		},
		{
			name: "RCPT refused, 354 all the same", pipe: true, to: "a@x.org b@x.org", usable: true,
			script: all("a@x.org") + ok + "S: 550 5.1.1 no\n" + enter + "C: .\nS: 554 no valid recipients\n" +
				"C: RSET\n" + all("b@x.org") + ok + ok + ok + enter + body + "S: 250 2\n",
			want: []string{"rcpt 550 5.1.1 no", "dot 250 2 complete=true"},
		},
		{
			name: "RCPT refused, one by one", to: "a@x.org b@x.org", usable: true,
			script: mail + ok + rcpt("a@x.org") + "S: 452 4.2.2 full\n" + "C: RSET\n" + ok + serial("b@x.org") + body + "S: 250 2\n",
			want:   []string{"rcpt 452 4.2.2 full", "dot 250 2 complete=true"},
		},
		{
			name: "MAIL refused", pipe: true, to: "a@x.org b@x.org", usable: true,
			script: all("a@x.org") + "S: 451 4.3.0 later\nS: 503 need MAIL\nS: 503 need RCPT\n" +
				"C: RSET\n" + all("b@x.org") + ok + ok + ok + enter + body + "S: 250 2\n",
			want: []string{"mail 451 4.3.0 later", "dot 250 2 complete=true"},
		},
		{
			name: "MAIL refused, one by one", to: "a@x.org b@x.org", usable: true,
			script: mail + "S: 451 4.3.0 later\n" + serial("b@x.org") + body + "S: 250 2\n",
			want:   []string{"mail 451 4.3.0 later", "dot 250 2 complete=true"},
		},
		{
			name: "MAIL refused, the rest accepted: no dot", pipe: true, to: "a@x.org", usable: false,
			script: all("a@x.org") + "S: 550 no\n" + ok + enter,
			want:   []string{"mail idle_closed: the server did not follow: 550 no"},
		},
		{
			name: "DATA refused", pipe: true, to: "a@x.org b@x.org", usable: true,
			script: all("a@x.org") + ok + ok + "S: 451 4.3.0 later\n" + "C: RSET\n" + all("b@x.org") + ok + ok + ok + enter + body + "S: 250 2\n",
			want:   []string{"data 451 4.3.0 later", "dot 250 2 complete=true"},
		},
		{
			name: "dot refused", pipe: true, to: "a@x.org b@x.org", usable: true,
			script: all("a@x.org") + ok + ok + enter + body + "S: 554 5.7.1 spam\n" + all("b@x.org") + ok + ok + enter + body + "S: 250 2\n",
			want:   []string{"dot 554 5.7.1 spam complete=true", "dot 250 2 complete=true"},
		},
		{
			name: "421 to MAIL", pipe: true, to: "a@x.org",
			script: all("a@x.org") + "S: 421 4.3.2 going down\n",
			want:   []string{"mail 421 4.3.2 going down"},
		},
		{
			name: "421 to RCPT", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + "S: 421 4.3.2 going down\n",
			want:   []string{"rcpt 421 4.3.2 going down"},
		},
		{
			name: "421 to DATA", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + "S: 421 4.3.2 going down\n",
			want:   []string{"data 421 4.3.2 going down"},
		},
		{
			name: "421 to the dot", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + enter + body + "S: 421 4.3.2 going down\n",
			want:   []string{"dot 421 4.3.2 going down complete=true"},
		},
		{
			name: "RCPT refused, then gone", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + "S: 550 5.1.1 no\nX",
			want:   []string{"rcpt 550 5.1.1 no"},
		},
		{
			name: "RSET refused", pipe: true, to: "a@x.org b@x.org",
			script: all("a@x.org") + ok + "S: 550 5.1.1 no\nS: 503 no\n" + "C: RSET\n" + all("b@x.org") + "S: 500 what\n",
			want:   []string{"rcpt 550 5.1.1 no", "mail idle_closed: RSET was refused: 500 what"},
		},
		{
			name: "closed between messages", pipe: true, to: "a@x.org b@x.org",
			script: all("a@x.org") + ok + ok + enter + body + "S: 250 1\n" + all("b@x.org") + "X",
			want:   []string{"dot 250 1 complete=true", "mail idle_closed: EOF"},
		},
		{
			name: "closed at the first message", pipe: true, to: "a@x.org",
			script: all("a@x.org") + "X",
			want:   []string{"mail eof: EOF"},
		},
		{
			name: "closed in the middle of a reply", pipe: true, to: "a@x.org",
			script: all("a@x.org") + "S: 250-ok\nS> 25\nX",
			want:   []string{"mail eof: unexpected EOF"},
		},
		{
			name: "250 where 354 was due", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + ok,
			want:   []string{"data bad_reply: expected 354, got 250 ok"},
		},
		{
			name: "354 where 250 was due", to: "a@x.org",
			script: mail + enter,
			want:   []string{"mail bad_reply: expected 250, got 354 go"},
		},
		{
			name: "garbage", to: "a@x.org",
			script: mail + "S: hello\x00\xff\n",
			want:   []string{`mail bad_reply: expected an SMTP reply, got "hello\x00\xff\r\n"`},
		},
		{
			name: "two digits", to: "a@x.org", script: mail + "S: 25\n",
			want: []string{`mail bad_reply: expected an SMTP reply, got "25\r\n"`},
		},
		{
			name: "code 000", to: "a@x.org", script: mail + "S: 000 ok\n",
			want: []string{`mail bad_reply: expected an SMTP reply, got "000 ok\r\n"`},
		},
		{
			name: "codes differ", to: "a@x.org", script: mail + "S: 250-ok\nS: 550 no\n",
			want: []string{`mail bad_reply: expected an SMTP reply, got "550 no\r\n"`},
		},
		{
			name: "gone after the dot", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + enter + body + "X",
			want:   []string{"dot eof: EOF complete=true"},
		},
		{
			name: "garbage after the dot", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + enter + body + "S: 2500 ok\n",
			want:   []string{`dot bad_reply: expected an SMTP reply, got "2500 ok\r\n" complete=true`},
		},
		{
			name: "354 after the dot", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + enter + body + enter,
			want:   []string{"dot bad_reply: expected a final reply, got 354 go complete=true"},
		},
		{
			name: "gone in the body", pipe: true, to: "a@x.org",
			script: all("a@x.org") + ok + ok + enter + "C> 6\nX",
			want:   []string{"data conn_reset: io: read/write on closed pipe complete=false"},
		},
		{
			name: "250 without being asked", pipe: true, to: "a@x.org",
			script: all("a@x.org") + `S> 250 ok\n250 ok\n354 go\n250 too early\n`,
			want:   []string{"data bad_reply: a reply to no command: 250 too early complete=false"},
		},
		{
			name: "421 without being asked", pipe: true, to: "a@x.org",
			script: all("a@x.org") + `S> 250 ok\n250 ok\n354 go\n421 bye\n`,
			want:   []string{"data 421 bye complete=false"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			offers := []string{}
			if tt.pipe {
				offers = append(offers, "PIPELINING")
			}

			c := dialScript(t, Config{Pipelining: tt.mode}, hello(offers...)+tt.script)
			var got []string
			for to := range strings.FieldsSeq(tt.to) {
				got = append(got, send(t.Context(), c, to, "hi\r\n"))
			}

			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if c.Usable() != tt.usable {
				t.Errorf("usable: got %t, want %t", c.Usable(), tt.usable)
			}
		})
	}
}

// The parameters of MAIL, and what is refused before anything is sent.
func TestMailParameters(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, to string
		size           int
		offers         string
		mail           string // the MAIL command; empty: nothing may be sent
		want           string
	}{
		{name: "SIZE", from: "f@x.org", to: "t@x.org", size: 20, offers: "SIZE 1000", mail: "MAIL FROM:<f@x.org> SIZE=20"},
		{name: "SIZE without a limit", from: "f@x.org", to: "t@x.org", size: 2000, offers: "SIZE", mail: "MAIL FROM:<f@x.org> SIZE=2000"},
		{name: "size not known", from: "f@x.org", to: "t@x.org", offers: "SIZE 1000", mail: "MAIL FROM:<f@x.org>"},
		{name: "too large", from: "f@x.org", to: "t@x.org", size: 1001, offers: "SIZE 1000", want: "local_size 552 5.3.4"},
		{name: "null sender", from: "", to: "t@x.org", mail: "MAIL FROM:<>"},
		{name: "SMTPUTF8", from: "f@x.org", to: "tä@x.org", offers: "SMTPUTF8", mail: "MAIL FROM:<f@x.org> SMTPUTF8"},
		{name: "SMTPUTF8 not needed", from: "f@x.org", to: "t@x.org", offers: "SMTPUTF8", mail: "MAIL FROM:<f@x.org>"},
		{name: "SMTPUTF8 missing", from: "f@x.org", to: "tä@x.org", want: "local_smtputf8 553 5.6.7"},
		{name: "CRLF in the address", from: "f@x.org", to: "t@x.org>\r\nRCPT TO:<u@x.org", want: "local_address 553 5.1.3"},
		{name: "LF in the sender", from: "f\n@x.org", to: "t@x.org", want: "local_address 553 5.1.7"},
		{name: "parameter in the address", from: "f@x.org", to: "t@x.org> NOTIFY=NEVER", want: "local_address 553 5.1.3"},
		{name: "NUL", from: "f@x.org", to: "t\x00@x.org", want: "local_address 553 5.1.3"},
		{name: "no recipient", from: "f@x.org", to: "", want: "local_address 553 5.1.3"},
		{name: "quoted", from: `"a > b \" c"@x.org`, to: "t@x.org", mail: `MAIL FROM:<"a > b \" c"@x.org>`},
		{name: "quote left open", from: "f@x.org", to: `"t@x.org`, want: "local_address 553 5.1.3"},
		{name: "escape left open", from: "f@x.org", to: `"t\`, want: "local_address 553 5.1.3"},
		{name: "too long", from: "f@x.org", to: strings.Repeat("t", 400) + "@x.org", want: "local_address 553 5.1.3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := hello()
			if tt.offers != "" {
				script = hello(tt.offers)
			}
			if tt.mail != "" {
				script += "C: " + tt.mail + "\nS: 250 ok\nC: RCPT TO:<" + tt.to + ">\nS: 250 ok\nC: DATA\nS: 354 go\n"
			}

			c := dialScript(t, Config{}, script)
			r := c.Envelope(t.Context(), tt.from, tt.to, tt.size)
			got := ""
			if r != nil {
				got = fmt.Sprintf("%s %d %s", r.Event, r.Code, r.Enhanced)
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if r != nil && (!c.Usable() || reply.Classify(*r).Verdict != reply.FailNoSuppress) {
				t.Errorf("a refusal of our own: usable %t, verdict %s", c.Usable(), reply.Classify(*r).Verdict)
			}
		})
	}
}

// Whatever the server can have of a message, it does not have the end of it
// unless Complete says so.
func TestCompleteIsExact(t *testing.T) {
	t.Parallel()
	msg := strings.Repeat("0123456789\r\n", 1000)
	total := len(msg) + len(".\r\n")
	for _, taken := range []int{0, 1, 4096, total / 2, total - 4, total - 1, total} {
		t.Run(fmt.Sprint(taken), func(t *testing.T) {
			t.Parallel()
			c := dialScript(t, Config{}, hello()+"C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n"+fmt.Sprintf("C> %d\nX", taken))
			if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
				t.Fatal(r)
			}

			out := c.Body(t.Context(), []byte(msg))
			if out.Complete != (taken == total) || out.Written < taken {
				t.Errorf("the server took %d of %d: got complete=%t, written %d", taken, total, out.Complete, out.Written)
			}

			want := reply.RetryRecipient
			if out.Complete {
				want = reply.Uncertain
			}
			if d := reply.Classify(out.Reply); d.Verdict != want {
				t.Errorf("%s: got %s, want %s", out.Reply, d.Verdict, want)
			}
			if c.Usable() {
				t.Error("the connection is still usable")
			}
		})
	}
}

// brokenPipe fails a write as TCP does when the server has closed.
type brokenPipe struct {
	net.Conn
	good int // bytes until then
}

func (b *brokenPipe) Write(p []byte) (int, error) {
	if len(p) > b.good {
		return 0, &net.OpError{Op: "write", Err: syscall.EPIPE}
	}
	b.good -= len(p)
	return b.Conn.Write(p)
}

// A server that refuses in the middle of a body and closes is heard.
func TestRefusalInsideBody(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ said, want string }{
		{"S: 552 5.3.4 too big\n", "dot 552 5.3.4 too big"},
		{"S: 250 thanks\n", "data conn_reset: write: broken pipe"},
		{"X", "data conn_reset: write: broken pipe"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			t.Parallel()
			cfg := scripted(t, Config{}, hello()+"C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n"+tt.said)
			dial := cfg.Dial
			cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := dial(ctx, network, addr)
				return &brokenPipe{Conn: conn, good: 200}, err
			}
			c, err := Dial(t.Context(), cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort()
			if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
				t.Fatal(r)
			}

			out := c.Body(t.Context(), []byte(strings.Repeat("x", 300)))
			if got := fmt.Sprintf("%s %s", out.Reply.Stage, out.Reply); got != tt.want || out.Complete || out.Written != 0 {
				t.Errorf("got %q complete=%t written=%d, want %q, not complete", got, out.Complete, out.Written, tt.want)
			}
		})
	}
}

func TestBareLineEndIsNotSent(t *testing.T) {
	t.Parallel()
	for _, msg := range []string{"a\nb\r\n", "a\rb\r\n", "\n.\r\n", "a\r\n.\n", "a\r", "\r\r\n"} {
		c := dialScript(t, Config{}, hello()+"C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n")
		if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
			t.Fatal(r)
		}
		out := c.Body(t.Context(), []byte(msg))
		if out.Reply.Event != reply.LocalMessage || out.Written != 0 || out.Complete || c.Usable() {
			t.Errorf("%q: got %+v, want it refused and the connection closed", msg, out)
		}
	}
}

// Misuse and a context that has ended leave no trace at the server.
func TestNothingIsSent(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	c := dialScript(t, Config{}, hello()+"C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n")
	if r := c.Envelope(ended, "f@x.org", "t@x.org", 0); r == nil || r.Event != reply.Cancelled || !c.Usable() {
		t.Errorf("envelope: got %v, want cancelled, the connection usable", r)
	}
	if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
		t.Fatal(r)
	}
	if c.Usable() {
		t.Error("usable inside DATA")
	}
	if out := c.Body(ended, []byte("x\r\n")); out.Reply.Event != reply.Cancelled || out.Written != 0 || c.Usable() {
		t.Errorf("body: got %+v, want cancelled", out)
	}
	if out := c.Body(t.Context(), []byte("x\r\n")); out.Complete || out.Written != 0 || out.Reply.OK() {
		t.Errorf("body after abort: got %+v", out)
	}
	if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r == nil || r.Event != reply.ConnReset {
		t.Errorf("envelope after abort: got %v", r)
	}
}

// QUIT inside DATA would be the last line of a message.
func TestQuit(t *testing.T) {
	t.Parallel()
	t.Run("polite", func(t *testing.T) {
		t.Parallel()
		c := dialScript(t, Config{}, hello()+"C: QUIT\nS: 221 bye\nX\n")
		c.Quit(t.Context())
		if c.Usable() {
			t.Error("usable after QUIT")
		}
	})
	t.Run("inside DATA", func(t *testing.T) {
		t.Parallel()
		c := dialScript(t, Config{}, hello()+"C*\nS: 250 ok\nC*\nS: 250 ok\nC*\nS: 354 go\n")
		if r := c.Envelope(t.Context(), "f@x.org", "t@x.org", 0); r != nil {
			t.Fatal(r)
		}
		c.Quit(t.Context())
	})
}

// A server counts a connection until it has closed it. Quit waits for that, for as
// long as it waits for a reply.
func TestQuitWaitsForTheServerToClose(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ closes, want time.Duration }{
		{0, 0}, {time.Second, time.Second}, {time.Hour, 2 * time.Second},
	} {
		t.Run(tt.closes.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				c, err := Dial(t.Context(), pipeTo(t, Config{}, func(conn net.Conn) {
					for line := range strings.Lines(hello() + "C: QUIT\nS: 221 bye\n") {
						op, arg, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
						if err := newPeer(t, conn).step(op, arg); err != nil {
							t.Error(err)
						}
					}
					time.Sleep(tt.closes)
				}))
				if err != nil {
					t.Fatal(err)
				}

				start := time.Now()
				c.Quit(t.Context())
				if took := time.Since(start); took != tt.want {
					t.Errorf("Quit took %s, want %s", took, tt.want)
				}
			})
		})
	}
}

// Abort on TCP is a reset, not an orderly close that could complete something.
func TestAbortResets(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	result := make(chan error, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			result <- err
			return
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "220 hi\r\n")
		buf := make([]byte, 1000)
		_, _ = conn.Read(buf)
		_, _ = io.WriteString(conn, "250 hi\r\n")
		_, err = conn.Read(buf)
		result <- err
	}()
	c, err := Dial(t.Context(), Config{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: TLSNone})
	if err != nil {
		t.Fatal(err)
	}

	c.Abort()
	c.Abort()
	if err := <-result; err == nil || !strings.Contains(err.Error(), "reset") {
		t.Errorf("the server saw %v, want a reset", err)
	}
}
