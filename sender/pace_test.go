package sender

import (
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/ledger"
	"broadside/throttle"
)

// lateSlot is how late a body may be for the slots of these tests.
const lateSlot = 20 * time.Millisecond

func momentAt(at time.Time) moment { return moment{at, at.Add(lateSlot)} }

func momentsAt(at ...time.Time) (all []moment) {
	for _, t := range at {
		all = append(all, momentAt(t))
	}
	return all
}

// A body that is ready leaves at the earliest slot that is still good, also where that
// was meant for a message that is not ready yet; that one has the later slot then.
func TestReadyBodiesTradeSlots(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, tt := range []struct {
		name   string
		mine   time.Duration // from now
		others []time.Duration
		ready  []bool // others that wait for theirs
		want   time.Duration
		left   []time.Duration // to the others
	}{
		{name: "its own is the earliest", mine: 5 * ms, others: []time.Duration{9 * ms}, ready: []bool{false}, want: 5 * ms, left: []time.Duration{9 * ms}},
		{name: "another is earlier", mine: 9 * ms, others: []time.Duration{5 * ms, -3 * ms, 2 * ms}, ready: make([]bool, 3), want: -3 * ms, left: []time.Duration{9 * ms, 5 * ms, 2 * ms}},
		{name: "the other one waits for it", mine: 9 * ms, others: []time.Duration{5 * ms}, ready: []bool{true}, want: 9 * ms, left: []time.Duration{5 * ms}},
		{name: "the other one is nearly over", mine: 9 * ms, others: []time.Duration{-19 * ms}, ready: []bool{false}, want: 9 * ms, left: []time.Duration{-19 * ms}},
		{name: "its own is over", mine: -30 * ms, others: []time.Duration{40 * ms}, ready: []bool{false}, want: 40 * ms, left: []time.Duration{-30 * ms}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := time.Now()
			mine := &slot{moment: momentAt(now.Add(tt.mine))}
			p := &pace{booked: []*slot{mine}}
			var others []*slot
			for i, at := range tt.others {
				others = append(others, &slot{moment: momentAt(now.Add(at)), ready: tt.ready[i]})
			}
			p.booked = append(p.booked, others...)

			if got := p.ready(now, mine).at.Sub(now); got != tt.want {
				t.Errorf("leaves after %s, want %s", got, tt.want)
			}
			var left []time.Duration
			for _, other := range others {
				left = append(left, other.at.Sub(now))
			}
			if diff := cmp.Diff(tt.left, left); diff != "" {
				t.Errorf("slots of the others (-want +got):\n%s", diff)
			}
		})
	}
}

// A slot that comes back is taken by the next message if its time is still to come, and
// is kept for giving back if it is over. Neither is booked any more.
func TestSlotsComeBack(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := &pace{slots: momentsAt(now.Add(time.Second), now.Add(3*time.Second))}
	p.limits.Store(&limits{all: []throttle.Limit{{Account: "a", Rate: 0.1}}})
	soon, over := &slot{moment: momentAt(now.Add(2 * time.Second))}, &slot{moment: momentAt(now.Add(-time.Second))}
	p.booked = []*slot{over, soon}
	p.giveBack(now, soon)
	p.giveBack(now, over)

	want := momentsAt(now.Add(time.Second), now.Add(2*time.Second), now.Add(3*time.Second))
	if diff := cmp.Diff(want, p.slots, cmp.AllowUnexported(moment{})); diff != "" {
		t.Errorf("slots (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]time.Time{over.at}, p.unused); diff != "" {
		t.Errorf("unused (-want +got):\n%s", diff)
	}
	if len(p.booked) > 0 {
		t.Errorf("%d slots are still booked", len(p.booked))
	}
}

// A delivery whose transaction ended without a word, as after a panic, leaves no slot booked.
func TestATransactionThatBeginsHoldsNoOldSlot(t *testing.T) {
	t.Parallel()
	p := &pace{}
	p.limits.Store(&limits{all: []throttle.Limit{{Account: "a", Rate: 100}}})
	s := &slot{moment: momentAt(time.Now().Add(time.Minute))}
	p.booked = []*slot{s}
	life := &lifetime{begin: t.Context()}
	a := newAccount(&Config{Log: slog.New(slog.DiscardHandler)}, life, AccountConfig{Name: "relay", Connections: 1})
	rcpt := &recipient{run: &run{handle: &ledger.Run{ID: "news-1"}}}
	rcpt.lane = a.lanes.of(rcpt)
	d := &delivery{tools: tools{a: a, life: life}}
	d.begin(rcpt)
	d.current.pace, d.current.slot = p, s

	d.begin(rcpt)
	if len(p.booked) > 0 || len(p.slots) != 1 {
		t.Errorf("%d slots are booked and %d are free, want 0 and 1", len(p.booked), len(p.slots))
	}
}
