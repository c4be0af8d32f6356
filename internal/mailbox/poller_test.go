package mailbox

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadside/configs"
	"broadside/internal/testkit"
)

// soon is how long something that takes milliseconds may take on a busy machine.
const soon = 30 * time.Second

// run runs a poller until stop is called, or the test ends.
func run(t *testing.T, p *Poller) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { p.Run(ctx) })
	stop = func() { cancel(); wg.Wait() }
	t.Cleanup(stop)
	return stop
}

// waitStored waits until the sink has n messages.
func (s *setting) waitStored(n int) {
	s.t.Helper()
	deadline := time.After(soon)
	for len(s.sink.subjects()) < n {
		select {
		case <-s.sink.grown:
		case <-deadline:
			s.t.Fatalf("the sink has %q after %s, want %d\n%s", s.sink.subjects(), soon, n, s.dovecot.Log())
		}
	}
}

// waitRead waits until the register counts n messages of the mailbox, whose
// place is then recorded too: the sink has a message a moment earlier.
func (s *setting) waitRead(box configs.Mailbox, n int) {
	s.t.Helper()
	for range testkit.Tries(soon) {
		if standing, err := s.register.Standing(s.t.Context(), box); err == nil && standing.Stored >= n {
			return
		}
	}
	s.t.Fatalf("the register does not count %d messages after %s", n, soon)
}

// waitLogged waits for a line in the log.
func (s *setting) waitLogged(text string) {
	s.t.Helper()
	for range testkit.Tries(soon) {
		if strings.Contains(s.log.String(), text) {
			return
		}
	}
	s.t.Fatalf("%q was not logged", text)
}

func TestIDLEBringsMailAtOnce(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	p := s.poller(s.mailbox("imaps", s.dovecot.IMAPS, "?move=Processed"))
	p.every = time.Hour
	run(t, p)
	for i, subject := range []string{"one", "two", "three"} {
		s.dovecot.Deliver("INBOX", letter(subject))
		s.waitStored(i + 1)
	}
}

func TestMailIsFoundWithoutIDLE(t *testing.T) {
	t.Parallel()
	s := arrange(t, withoutUIDPlus)
	run(t, s.poller(s.mailbox("imap", s.dovecot.IMAP, ""), s.mailbox("pop3", s.dovecot.POP3, "")))
	s.dovecot.Deliver("INBOX", letter("one"))
	s.waitStored(1)
}

func TestAMailboxThatWasAwayIsReadAgain(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	box := s.mailbox("imap", s.dovecot.IMAP, "?move=Processed")
	run(t, s.poller(box))
	s.dovecot.Deliver("INBOX", letter("one"))
	s.waitStored(1)

	s.dovecot.Stop()
	s.waitLogged("mailbox cannot be read")
	for range testkit.Tries(soon) {
		if standing, err := s.register.Standing(t.Context(), box); err == nil && standing.Error != "" {
			break
		}
	}
	standing, err := s.register.Standing(t.Context(), box)
	if err != nil || standing.Failed.IsZero() || standing.Read.IsZero() || standing.Stored != 1 {
		t.Errorf("while it is away: standing %+v, %v", standing, err)
	}

	s.dovecot.Start()
	s.dovecot.Deliver("INBOX", letter("two"))
	s.waitStored(2)
	s.waitLogged("mailbox is read again")
	if n := strings.Count(s.log.String(), "mailbox cannot be read"); n != 1 {
		t.Errorf("the outage was logged %d times", n)
	}
	expect(t, "stored", s.sink.subjects(), "one", "two")
}

func TestOneProcessReadsAMailbox(t *testing.T) {
	t.Parallel()
	_, register := newRegister(t)
	box := configs.Mailbox{Protocol: configs.IMAP, Host: "imap.acme.example", Port: 993, TLS: configs.TLSImplicit, User: "bounces", Folder: "INBOX"}
	ask := func(m configs.Mailbox, holder string) bool {
		t.Helper()
		held, err := register.lease(t.Context(), m, holder)
		if err != nil {
			t.Fatal(err)
		}
		return held
	}
	other := box
	other.Folder = "Bounces"
	renewed := box
	renewed.Password = "another"
	got := []bool{ask(box, "a"), ask(box, "b"), ask(box, "a"), ask(renewed, "b"), ask(other, "b")}
	register.release(t.Context(), box, "b") // which does not have it
	got = append(got, ask(box, "b"))
	register.release(t.Context(), box, "a")
	got = append(got, ask(box, "b"), ask(box, "a"))
	if want := []bool{true, false, true, false, true, false, true, false}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTheNextProcessGoesOn(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	box := s.mailbox("imap", s.dovecot.IMAP, "")
	stop := run(t, s.poller(box))
	s.dovecot.Deliver("INBOX", letter("one"))
	s.waitRead(box, 1)
	stop()

	run(t, s.poller(box))
	s.dovecot.Deliver("INBOX", letter("two"))
	s.waitStored(2)
	expect(t, "stored", s.sink.subjects(), "one", "two")
}

func TestPausesGrowWithFailures(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for _, failures := range []int{0, 1, 2, 3, 5, 1000} {
		got = append(got, pauseAfter(failures, time.Minute))
	}
	got = append(got, pauseAfter(9, time.Hour))
	want := []time.Duration{time.Minute, time.Minute, 2 * time.Minute, 4 * time.Minute, 10 * time.Minute, 10 * time.Minute, time.Hour}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := sleep(ctx, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("got %v after %s", err, time.Since(began))
		}
	})
}
