package outgoing

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"broadside/configs"
	"broadside/internal/outage"
	"broadside/internal/queue"
)

// A Sender sends what is in the queues. It is safe for concurrent use.
type Sender struct {
	receivers  []*receiver
	deliveries *queue.Deliveries
	register   *Register
	log        *slog.Logger
	now        func() time.Time
	pause      func(failed int, asked time.Duration) (time.Duration, bool) // pauseAfter
	forward    time.Duration                                               // see queue.DeliveryConfig
}

// NewSender returns the sender of some receivers, which configs.Load has checked.
func NewSender(webhooks []configs.Webhook, d *queue.Deliveries, r *Register, log *slog.Logger) (*Sender, error) {
	s := &Sender{deliveries: d, register: r, log: log, now: time.Now, pause: pauseAfter}
	for _, w := range webhooks {
		to, err := newReceiver(w)
		if err != nil {
			return nil, err
		}
		s.receivers = append(s.receivers, to)
	}
	return s, nil
}

// Run sends until ctx ends. Requests that are under way then have five seconds; after
// that the next process sends them again.
func (s *Sender) Run(ctx context.Context) error {
	gate := outage.NewGate(outage.NewNotice(s.log,
		"redis gives no webhooks away: looking again every second", "redis gives webhooks away again"))
	g, ctx := errgroup.WithContext(ctx)
	for _, to := range s.receivers {
		log := s.log.With("webhook", to.String())
		way := &line{
			sender: s, to: to,
			fails: outage.NewNotice(log, "webhook is not taken by its receiver", "webhook is taken again"),
			dies:  outage.NewNotice(log, "webhooks are dead: see broadside webhook ls --dead", "webhooks are delivered again"),
		}
		g.Go(func() error {
			defer to.close()
			return s.deliveries.Serve(ctx, queue.DeliveryConfig{
				Receiver: to.ID(), AtOnce: atOnce, Gate: gate, Forward: s.forward, Log: s.log,
			}, way.deliver)
		})
	}
	return g.Wait()
}

// A line is the way to one receiver.
type line struct {
	sender *Sender
	to     *receiver
	fails  *outage.Notice // while tries fail
	dies   *outage.Notice // while events die
}

// deliver sends one event, and says what becomes of it as queue.Deliveries.Serve wants
// to know it.
func (l *line) deliver(ctx context.Context, v queue.Delivery, failed int) error {
	now := l.sender.now()
	answer, err := l.to.post(ctx, v.ID, v.Body, now)
	if err == nil {
		err = answer.Refusal()
	}
	if ctx.Err() != nil {
		return &queue.Later{After: time.Second, Err: fmt.Errorf("the process ended: %w", ctx.Err())}
	}

	l.fails.Note(err)
	if err == nil {
		l.dies.Note(nil)
		l.note(l.sender.register.delivered(ctx, l.to.Webhook, now))
		return nil
	}
	l.note(l.sender.register.failed(ctx, l.to.Webhook, err.Error(), now))

	wait, more := l.sender.pause(failed, askedFor(answer, now))
	if answer.Status == http.StatusGone || !more {
		l.dies.Note(err, "id", v.ID, "tries", failed+1)
		return err
	}
	return &queue.Later{After: wait, Err: err}
}

// askedFor returns the pause that an answer asks for.
func askedFor(a Answer, now time.Time) time.Duration {
	if a.Status != http.StatusTooManyRequests && a.Status != http.StatusServiceUnavailable {
		return 0
	}
	return retryAfter(a.header, now)
}

// note logs that what was only for people to see could not be stored.
func (l *line) note(err error) {
	if err != nil {
		l.sender.log.Debug("what became of a webhook is not on record", "webhook", l.to.String(), "err", err)
	}
}
