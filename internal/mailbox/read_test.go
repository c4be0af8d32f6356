package mailbox

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"broadside/configs"
	"broadside/internal/failure"
)

// testEvery is the time between two looks of a poller that runs in a test.
const testEvery = 50 * time.Millisecond

// withoutMove and withoutUIDPlus are what simpler servers say that they can.
const (
	withoutMove    = "IMAP4rev1 UIDPLUS IDLE"
	withoutUIDPlus = "IMAP4rev1"
)

func TestMessagesAreReadInOrderAndForgotten(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	for _, tt := range []struct {
		name   string
		box    configs.Mailbox
		inbox  bool // what was read stays in the folder
		folder string
	}{
		{"IMAP, implicit TLS, move", s.mailbox("imaps", s.dovecot.IMAPS, "/INBOX?move=Processed"), false, "INBOX"},
		{"IMAP in clear, another folder", s.mailbox("imap", s.dovecot.IMAP, "/Bounces?move=Archive%2F2026"), false, "Bounces"},
		{"IMAP with STARTTLS, left there", startTLS(s.mailbox("imap", s.dovecot.IMAP, "/Left")), true, "Left"},
		{"POP3, implicit TLS", s.mailbox("pop3s", s.dovecot.POP3S, ""), false, "INBOX"},
		{"POP3 in clear", s.mailbox("pop3", s.dovecot.POP3, ""), false, "INBOX"},
		{"POP3 with STLS", startTLS(s.mailbox("pop3", s.dovecot.POP3, "")), false, "INBOX"},
	} {
		s.sink.stored = nil
		for _, subject := range []string{"one", "two", "three"} {
			s.dovecot.Deliver(tt.folder, letter(subject))
		}

		p := s.poller(tt.box)
		if came := s.poll(p); came.Stored != 3 || came.Quarantined != 0 || came.More {
			t.Errorf("%s: came %+v, want 3 stored", tt.name, came)
		}
		expect(t, tt.name, s.sink.subjects(), "one", "two", "three")
		if got := s.in(tt.folder); tt.inbox != (len(got) == 3) || !tt.inbox && len(got) > 0 {
			t.Errorf("%s: the folder has %q", tt.name, got)
		}

		s.dovecot.Deliver(tt.folder, letter("four"))
		if came := s.poll(p); came.Stored != 1 {
			t.Errorf("%s: then came %+v, want 1 stored", tt.name, came)
		}
		expect(t, tt.name, s.sink.subjects(), "one", "two", "three", "four")
	}
	expect(t, "processed", s.in("Processed"), "four", "one", "three", "two")
	expect(t, "archive", s.in("Archive.2026"), "four", "one", "three", "two")
	for name := range s.dovecot.Messages("Left") {
		if !strings.HasSuffix(name, ":2,Sa") {
			t.Errorf("file %s of a message that was read has no flag S, or no keyword", name)
		}
	}

	got, err := s.register.Standing(t.Context(), s.mailbox("imaps", s.dovecot.IMAPS, "/INBOX?move=Processed"))
	if err != nil || got.Stored != 4 || got.Error != "" || time.Since(got.Read) > time.Hour {
		t.Errorf("standing %+v, %v", got, err)
	}
}

// startTLS has TLS on loopback, where it is not needed.
func startTLS(m configs.Mailbox) configs.Mailbox {
	m.TLS = configs.TLSStartTLS
	return m
}

func TestServersWithoutMoveOrUIDPlus(t *testing.T) {
	t.Parallel()
	for _, capability := range []string{withoutMove, withoutUIDPlus} {
		t.Run(capability, func(t *testing.T) {
			t.Parallel()
			s := arrange(t, capability)
			s.sink.refuse = onlyTwo(failure.Invalid("found no message"))
			for _, subject := range []string{"one", "two", "three"} {
				s.dovecot.Deliver("INBOX", letter(subject))
			}
			p := s.poller(s.mailbox("imap", s.dovecot.IMAP, "?move=Processed"))
			if came := s.poll(p); came.Stored != 2 || came.Quarantined != 1 {
				t.Errorf("came %+v", came)
			}
			if came := s.poll(p); came != (Came{}) {
				t.Errorf("then came %+v, want nothing", came)
			}
			expect(t, "inbox", s.in("INBOX"))
			expect(t, "processed", s.in("Processed"), "one", "three")
			expect(t, "quarantine", s.in(QuarantineFolder), "two")
		})
	}
}

// onlyTwo refuses the message with the subject "two".
func onlyTwo(err error) func(context.Context, string) error {
	return func(_ context.Context, subject string) error {
		if subject == "two" {
			return err
		}
		return nil
	}
}

func TestAMessageThatCannotBeUsedGoesToQuarantine(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	for _, tt := range []struct {
		name   string
		refuse func(context.Context, string) error
	}{
		{"it is no message", onlyTwo(failure.Invalid("found no message"))},
		{"the sink panics", func(ctx context.Context, subject string) error {
			if subject == "two" {
				panic("index out of range")
			}
			return nil
		}},
	} {
		for _, box := range []configs.Mailbox{
			s.mailbox("imap", s.dovecot.IMAP, "/INBOX?move=Processed"),
			s.mailbox("imap", s.dovecot.IMAP, "/Left"),
			s.mailbox("pop3", s.dovecot.POP3, ""),
		} {
			s.sink.stored = nil
			s.sink.refuse = tt.refuse
			s.redis.FlushAll()
			folder := box.Folder
			if folder == "" {
				folder = "INBOX"
			}
			for _, subject := range []string{"one", "two", "three"} {
				s.dovecot.Deliver(folder, letter(subject))
			}

			p := s.poller(box)
			if came := s.poll(p); came.Stored != 2 || came.Quarantined != 1 {
				t.Errorf("%s, %s: came %+v, want 2 stored and 1 in quarantine", tt.name, box, came)
			}
			if told := s.aside.Swap(0); told != 1 {
				t.Errorf("%s, %s: told of %d messages in quarantine, want 1", tt.name, box, told)
			}
			s.sink.refuse = nil
			if came := s.poll(p); came != (Came{}) {
				t.Errorf("%s, %s: then came %+v, want nothing", tt.name, box, came)
			}
			expect(t, tt.name+", "+box.String(), s.sink.subjects(), "one", "three")

			standing, err := s.register.Standing(t.Context(), box)
			if err != nil || standing.Quarantined != 1 || standing.Stored != 2 {
				t.Errorf("%s, %s: standing %+v, %v", tt.name, box, standing, err)
			}
			if box.Protocol == configs.POP3 {
				expect(t, "POP3 keeps", s.in("INBOX"), "two")
				s.redis.FlushAll() // without memory it comes again
				if came := s.poll(p); came.Stored != 1 {
					t.Errorf("%s, %s: at last came %+v, want 1 stored", tt.name, box, came)
				}
			}
		}
	}
	expect(t, "quarantine", s.in(QuarantineFolder), "two", "two", "two", "two")
}

func TestWhatCannotBeStoredNowComesAgain(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	away := errors.New("dial tcp 127.0.0.1:6379: connection refused")
	for _, box := range []configs.Mailbox{
		s.mailbox("imap", s.dovecot.IMAP, "/INBOX?move=Processed"),
		s.mailbox("imap", s.dovecot.IMAP, "/Left"),
		s.mailbox("pop3", s.dovecot.POP3, ""),
	} {
		s.sink.stored = nil
		s.sink.refuse = onlyTwo(away)
		folder := box.Folder
		if folder == "" {
			folder = "INBOX"
		}
		for _, subject := range []string{"one", "two", "three"} {
			s.dovecot.Deliver(folder, letter(subject))
		}

		p := s.poller(box)
		if r := p.Poll(t.Context())[0]; !errors.Is(r.Err, away) || r.Stored != 1 || r.Quarantined != 0 {
			t.Errorf("%s: got %+v, want 1 stored and the sink's error", box, r)
		}
		standing, err := s.register.Standing(t.Context(), box)
		if err != nil || !strings.Contains(standing.Error, "connection refused") || standing.Failed.IsZero() {
			t.Errorf("%s: standing %+v, %v", box, standing, err)
		}

		s.redis.SetError("LOADING") // nothing can be remembered
		s.sink.refuse = onlyTwo(failure.Invalid("found no message"))
		if r := p.Poll(t.Context())[0]; r.Err == nil || r.Stored+r.Quarantined != 0 {
			t.Errorf("%s: without Redis got %+v, want an error", box, r)
		}
		s.redis.SetError("")
		expect(t, box.String(), s.sink.subjects(), "one")

		s.sink.refuse = nil
		if came := s.poll(p); came.Stored != 2 {
			t.Errorf("%s: at last came %+v, want 2 stored", box, came)
		}
		expect(t, box.String(), s.sink.subjects(), "one", "two", "three")
	}
	expect(t, "quarantine", s.in(QuarantineFolder))
}

func TestAnotherUIDVALIDITYStartsAgain(t *testing.T) {
	t.Parallel()
	s := arrange(t, "IMAP4rev1 IDLE")
	s.dovecot.Deliver("Left", letter("one"))
	s.dovecot.Deliver("Left", letter("two"))
	p := s.poller(s.mailbox("imap", s.dovecot.IMAP, "/Left"))
	s.poll(p)

	// A message with a UID that was done under the old numbers.
	s.dovecot.Renumber("Left")
	s.dovecot.Deliver("Left", letter("three"))
	if came := s.poll(p); came.Stored == 0 {
		t.Errorf("came %+v, want the new message at least", came)
	}
	if got := s.sink.subjects(); got[len(got)-1] != "three" {
		t.Errorf("got %q, want the new message at the end", got)
	}
}

func TestALargeMessageIsCut(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	large := letter("large") + strings.Repeat(strings.Repeat("x", 998)+"\r\n", (MaxMessage+1<<20)/1000)
	for _, box := range []configs.Mailbox{
		s.mailbox("imaps", s.dovecot.IMAPS, "/INBOX?move=Processed"),
		s.mailbox("pop3s", s.dovecot.POP3S, ""),
	} {
		s.sink.stored, s.sink.sizes = nil, nil
		s.dovecot.Deliver("INBOX", large)
		s.dovecot.Deliver("INBOX", letter("next"))
		s.poll(s.poller(box))
		expect(t, box.String(), s.sink.subjects(), "large", "next")
		if s.sink.sizes[0] != MaxMessage {
			t.Errorf("%s: got %d bytes, want %d", box, s.sink.sizes[0], MaxMessage)
		}
		expect(t, "inbox", s.in("INBOX"))
	}
}

func TestWhatTheServerRefuses(t *testing.T) {
	t.Parallel()
	s := arrange(t, "")
	wrong := func(m configs.Mailbox) configs.Mailbox { m.Password = "hunter2x"; return m }
	other := func(m configs.Mailbox) configs.Mailbox { m.Host = "localhost.example"; return m }
	for _, tt := range []struct {
		name string
		box  configs.Mailbox
		want string
	}{
		{"IMAP, wrong password", wrong(s.mailbox("imaps", s.dovecot.IMAPS, "")), "log in as bounces"},
		{"POP3, wrong password", wrong(s.mailbox("pop3s", s.dovecot.POP3S, "")), "log in as bounces"},
		{"IMAP, no such folder", s.mailbox("imaps", s.dovecot.IMAPS, "/Nowhere"), "open folder Nowhere"},
		{"IMAP, name not in the certificate", other(s.mailbox("imaps", s.dovecot.IMAPS, "")), "certificate"},
		{"IMAP, STARTTLS, name not in the certificate", startTLS(other(s.mailbox("imap", s.dovecot.IMAP, ""))), "certificate"},
		{"POP3, STLS, name not in the certificate", startTLS(other(s.mailbox("pop3", s.dovecot.POP3, ""))), "certificate"},
		{"POP3, the port of IMAP", s.mailbox("pop3", s.dovecot.IMAP, ""), "expected +OK"},
	} {
		here := tt.box
		here.Host = "127.0.0.1"
		p := s.poller(tt.box).dials(dialTo(here.Address()))
		r := p.Poll(t.Context())[0]
		if r.Err == nil || !strings.Contains(r.Err.Error(), tt.want) || strings.Contains(r.Err.Error(), password) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, r.Err, tt.want)
		}
	}
}
