package listener

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
	"go.uber.org/goleak"

	"broadside/internal/failure"
	"broadside/internal/mailbox"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A recorder is a sink that remembers messages.
type recorder struct {
	refuse error // nil: they are stored

	mu     sync.Mutex
	stored []string // guarded by mu
}

func (r *recorder) Ingest(_ context.Context, source string, message io.Reader, envelope ...string) error {
	text, err := io.ReadAll(message)
	if err != nil || source != "feedback.listen" {
		return fmt.Errorf("source %q, %w", source, err)
	}
	if r.refuse != nil {
		return r.refuse
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored = append(r.stored, strings.Join(envelope, " ")+"\n"+string(text))
	return nil
}

func (r *recorder) messages() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.stored)
}

// listen runs a listener until stop is called, or the test ends.
func listen(t *testing.T, sink mailbox.Sink) (address string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := New(Config{Domain: "bounce.acme.example", Sink: sink, Log: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx, ln) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("listener ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return ln.Addr().String(), stop
}

// dial says EHLO or LHLO, as protocol has it.
func dial(t *testing.T, protocol, address string) *smtp.Client {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	client := smtp.NewClient(c)
	if protocol == "LMTP" {
		client = smtp.NewClientLMTP(c)
	}
	t.Cleanup(func() { client.Close() })
	if err := client.Hello("mx.example"); err != nil {
		t.Fatalf("%s: %v", protocol, err)
	}
	return client
}

// send sends a message and returns the first refusal.
func send(c *smtp.Client, body string, to ...string) error {
	if err := c.Mail("", nil); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r, nil); err != nil {
			return errors.Join(err, c.Reset())
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(w, body); err != nil {
		return err
	}
	return w.Close()
}

const bounce = "From: MAILER-DAEMON@mx.example\r\nSubject: Undelivered\r\n\r\n.dot\r\n"

func TestBouncesAreTakenAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"SMTP", "LMTP"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			sink := &recorder{}
			address, _ := listen(t, sink)
			c := dial(t, protocol, address)
			if err := send(c, bounce, "b-1@bounce.acme.example", "b-2@Bounce.ACME.example"); err != nil {
				t.Fatal(err)
			}
			for _, other := range []string{"ada@acme.example", "ada@bounce.acme.example.org", "ada@x.bounce.acme.example", `"x@bounce.acme.example"@other.example`} {
				err := send(c, bounce, other)
				var answer *smtp.SMTPError
				if !errors.As(err, &answer) || answer.Code != 550 || answer.EnhancedCode != (smtp.EnhancedCode{5, 7, 1}) {
					t.Errorf("mail to %s: got %v, want 550 5.7.1", other, err)
				}
			}
			if err := send(c, bounce, "b-3@bounce.acme.example"); err != nil {
				t.Errorf("after refusals: %v", err)
			}

			want := "b-1@bounce.acme.example b-2@Bounce.ACME.example\nReturn-Path: <>\r\n"
			got := sink.messages()
			if len(got) != 2 || !strings.HasPrefix(got[0], want+"From: MAILER-DAEMON") || !strings.Contains(got[0], "\n.dot") {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestTheReplyComesAfterTheMessageWasStored(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"SMTP", "LMTP"} {
		for _, tt := range []struct {
			name   string
			refuse error
			body   string
			code   int
		}{
			{"store is away", errors.New("redis is away"), bounce, 451},
			{"no message", failure.Invalid("found no message"), bounce, 554},
			{"too large", nil, strings.Repeat(strings.Repeat("x", 998)+"\r\n", mailbox.MaxMessage/1000+10), 552},
		} {
			t.Run(protocol+", "+tt.name, func(t *testing.T) {
				t.Parallel()
				sink := &recorder{refuse: tt.refuse}
				address, _ := listen(t, sink)
				err := send(dial(t, protocol, address), tt.body, "b-1@bounce.acme.example")
				var answer *smtp.SMTPError
				var each smtp.LMTPDataError
				if errors.As(err, &each) {
					answer = each["b-1@bounce.acme.example"]
				} else if !errors.As(err, &answer) {
					t.Fatalf("got %v, want %d", err, tt.code)
				}
				if answer.Code != tt.code || len(sink.messages()) > 0 {
					t.Errorf("got %v, want %d; %d stored", err, tt.code, len(sink.messages()))
				}
			})
		}
	}
}

func TestOneClientDoesNotTakeAllConnections(t *testing.T) {
	t.Parallel()
	address, stop := listen(t, &recorder{})
	answer := func() string {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line[:3]
	}
	for i := range maxConnsOfClient {
		if got := answer(); got != "220" {
			t.Fatalf("connection %d: %s", i+1, got)
		}
	}
	if got := answer(); got != "421" {
		t.Errorf("one more: got %s, want 421", got)
	}
	stop() // which ends those that are open
}

func TestMessagesOfAMinuteAreLimited(t *testing.T) {
	t.Parallel()
	var r rate
	now := time.Date(2026, 10, 1, 7, 0, 59, 0, time.UTC)
	for range maxPerMinute {
		if !r.take(now) {
			t.Fatal("refused below the limit")
		}
	}
	if r.take(now) {
		t.Error("one more was taken")
	}
	if !r.take(now.Add(time.Second)) {
		t.Error("refused in the next minute")
	}
}

// FuzzListener says anything to a listener. It never stores a message for another domain.
func FuzzListener(f *testing.F) {
	f.Add("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@bounce.acme.example>\r\nDATA\r\nSubject: x\r\n\r\n.\r\nQUIT\r\n")
	f.Add("lhlo x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<a@other.example>\r\nDATA\r\n.\r\n")
	f.Add("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@bounce.acme.example>\r\nBDAT 3 LAST\r\nx\r\n")
	f.Add("LH")
	f.Fuzz(func(t *testing.T, says string) {
		sink := &recorder{}
		l := New(Config{Domain: "bounce.acme.example", Sink: sink, Log: slog.New(slog.DiscardHandler)})
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			l.serve(t.Context(), server)
		}()
		go func() { _, _ = io.Copy(io.Discard, client) }() // ends with the pipe
		_, _ = io.WriteString(client, says)
		client.Close()
		<-done
		for _, m := range sink.messages() {
			envelope, text, _ := strings.Cut(m, "\n")
			if !strings.HasPrefix(text, "Return-Path: <") || !strings.HasSuffix(strings.ToLower(envelope), "@bounce.acme.example") {
				t.Errorf("stored %q", m)
			}
		}
	})
}
