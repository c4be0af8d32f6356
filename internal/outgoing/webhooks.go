package outgoing

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"broadside/campaign/address"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/queue"
)

// Webhooks are all receivers as operators see them.
type Webhooks struct {
	Receivers  []configs.Webhook
	Deliveries *queue.Deliveries
	Register   *Register
}

// A Status is how one receiver stands. Its JSON is that of `webhook ls`.
type Status struct {
	URL         string     `json:"url"` // without its query; empty: it is not configured any more
	ID          string     `json:"id"`
	Events      []string   `json:"events"`
	Waiting     int64      `json:"waiting"`  // for their first try, or under way
	Retried     int64      `json:"retrying"` // for another try
	LastDay     int64      `json:"delivered_last_day"`
	Dead        int64      `json:"dead"`
	Dropped     int64      `json:"dropped"` // there was no room for them
	DeliveredAt *time.Time `json:"delivered_at"`
	FailedAt    *time.Time `json:"failed_at"`
	Failure     string     `json:"failure"` // of the last try that failed
	Failing     bool       `json:"failing"` // no try has succeeded since
}

// List returns how the receivers stand, and what waits for some that are not configured
// any more.
func (w *Webhooks) List(ctx context.Context) ([]Status, error) {
	all := []Status{}
	known := map[string]bool{}
	for _, r := range w.Receivers {
		known[r.ID()] = true
		s, err := w.status(ctx, r)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}

	others, err := w.Deliveries.Receivers(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(others)
	for _, id := range others {
		if known[id] {
			continue
		}
		s, err := w.Deliveries.Standing(ctx, id)
		if err != nil {
			return nil, err
		}
		if s != (queue.Standing{}) {
			all = append(all, Status{ID: id, Events: []string{}, Waiting: s.Waiting, Retried: s.Retried, Dead: s.Dead})
		}
	}
	return all, nil
}

func (w *Webhooks) status(ctx context.Context, r configs.Webhook) (Status, error) {
	s, err := w.Deliveries.Standing(ctx, r.ID())
	if err != nil {
		return Status{}, err
	}
	rec, err := w.Register.Record(ctx, r, time.Now())
	if err != nil {
		return Status{}, err
	}

	out := Status{
		URL: r.String(), ID: r.ID(), Waiting: s.Waiting, Retried: s.Retried, Dead: s.Dead,
		LastDay: rec.LastDay, Dropped: rec.Dropped, Failure: rec.Failure, Failing: rec.Failing(),
		DeliveredAt: orNil(rec.Delivered), FailedAt: orNil(rec.Failed),
	}
	for _, e := range r.Events {
		out.Events = append(out.Events, string(e))
	}
	return out, nil
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// A Dead is an event that is not tried any more. Its JSON is that of `webhook ls --dead`.
type Dead struct {
	ID    string    `json:"id"` // the webhook-id
	URL   string    `json:"url"`
	Type  string    `json:"type"`
	Run   string    `json:"run"`
	Made  time.Time `json:"timestamp"`
	Tries int       `json:"tries"`
	At    time.Time `json:"failed_at"`
	Error string    `json:"error"`

	receiver string // its ID
}

// Dead calls do for each dead event, until it returns false.
func (w *Webhooks) Dead(ctx context.Context, do func(Dead) bool) error {
	more := true
	for _, r := range w.Receivers {
		err := w.Deliveries.EachDead(ctx, r.ID(), func(d queue.DeadDelivery) bool {
			what := aboutOf(d.Body)
			more = do(Dead{
				ID: d.ID, URL: r.String(), Type: what.Type, Run: what.Data.Run, Made: what.Timestamp,
				Tries: d.Tries, At: d.At, Error: d.Error, receiver: r.ID(),
			})
			return more
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// Retry lets a dead event be tried once more at each receiver where it is dead, and
// returns at how many. id is a webhook-id, or the beginning of one. The error is of the
// kind failure.ErrInvalid when it is no dead event, or that of several.
func (w *Webhooks) Retry(ctx context.Context, id string) (int, error) {
	found := map[string][]string{} // receivers by id: elsewhere the same event may not be dead
	err := w.Dead(ctx, func(d Dead) bool {
		if id != "" && strings.HasPrefix(d.ID, id) {
			found[d.ID] = append(found[d.ID], d.receiver)
		}
		return true
	})
	if err != nil {
		return 0, err
	}

	whole := id
	for only := range found {
		if len(found) == 1 {
			whole = only
		}
	}
	switch {
	case len(found) == 0:
		return 0, failure.Invalid("there is no dead webhook " + id + "; `broadside webhook ls --dead` lists them")
	case found[whole] == nil:
		return 0, failure.Invalid(id + " is the beginning of several dead webhooks: write more of it")
	}

	n := 0
	for _, receiver := range found[whole] {
		err := w.Deliveries.Again(receiver, whole)
		if errors.Is(err, queue.ErrNoDelivery) {
			continue // somebody else was faster
		}
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// RetryAll lets all dead events be tried once more, and returns how many they are. The
// number of those that were dropped begins at 0 again: they are gone.
func (w *Webhooks) RetryAll(ctx context.Context) (int, error) {
	total := 0
	for _, r := range w.Receivers {
		n, err := w.Deliveries.AllAgain(ctx, r.ID())
		total += n
		if err != nil {
			return total, err
		}
		if err := w.Register.forgetDropped(ctx, r); err != nil {
			return total, err
		}
	}
	return total, nil
}

// Erase takes what is to be told about an address out of all queues, also of receivers
// that are not configured any more, and returns how many events these were. A dry run
// changes nothing.
func (w *Webhooks) Erase(ctx context.Context, a address.Address, dryRun bool) (int, error) {
	receivers, err := w.Deliveries.Receivers(ctx)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, receiver := range receivers {
		n, err := w.Deliveries.Remove(ctx, receiver, func(body []byte) bool {
			named, err := address.Parse(aboutOf(body).Data.Recipient)
			return err == nil && named.Canonical() == a.Canonical()
		}, dryRun)
		total += n
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// Test sends an example to a receiver, signed, now and once, and returns what it
// answered. Nothing is stored. The error is about the way there.
func Test(ctx context.Context, w configs.Webhook) (Answer, error) {
	to, err := newReceiver(w)
	if err != nil {
		return Answer{}, err
	}
	defer to.close()

	now := time.Now()
	e, err := ofTest("msg_test"+strings.ToLower(rand.Text()[:16]), now)
	if err != nil {
		return Answer{}, err
	}
	return to.post(ctx, e.ID, e.body, now)
}
