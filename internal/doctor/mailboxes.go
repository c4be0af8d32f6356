package doctor

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/mailbox"
	"broadside/internal/store"
)

// mailboxes says which mailboxes are read. With the embedded store no one else reads them.
func (d *Doctor) mailboxes(ctx context.Context) []Finding {
	if d.Store.Embedded() {
		return nil
	}

	var out []Finding
	for _, m := range d.Config.Feedback.Mailbox {
		s, err := d.Mailboxes.Standing(ctx, m)
		if err != nil {
			out = append(out, unknown("mailbox "+m.String(), codes.Mailbox, err))
			continue
		}
		out = append(out, mailboxFinding(m.String(), s, time.Now(), d.Config.Feedback.Every))
	}
	return out
}

// overdue is how long after its time a mailbox is missed: a look into a full one takes
// minutes, and a server that fails is left alone for some.
const overdue = 30 * time.Minute

func mailboxFinding(name string, s mailbox.Standing, now time.Time, every time.Duration) Finding {
	const code = codes.Mailbox
	const why = "bounces that are in it are not known, and their addresses are mailed again"
	subject := "mailbox " + name
	read := "it was never read"
	if !s.Read.IsZero() {
		read = "it was last read at " + s.Read.Format(time.RFC3339)
	}

	switch {
	case !s.Failed.IsZero():
		text := fmt.Sprintf("cannot be read: %s (at %s; %s)", s.Error, s.Failed.Format(time.RFC3339), read)
		return bad(subject, code, store.Warning, text, why, "correct it at the server or in feedback.mailbox; `broadside feedback poll` tries it now")
	case s.Read.IsZero() || now.Sub(s.Read) > every+overdue:
		return bad(subject, code, store.Warning, "is not read: "+read, why, "start `broadside scheduler`, or `broadside all`; `broadside feedback poll` reads it now")
	}
	text := fmt.Sprintf("%s; %d messages in all", read, s.Stored)
	if s.Quarantined > 0 {
		text += fmt.Sprintf(", and %d in quarantine that could not be used", s.Quarantined)
	}
	return good(subject, code, text)
}
