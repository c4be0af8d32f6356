package sender

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// Whatever keeps the next recipient from a body, its slot is for another, and it
// waits on unless something became of it.
func TestASlotThatIsNotUsedIsGivenBack(t *testing.T) {
	t.Parallel()
	const ada, next = "ada@example.org", "next@example.org"
	for _, tt := range []struct {
		name           string
		rcpt, dot      string // what the server says to next's RCPT, to ada's message
		suppressed     bool   // says the claim
		twin           int    // which one another worker has sent to, after the look: 1 is ada, 2 next
		steps          int
		adas, nexts    string // cells
		waiting, ahead bool   // afterwards: next waits; the server may have been asked about it
	}{
		{name: "refused", rcpt: "550 5.7.1 not for you", steps: 2, adas: "a1", nexts: "f1", ahead: true},
		{name: "the connection has had enough", dot: "421 4.3.2 going down", steps: 1, adas: "-0", nexts: "-0", waiting: true},
		{name: "the connection takes no more messages", dot: "452 4.5.3 too many messages in this session", steps: 1, adas: "-0", nexts: "-0", waiting: true, ahead: true},
		{name: "the server does not follow", dot: "550 5.5.0 improper command pipelining", steps: 1, adas: "-0", nexts: "-0", waiting: true, ahead: true},
		{name: "the one before is suppressed", suppressed: true, steps: 1, adas: "x0", nexts: "-0", waiting: true},
		{name: "the one before has a twin", twin: 1, steps: 1, adas: "a1", nexts: "-0", waiting: true},
		{name: "it has a twin", twin: 2, steps: 1, adas: "a1", nexts: "a1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, ada, next)
			twin := b.twin()
			var asked sync.Map
			j := &scriptedServer{dot: func(string) string { return tt.dot }, rcpt: func(to string) string {
				asked.Store(to, true)
				if to == next {
					return tt.rcpt
				}
				if tt.twin > 0 {
					b.settleAs(twin, tt.twin-1)
				}
				return ""
			}}
			b.stepByStep(j, &suppressionAnswers{answer: func(int64) bool { return tt.suppressed }}, func(h *stepper) {
				slot := h.slots(30*time.Second, time.Hour)
				for range tt.steps {
					h.deliver(t.Context())
				}
				h.expectSlots(slot)
				if full := h.r.fullLooks.Load() > 0; full != tt.suppressed {
					t.Errorf("looks ask for suppressions: %t", full)
				}
				if got := len(h.waiting()) == 1; got != tt.waiting || h.d.current != nil || h.d.next != nil || h.d.unrecorded.rcpt != nil || h.d.conn != nil {
					t.Error(h)
				}
				h.expectHeld()
			})
			want := map[string]string{ada: tt.adas, next: tt.nexts}
			if diff := cmp.Diff(want, b.cells()); diff != "" {
				t.Errorf("cells (-want +got):\n%s", diff)
			}
			b.settledAll()
			if _, got := asked.Load(next); got && !tt.ahead {
				t.Error("the server was asked about next")
			}
		})
	}
}

// A slot that is far needs no envelope yet: its recipient waits in the lane until
// it is near, and the body goes alone.
func TestAnEnvelopeDoesNotGoLongBeforeItsSlot(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	b.stepByStep(&scriptedServer{}, b.supp, func(h *stepper) {
		slot := h.slots(30*time.Minute, time.Minute)
		h.deliver(t.Context())
		h.expectSlots(slot)
		if waiting := h.waiting(); len(waiting) != 1 || h.d.current != nil {
			t.Fatal(h)
		}
		if got := h.lane().slotFrom(time.Now(), h.r); !got.Equal(slot.Add(-time.Minute)) {
			t.Errorf("the next is looked at %s before its slot, want 1m", slot.Sub(got))
		}
		h.expectHeld()
	})
	b.settledAll()
}

// asked is called for each claim, right before it goes to Redis.
type asked func()

func (a asked) Queue(context.Context, redis.Pipeliner) func(string, [16]byte, string) func() (bool, error) {
	return func(string, [16]byte, string) func() (bool, error) {
		a()
		return func() (bool, error) { return false, nil }
	}
}

// Before the slot of the next one has come, the outcome is recorded and no recipient
// is claimed; how long a message takes is known afterwards.
func TestNoRecipientIsClaimedLongBeforeTheSlot(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	var slot time.Time
	var asking time.Duration
	claims := 0
	l := asked(func() {
		if slot.IsZero() {
			return // it is the first
		}
		claims++
		if early := time.Until(slot); early > asking {
			t.Errorf("claimed %s before the slot, a claim takes %s", early, asking)
		}
		cells, err := b.ledger.Page(context.Background(), b.run, 0, 0)
		if err != nil || cells[0].State != campaign.Accepted {
			t.Errorf("the one before: %+v, %v", cells, err)
		}
	})
	b.stepByStep(&scriptedServer{}, l, func(h *stepper) {
		h.slots(2*time.Second, time.Hour)
		h.deliver(t.Context())
		if h.d.unrecorded.rcpt == nil || h.d.current == nil {
			t.Fatalf("%s: want an envelope under way", h)
		}
		slot, asking = h.pace().at(h.d.current.slot), h.d.claimTime
		h.deliver(t.Context())
		if claims != 1 {
			t.Errorf("%d claims of the second, want 1", claims)
		}
		if each := h.pace().each; each <= 0 || each > time.Hour {
			t.Errorf("a message takes %s", each)
		}
	})
	b.settledAll()
}

// A body leaves at its slot or at most lateSlot after it, within the life of
// its claim. The time that the next one waits for it is no time of its own.
func TestTheGate(t *testing.T) {
	t.Parallel()
	const s, ms = time.Second, time.Millisecond
	for _, tt := range []struct {
		name  string
		slot  time.Duration   // from now; 0: none is needed
		asked time.Duration   // since the claim was asked for
		more  []time.Duration // slots at hand
		again time.Duration   // when slots are to be had again; they are at hand then
		stop  time.Duration   // when the work ends; 0: not
		want  bool
		took  time.Duration
	}{
		{name: "no limit", want: true},
		{name: "no limit, at the end of the work", stop: -s},
		{name: "soon", slot: 50 * ms, want: true, took: 50 * ms},
		{name: "just in time", slot: -lateSlot, want: true},
		{name: "missed", slot: -lateSlot - ms, more: []time.Duration{3 * s}, want: true, took: 3 * s},
		{name: "missed, and no other before the claim is too old", slot: -lateSlot - ms, again: claimLife + s},
		{name: "missed, another in a while", slot: -lateSlot - ms, again: 2 * s, more: []time.Duration{2 * s}, want: true, took: 2 * s},
		{name: "the work ends meanwhile", slot: 5 * s, stop: 2 * s, took: 2 * s},
		{name: "the work ends before another slot", slot: -lateSlot - ms, again: 5 * s, stop: 2 * s, took: 2 * s},
		{name: "the claim is too old", slot: 0, asked: claimLife},
		{name: "the claim is too old then", slot: 9 * s, asked: 2 * s, took: 9 * s},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				life := &lifetime{begin: ctx}
				a := newAccount(&Config{Log: slog.New(slog.DiscardHandler)}, life, AccountConfig{Name: "relay", Connections: 1, Rate: 2})
				r := &run{handle: &ledger.Run{ID: "news-1"}}
				d := &delivery{tools: tools{a: a, life: life}}
				now := time.Now()
				rcpt := &recipient{run: r}
				rcpt.lane = a.lanes.of(rcpt)
				d.begin(rcpt)
				j := d.current
				d.next = d.other()
				d.reset(d.next, rcpt)
				j.pace.lead = 0
				if tt.slot != 0 {
					j.slot = &slot{moment: momentAt(now.Add(tt.slot))}
				}
				var more []moment
				for _, at := range tt.more {
					more = append(more, momentAt(now.Add(at)))
				}
				if j.pace.slots = more; tt.again > 0 {
					j.pace.slots, j.pace.again = nil, now.Add(tt.again)
					time.AfterFunc(tt.again-ms, func() {
						j.pace.mu.Lock()
						defer j.pace.mu.Unlock()
						j.pace.slots = more
					})
				}
				if tt.stop > 0 {
					time.AfterFunc(tt.stop, stop)
				} else if tt.stop < 0 {
					stop()
				}
				if got := d.gate(j, now.Add(-tt.asked)); got != tt.want || time.Since(now) != tt.took {
					t.Errorf("%t after %s, want %t after %s", got, time.Since(now), tt.want, tt.took)
				}
				if waited := d.next.taken.Sub(now); waited != tt.took {
					t.Errorf("the next one is taken to have waited %s for it, want %s", waited, tt.took)
				}
			})
		})
	}
}
