package sender

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/throttle"
)

// A stepper does what the goroutine of one connection does, one step at a time.
type stepper struct {
	*fixture
	w *Worker
	a *account
	d *delivery
	r *run

	dialled func() // when the next connection is opened; nil: nothing
}

// stepByStep lets drive deliver to j, while all recipients wait in their lane.
func (b *fixture) stepByStep(j *scriptedServer, supp ledger.Suppressions, drive func(*stepper), more ...func(*Config)) {
	b.t.Helper()
	j.listen(b.t)
	h := &stepper{fixture: b}
	more = append(more, func(cfg *Config) {
		dial := cfg.Ways[0].SMTP.Dial
		cfg.Ways[0].SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if h.dialled != nil {
				h.dialled()
				h.dialled = nil
			}
			return dial(ctx, network, addr)
		}
		h.w = New(*cfg)
		cfg.Tasks = func(ctx context.Context, _ func(context.Context, campaign.Task)) error {
			<-ctx.Done()
			return nil
		}
	})
	b.toServer(j.l.Addr().String(), 3, more...) // a worker that has just begun leaves one for another
	b.work(supp, func(campaign.Counts) bool {
		h.a = h.w.accounts["sink"]
		h.d = h.w.newDelivery(h.a)
		for i := range b.to {
			h.w.handle(b.t.Context(), campaign.Task{Run: "news-1", Index: i})
		}
		var err error
		if h.r, err = h.w.runs.get(b.t.Context(), "news-1"); err != nil {
			b.t.Fatal(err)
		}
		defer func() {
			if h.d.conn != nil {
				h.d.discard()
			}
			if err := h.a.route.pool.Close(context.WithoutCancel(b.t.Context())); err != nil {
				b.t.Error(err)
			}
		}()
		drive(h)
		if err := h.w.recipients.giveBacks.flush(b.t.Context()); err != nil {
			b.t.Error(err)
		}
		return true
	})
}

// lane returns the lane of the recipients, who are of one domain.
func (h *stepper) lane() *lane { return h.a.lanes.byName["example.org"] }

// deliver takes the next recipient to its end, as serve does.
func (h *stepper) deliver(ctx context.Context) {
	h.t.Helper()
	if h.d.current == nil {
		rcpt, _ := h.a.next(time.Now(), nil)
		if rcpt == nil {
			h.t.Fatal("no recipient waits")
		}
		h.d.begin(rcpt)
	}
	h.d.life = &lifetime{begin: ctx, finish: h.t.Context()}
	h.d.deliver()
}

// waiting returns the recipients that wait in the lane.
func (h *stepper) waiting() (out []string) {
	h.a.mu.Lock()
	defer h.a.mu.Unlock()
	for _, l := range h.a.lanes.byName {
		for _, q := range l.normal.runs {
			for _, rcpt := range q.recipients {
				out = append(out, rcpt.row.Address.String())
			}
		}
	}
	return out
}

// String says what the connection has to do.
func (h *stepper) String() string {
	of := func(j *transaction) string {
		if j == nil {
			return "none"
		}
		return j.rcpt.row.Address.String()
	}
	return fmt.Sprintf("current %s, next %s, unrecorded %t, recording %t, connected %t; %q wait",
		of(h.d.current), of(h.d.next), h.d.unrecorded.rcpt != nil, h.d.recording != nil, h.d.conn != nil, h.waiting())
}

// expectHeld checks that the worker holds the recipients that wait, and no other.
func (h *stepper) expectHeld() {
	h.t.Helper()
	h.w.recipients.mu.Lock()
	defer h.w.recipients.mu.Unlock()
	if waiting := h.waiting(); len(h.w.recipients.held) != len(waiting) {
		h.t.Errorf("%d recipients are under way, %q wait", len(h.w.recipients.held), waiting)
	}
}

// expectOpen checks how many connections are open.
func (h *stepper) expectOpen(want int) {
	h.t.Helper()
	if open := h.a.route.connections(); open != want {
		h.t.Errorf("%d connections are open, want %d", open, want)
	}
}

// slots sets a limit as soon as the first recipient has got a connection
// without one: the next has a slot after a time, and its envelope may go early
// before.
func (h *stepper) slots(after, early time.Duration) (next time.Time) {
	next = time.Now().Add(after)
	h.dialled = func() {
		p := h.pace()
		p.limits.Store(&limits{all: []throttle.Limit{{Campaign: h.r.handle.ID, Rate: 1}}, made: time.Now().Add(time.Hour)})
		p.lead, p.spread, p.slots = 0, early/2, momentsAt(next)
	}
	return next
}

// pace returns the slots of runs without a rate.
func (h *stepper) pace() *pace { return h.a.paces[paceKey{}] }

// expectSlots compares the slots that are left.
func (h *stepper) expectSlots(want ...time.Time) {
	h.t.Helper()
	var got []time.Time
	for _, m := range h.pace().slots {
		got = append(got, m.at)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		h.t.Errorf("slots (-want +got):\n%s", diff)
	}
}

// A twin is another worker.
func (b *fixture) twin() *ledger.Line {
	line := b.ledger.Line(b.rdb, b.supp)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- line.Run(ctx) }()
	b.t.Cleanup(func() { stop(); <-ended })
	return line
}

// settleAs lets a twin be done with a recipient.
func (b *fixture) settleAs(twin *ledger.Line, index int) {
	ref := ledger.Ref{Run: b.run, Index: index}
	if c, err := twin.Claim(context.Background(), ref, "twin.1", ledger.SuppressionKey{Topic: "news"}); err != nil || !c.Held {
		b.t.Errorf("twin's claim: %+v, %v", c, err)
	}
	if _, err := twin.Settle(context.Background(), ref, "twin.1", ledger.Outcome{State: campaign.Accepted}); err != nil {
		b.t.Error(err)
	}
}
