package doctor

import (
	"strings"
	"testing"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/mailbox"
	"broadside/internal/store"
)

func TestMailboxesThatAreNotReadAreNamed(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name  string
		s     mailbox.Standing
		every time.Duration
		level store.Level
		want  string
	}{
		{"never read", mailbox.Standing{}, time.Minute, store.Warning, "it was never read"},
		{"read just now", mailbox.Standing{Read: now.Add(-time.Minute), Stored: 7}, time.Minute, store.Good, "7 messages in all"},
		{"with quarantine", mailbox.Standing{Read: now, Quarantined: 2}, time.Minute, store.Good, "and 2 in quarantine"},
		{"not read since an hour", mailbox.Standing{Read: now.Add(-time.Hour)}, time.Minute, store.Warning, "is not read: it was last read at 2026-10-01T06:00:00Z"},
		{"read once a day", mailbox.Standing{Read: now.Add(-20 * time.Hour)}, 24 * time.Hour, store.Good, "it was last read"},
		{"fails", mailbox.Standing{Read: now.Add(-time.Hour), Failed: now, Error: "log in: wrong"}, time.Minute, store.Warning, "cannot be read: log in: wrong (at 2026-10-01T07:00:00Z; it was last read at"},
		{"never worked", mailbox.Standing{Failed: now, Error: "connect"}, time.Minute, store.Warning, "it was never read"},
	} {
		f := mailboxFinding("imaps://bounces@imap.acme.example:993/INBOX", tt.s, now, tt.every)
		expect(t, []Finding{f}, codes.Mailbox, tt.level)
		if !strings.Contains(f.Text, tt.want) {
			t.Errorf("%s: got %q, want %q in it", tt.name, f.Text, tt.want)
		}
	}
}
