package doctor

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/outgoing"
	"broadside/internal/presence"
	"broadside/internal/store"
)

// webhooks says which receivers of outgoing webhooks are told what happens. With the
// embedded store none is.
func (d *Doctor) webhooks(ctx context.Context) []Finding {
	if d.Store.Embedded() || len(d.Config.Webhooks) == 0 {
		return nil
	}
	all, err := d.Webhooks.List(ctx)
	if err != nil {
		return []Finding{unknown("webhooks", codes.Webhook, err)}
	}
	alive, err := d.Processes.List(ctx)
	if err != nil {
		return []Finding{unknown("webhooks", codes.Webhook, err)}
	}

	served := presence.Count(alive, presence.Scheduler) > 0
	var out []Finding
	for _, s := range all {
		out = append(out, webhookFinding(s, served))
	}
	return out
}

func webhookFinding(s outgoing.Status, served bool) Finding {
	const code = codes.Webhook
	subject := "webhook " + s.URL
	waiting := s.Waiting + s.Retried
	switch {
	case s.URL == "":
		return bad("webhook "+s.ID, code, store.Warning, fmt.Sprintf("it is not configured any more; events that wait: %d, dead: %d", waiting, s.Dead),
			"they are not sent", "write its url into webhooks again, as it was, to have them sent; else leave them")
	case s.Dead > 0 || s.Dropped > 0:
		text := fmt.Sprintf("dead events: %d", s.Dead)
		if s.Dropped > 0 {
			text += fmt.Sprintf("; dropped, because there was no room: %d", s.Dropped)
		}
		return bad(subject, code, store.Warning, text, "its receiver does not know what happened: "+s.Failure,
			"`broadside webhook ls --dead` lists them; when the receiver is well, `broadside webhook retry --all` sends the dead again")
	case !served && waiting > 0:
		return bad(subject, code, store.Warning, fmt.Sprintf("no scheduler is alive; events that wait: %d", waiting), "they are not sent", "start `broadside scheduler`, or `broadside all`")
	case s.Failing:
		return bad(subject, code, store.Warning, fmt.Sprintf("the last try failed at %s: %s; events that wait: %d", s.FailedAt.Format(time.RFC3339), s.Failure, waiting),
			"its receiver does not know what happens", "`broadside webhook test` tries it now")
	}
	return good(subject, code, fmt.Sprintf("events delivered in the last day: %d, waiting: %d", s.LastDay, waiting))
}
