package outgoing

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/outage"
	"broadside/internal/queue"
)

const (
	// maxWaiting is how many events wait for a receiver. Each takes about 1 KB in Redis.
	maxWaiting = 20_000
	// taskTimeout is more than a request takes, so that asynq ends none.
	taskTimeout = 2 * sendWithin
)

// errFull is why events are dropped.
var errFull = errors.New("the queue of the receiver is full")

// An Outbox takes events, and puts them into the queue of each receiver that asked for
// them. It is safe for concurrent use.
type Outbox struct {
	namespace  string
	receivers  []configs.Webhook
	deliveries *queue.Deliveries
	register   *Register
	full       *outage.Notice
	now        func() time.Time
	most       int64
}

// NewOutbox returns the outbox of some receivers.
func NewOutbox(namespace string, receivers []configs.Webhook, d *queue.Deliveries, r *Register, log *slog.Logger) *Outbox {
	return &Outbox{
		namespace: namespace, receivers: receivers, deliveries: d, register: r, now: time.Now, most: maxWaiting,
		full: outage.NewNotice(log, "webhooks are dropped: too many wait for their receiver", "webhooks wait again and are not dropped"),
	}
}

// Wants reports whether a receiver asked for one of the events.
func (o *Outbox) Wants(events ...campaign.WebhookEvent) bool {
	return slices.ContainsFunc(o.receivers, func(w configs.Webhook) bool { return slices.ContainsFunc(events, w.Wants) })
}

// Announce tells what came back about recipients. nil means that it is in the queues, or
// was counted as dropped. After an error the same events can be put again: those that
// are there are left out.
func (o *Outbox) Announce(ctx context.Context, all []campaign.RecipientEvent) error {
	events, err := o.eventsOf(all)
	if err != nil {
		return err
	}
	dropped := map[int]int{} // by receiver: counted once all have theirs, so that a repetition does not count again
	for i, w := range o.receivers {
		mine := slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return !w.Wants(e.Type) })
		if len(mine) == 0 {
			continue
		}
		room, err := o.room(ctx, w)
		if err != nil {
			return err
		}
		if err := o.put(ctx, w, mine[:min(room, len(mine))]); err != nil {
			return err
		}
		dropped[i] = len(mine) - room
	}

	for i, n := range dropped {
		if err := o.drop(ctx, o.receivers[i], n); err != nil {
			return err
		}
	}
	return nil
}

// eventsOf makes events, each of them once.
func (o *Outbox) eventsOf(all []campaign.RecipientEvent) ([]Event, error) {
	var events []Event
	seen := map[string]bool{}
	for _, r := range all {
		e, err := ofRecipient(o.namespace, r, o.now())
		if err != nil {
			return nil, err
		}
		if !seen[e.ID] {
			seen[e.ID] = true
			events = append(events, e)
		}
	}
	return events, nil
}

// announceRun tells about a run, whatever waits already: there are few of these.
func (o *Outbox) announceRun(ctx context.Context, e Event) error {
	for _, w := range o.receivers {
		if !w.Wants(e.Type) {
			continue
		}
		if err := o.put(ctx, w, []Event{e}); err != nil {
			return err
		}
	}
	return nil
}

// room returns for how many events there is room in the queue of a receiver.
func (o *Outbox) room(ctx context.Context, w configs.Webhook) (int, error) {
	s, err := o.deliveries.Standing(ctx, w.ID())
	if err != nil {
		return 0, err
	}
	return int(max(0, o.most-s.Waiting-s.Retried)), nil
}

func (o *Outbox) put(ctx context.Context, w configs.Webhook, events []Event) error {
	all := make([]queue.Delivery, len(events))
	for i, e := range events {
		all[i] = queue.Delivery{ID: e.ID, Body: e.body}
	}
	return o.deliveries.Put(ctx, w.ID(), all, taskTimeout)
}

// drop counts n events, if it is more than none, for which there was no room.
func (o *Outbox) drop(ctx context.Context, w configs.Webhook, n int) error {
	if n <= 0 {
		o.full.Note(nil)
		return nil
	}
	o.full.Note(errFull, "webhook", w.String())
	return o.register.dropped(ctx, w, n)
}
