package sender

import (
	"sync"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// An account that had trouble is open again as soon as its server takes an
// envelope or refuses one for the recipient's own sake.
func TestAnAnswerOpensTheAccountAgain(t *testing.T) {
	t.Parallel()
	for _, refusal := range []string{"", "550 5.7.1 not for you"} {
		b := newFixture(t, "ada@example.org", "next@example.org")
		b.stepByStep(&scriptedServer{rcpt: func(string) string { return refusal }}, b.supp, func(h *stepper) {
			l := h.lane()
			h.a.lanes.breaker.failures = 1 // as closings do
			h.deliver(t.Context())
			if h.a.lanes.breaker.failures != 0 {
				t.Errorf("%q: %d failures of the account, want none", refusal, h.a.lanes.breaker.failures)
			}
			if l.speed.measured.IsZero() {
				t.Errorf("%q: the pace of the lane is not measured", refusal)
			}
		})
	}
}

// What a server says after the body is heeded with another envelope under way,
// as it is without.
func TestAReplyToTheBodyIsHeededUnderOverlap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, dot, cell    string
		suppressed, closed bool // the address; the account
	}{
		{name: "unknown", dot: "550 5.1.1 no such user", cell: "b1", suppressed: true},
		{name: "refused", dot: "554 5.7.1 policy", cell: "f1"},
		{name: "not logged in", dot: "530 5.7.0 authentication required", cell: "-0", closed: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, people("p", 3)...)
			b.issue()
			b.stepByStep(&scriptedServer{dot: func(string) string { return tt.dot }}, b.supp, func(h *stepper) {
				h.deliver(t.Context())
				if h.d.unrecorded.rcpt == nil || h.d.current == nil {
					t.Fatalf("%s: want an envelope under way", h)
				}
				h.deliver(t.Context())
				if closed := h.a.lanes.breaker.closedUntil.After(time.Now()); closed != tt.closed || closed && len(h.waiting()) > 0 {
					t.Errorf("%s; closed %t, want %t", h, closed, tt.closed)
				}
				if h.d.current != nil {
					h.deliver(t.Context())
				}
			})
			cells := b.cells()
			for _, to := range b.to[:2] {
				if cells[to] != tt.cell {
					t.Errorf("%s: %s, want %s", to, cells[to], tt.cell)
				}
				found, err := b.supp.Check(t.Context(), to)
				if err != nil || len(found) != 1 || found[0].Suppressed != tt.suppressed {
					t.Errorf("%s: suppression %+v, %v", to, found, err)
				}
			}
			b.settledAll()
		})
	}
}

// A recipient at which one connection after the other has had enough is not tried
// at once for ever.
func TestAtOnceIsNotForEver(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	b.issue()
	b.stepByStep(&scriptedServer{rcpt: func(string) string { return "421 4.7.0 too many messages in this session" }}, b.supp, func(h *stepper) {
		n := 0
		for ; n < 2*maxTries && len(h.waiting()) > 0; n++ {
			h.deliver(t.Context())
		}
		if state := h.lane().throttled.State(time.Now()); n != maxTries+1 || state != throttle.LaneOpen {
			t.Errorf("tried %d times, then the lane is %s; want %d, and the lane open", n, state, maxTries+1)
		}
		h.expectHeld()
	})
	if cell := b.cells()["ada@example.org"]; cell != "-0" {
		t.Errorf("cell %s, want it pending", cell)
	}
}

// A limit of messages that a server names without closing is one of this
// connection: another takes the recipient, and the lane stays open.
func TestAConnectionThatHasHadEnoughIsReplaced(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org", "next@example.org")
	var mu sync.Mutex
	refusals := 0
	j := &scriptedServer{}
	j.rcpt = func(to string) string {
		j.mu.Lock()
		conns := len(j.conns)
		j.mu.Unlock()
		mu.Lock()
		defer mu.Unlock()
		if to == "next@example.org" && conns == 1 {
			refusals++
			return "452 4.5.3 too many messages in this session"
		}
		return ""
	}
	b.stepByStep(j, b.supp, func(h *stepper) {
		for range 3 { // ada, next, next again
			h.deliver(t.Context())
		}
		if state := h.lane().throttled.State(time.Now()); state != throttle.LaneOpen {
			t.Errorf("the lane is %s", state)
		}
	})
	mu.Lock()
	defer mu.Unlock()
	if refusals != 1 {
		t.Errorf("asked %d times over the same connection", refusals)
	}

	for to, cell := range b.cells() {
		if cell != "a1" {
			t.Errorf("%s: %s", to, cell)
		}
	}

	b.settledAll()
}

// A row of failures pauses the run under overlap as it does without.
func TestARowOfFailuresUnderOverlapPausesTheRun(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("p", sameFailures+10)...)
	j := &scriptedServer{dot: func(string) string { return "554 transaction failed" }}
	j.listen(t)
	b.toServer(j.l.Addr().String(), 1)
	b.work(b.supp, func(campaign.Counts) bool {
		rec, err := b.ledger.Record(t.Context(), "news-1")
		if err != nil {
			t.Fatal(err)
		}
		return rec.State == campaign.Paused
	})
	for to, cell := range b.cells() {
		if cell != "-0" {
			t.Errorf("%s: %s, want it pending: what stopped the run ends no recipient", to, cell)
		}
	}

	b.settledAll()
}
