package outgoing

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"broadside/configs"
	"broadside/internal/failure"
)

// Forget removes everything that Redis has of a receiver that is not configured any more,
// and returns how many events waited for it or were dead. which is its URL, as it stood in
// the configuration, or the ID that List has for it. The error is of the kind
// failure.ErrRefused for one that is configured, and failure.ErrInvalid where nothing is
// known of it.
func (w *Webhooks) Forget(ctx context.Context, which string) (int, error) {
	id := which
	if strings.Contains(which, "://") {
		id = configs.Webhook{URL: which}.ID()
	}
	for _, r := range w.Receivers {
		if r.ID() == id || r.String() == which {
			return 0, failure.Refused(fmt.Sprintf("%s is configured: take it out of webhooks, and restart what runs with it, before you forget it", r))
		}
	}

	receivers, err := w.Deliveries.Receivers(ctx)
	if err != nil {
		return 0, err
	}
	has := slices.Contains(receivers, id)
	n := 0
	if has {
		if n, err = w.Deliveries.Forget(ctx, id); err != nil {
			return 0, err
		}
	}
	noted, err := w.Register.forget(ctx, id)
	if err != nil {
		return n, err
	}
	if !has && !noted {
		return 0, failure.Invalid("nothing is known of such a receiver: `broadside webhook ls` shows the ids of those that are not configured; a URL is written as it stood in the configuration, with its query")
	}
	return n, nil
}

// forget forgets how a receiver fares, and reports whether anything was known.
func (r *Register) forget(ctx context.Context, id string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	n, err := r.rdb.Del(ctx, r.keyOf(id)).Result()
	if err != nil {
		return false, fmt.Errorf("forget how a webhook fares: %w", err)
	}
	return n > 0, nil
}
