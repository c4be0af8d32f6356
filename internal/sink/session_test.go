package sink

import (
	"bytes"
	"io"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// speak runs one session over a pipe, in a bubble where time costs nothing,
// and returns what the sink said to input until it closed the connection, and
// how long that took.
func speak(s *Sink, input string) (said string, took time.Duration) {
	server, client := net.Pipe()
	begun := time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { newSession(s, server).run() })
	wg.Go(func() { // fails when the sink closes first, as some input asks for
		_, _ = io.WriteString(client, input)
	})
	b, _ := io.ReadAll(client)
	took = time.Since(begun)
	client.Close()
	wg.Wait()
	return string(b), took
}

// codes returns the code of each reply (its last line).
func codes(said string) string {
	var c []string
	for line := range strings.Lines(said) {
		if len(line) > 3 && line[3] == ' ' {
			c = append(c, line[:3])
		}
	}
	return strings.Join(c, " ")
}

func TestCommands(t *testing.T) {
	t.Parallel()
	const hello = "EHLO test\r\n"
	tests := []struct{ name, in, want string }{
		{"plain", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\nhi\r\n.\r\nQUIT\r\n", "220 250 250 250 354 250 221"},
		{"null sender", hello + "MAIL FROM:<>\r\nRCPT TO:<d@e.f>\r\nQUIT\r\n", "220 250 250 250 221"},
		{"lower case, bare LF", "ehlo test\nmail from:<a@b.c> size=100 body=8bitmime\nrcpt to:<d@e.f>\nquit\n", "220 250 250 250 221"},
		{"space after the colon", hello + "MAIL FROM: <a@b.c>\r\nQUIT\r\n", "220 250 250 221"},
		{"no greeting", "MAIL FROM:<a@b.c>\r\nQUIT\r\n", "220 503 221"},
		{"MAIL twice", hello + "MAIL FROM:<a@b.c>\r\nMAIL FROM:<a@b.c>\r\nQUIT\r\n", "220 250 250 503 221"},
		{"RCPT without MAIL", hello + "RCPT TO:<d@e.f>\r\nQUIT\r\n", "220 250 503 221"},
		{"DATA without RCPT", hello + "MAIL FROM:<a@b.c>\r\nDATA\r\nQUIT\r\n", "220 250 250 503 221"},
		{"DATA after a refusal", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<bounce@e.f>\r\nDATA\r\nQUIT\r\n", "220 250 250 550 503 221"},
		{"RSET forgets", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nRSET\r\nDATA\r\nQUIT\r\n", "220 250 250 250 250 503 221"},
		{"the transaction ends with the message", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n.\r\nDATA\r\nQUIT\r\n", "220 250 250 250 354 250 503 221"},
		{"quoted local part", hello + "MAIL FROM:<\"a>\\\" b\"@b.c>\r\nQUIT\r\n", "220 250 250 221"},
		{"no brackets", hello + "MAIL FROM:a@b.c\r\nQUIT\r\n", "220 250 501 221"},
		{"no end", hello + "MAIL FROM:<a@b.c\r\nQUIT\r\n", "220 250 501 221"},
		{"no domain", hello + "MAIL FROM:<a>\r\nQUIT\r\n", "220 250 501 221"},
		{"no recipient", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<>\r\nQUIT\r\n", "220 250 250 501 221"},
		{"control character", hello + "MAIL FROM:<a\x00@b.c>\r\nQUIT\r\n", "220 250 501 221"},
		{"unknown parameter", hello + "MAIL FROM:<a@b.c> X=1\r\nQUIT\r\n", "220 250 555 221"},
		{"too large by its own word", hello + "MAIL FROM:<a@b.c> SIZE=99999999\r\nQUIT\r\n", "220 250 552 221"},
		{"UTF-8 not asked for", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<\u00fc@e.f>\r\nQUIT\r\n", "220 250 250 553 221"},
		{"UTF-8 asked for", hello + "MAIL FROM:<a@b.c> SMTPUTF8\r\nRCPT TO:<\u00fc@e.f>\r\nQUIT\r\n", "220 250 250 250 221"},
		{"not offered", hello + "STARTTLS\r\nBDAT 3 LAST\r\nWHAT\r\n\r\nQUIT\r\n", "220 250 502 502 500 500 221"},
		{"the rest", hello + "NOOP\r\nVRFY x\r\nHELP\r\nHELO x\r\nQUIT\r\n", "220 250 250 252 214 250 221"},
		{"long line", hello + "NOOP " + strings.Repeat("x", maxLine) + "\r\nQUIT\r\n", "220 250 500"},
		{"endless line", hello + strings.Repeat("x", 64<<10), "220 250 500"},
		{"slow three times", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<slow@e.f>\r\nDATA\r\n.\r\nQUIT\r\n", "220 250 250 250 354 250 221"},
		{"drop", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<drop+1@e.f>\r\nDATA\r\n.\r\nQUIT\r\n", "220 250 250"},
		{"drop after dot", hello + "MAIL FROM:<a@b.c>\r\nRCPT TO:<drop-after-dot+1@e.f>\r\nDATA\r\n.\r\nQUIT\r\n", "220 250 250 250 354"},
		{"silence", hello, "220 250 421"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				said, took := speak(newSink(Config{}), tt.in)
				if got := codes(said); got != tt.want {
					t.Errorf("got codes %s, want %s; the sink said:\n%s", got, tt.want, said)
				}
				want := map[string]time.Duration{"silence": idleTimeout, "slow three times": 3 * slowness}[tt.name]
				if took != want {
					t.Errorf("took %v, want %v", took, want)
				}
			})
		})
	}
}

func TestTooManyRecipients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSink(Config{})
		said, _ := speak(s, "EHLO x\r\nMAIL FROM:<a@b.c>\r\n"+strings.Repeat("RCPT TO:<d@e.f>\r\n", maxRecipients+1)+"DATA\r\n.\r\nQUIT\r\n")
		if want := "452 354 250 221"; !strings.HasSuffix(codes(said), want) {
			t.Errorf("got codes ...%s, want them to end in %s", codes(said), want)
		}
		if got := s.Counts().Accepted; got != maxRecipients {
			t.Errorf("got %d accepted, want %d", got, maxRecipients)
		}
	})
}

// TestOneWrite shows that replies to commands that came in one segment leave
// in one segment: each read of a pipe returns what one write had.
func TestOneWrite(t *testing.T) {
	t.Parallel()
	server, client := net.Pipe()
	s := newSink(Config{})
	var wg sync.WaitGroup
	wg.Go(func() { newSession(s, server).run() })
	defer wg.Wait()
	defer client.Close()
	read := func() string {
		b := make([]byte, 4096)
		n, err := client.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		return codes(string(b[:n]))
	}
	got := []string{read()}
	for _, group := range []string{
		"EHLO x\r\n",
		"MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n",
		"hi\r\n.\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<bounce@e.f>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n",
		"hi\r\n.\r\nQUIT\r\n",
	} {
		if _, err := io.WriteString(client, group); err != nil {
			t.Fatal(err)
		}
		got = append(got, read())
	}
	want := []string{"220", "250", "250 250 354", "250 250 550 250 354", "250 221"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("codes of each write (-want +got):\n%s", diff)
	}
}

// A replay is a connection whose other end has said everything already.
type replay struct {
	net.Conn // nil: only what follows is called

	in  chunked
	out bytes.Buffer
}

func (c *replay) Read(b []byte) (int, error)         { return c.in.Read(b) }
func (c *replay) Write(b []byte) (int, error)        { return c.out.Write(b) }
func (c *replay) Close() error                       { return nil }
func (c *replay) SetReadDeadline(time.Time) error    { return nil }
func (c *replay) SetWriteDeadline(t time.Time) error { return nil }

var replyLine = regexp.MustCompile(`^[2-5][0-9][0-9][ -][ -~]*\r\n$`)

// FuzzSession feeds the command loop with anything. Whatever comes, the sink
// speaks in well-formed reply lines, says 250 to a final dot exactly as often
// as it counts, and each message that it takes is recorded and counted.
func FuzzSession(f *testing.F) {
	const envelope = "EHLO x\r\nMAIL FROM:<a@b.c> SIZE=5\r\nRCPT TO:<defer-1x+2@e.f>\r\nRCPT TO:<ok@e.f>\r\nDATA\r\n"
	for _, s := range []string{
		envelope + "Message-ID: <1@x>\r\n\r\n..\r\n.\r\nQUIT\r\n",
		envelope + ".\r\n" + envelope[8:] + "x\n.\r\n\r\n.\r\n",
		"EHLO x\nMAIL FROM:<>\nRCPT TO:<slow@x>\nRCPT TO:<drop-after-dot@x>\nDATA\n\r\n.\r\n",
		"HELO\r\nMAIL FROM:<\"a>\\\"@b>\r\nRSET\r\nNOOP\r\n\xff\x00\r\n",
		"MAIL\r\nRCPT TO:\r\nDATA\r\nRCPT TO:<drop@x>\r\n",
	} {
		f.Add([]byte(s), uint8(7))
	}
	f.Fuzz(func(t *testing.T, in []byte, chunk uint8) {
		synctest.Test(t, func(t *testing.T) {
			var accepted int64
			s := newSink(Config{
				Record: func(e Event) {
					if e.Outcome == Accepted {
						accepted++
					}
				},
			})
			c := &replay{in: chunked{bytes.NewReader(in), int(chunk) + 1}}
			newSession(s, c).run()
			queued := 0
			for line := range strings.Lines(c.out.String()) {
				if !replyLine.MatchString(line) {
					t.Fatalf("the sink said %q, which is no reply line", line)
				}
				if strings.HasPrefix(line, "250 2.0.0 ok: queued as ") {
					queued++
				}
			}
			n := s.Counts()
			if n.Accepted != accepted || uint64(queued) != s.sequence.Load() {
				t.Fatalf("counted %d, recorded %d recipients; said queued %d times of %d", n.Accepted, accepted, queued, s.sequence.Load())
			}
		})
	})
}
