package ledger

import (
	"testing"

	"broadside/campaign"
)

// A server may take ten minutes for its last reply, and the worker make a
// hundred thousand other claims in the meantime.
func TestAnOpenClaimOutlivesTheRing(t *testing.T) {
	t.Parallel()
	l := backends["redis"](t)
	ctx := t.Context()
	id := "one"
	run := newRun(t, l, "r", 3)
	n := line(t, l)
	m := member(t, l, &id)
	claim := func(i int) Entry {
		e := m.Ask(Ref{run, 0, i})
		c, err := n.Claim(ctx, Ref{run, 0, i}, e.Token, SuppressionKey{})
		if err != nil || !c.Held {
			t.Fatalf("claim of %d: %+v, %v", i, c, err)
		}
		m.Journal().Open(e, c.Attempt)
		return e
	}
	round := func() {
		for range journalSize {
			m.Journal().Close(m.Ask(Ref{run, 0, 2}), Outcome{State: campaign.Pending})
		}
	}
	review := func(want string) {
		t.Helper()
		if err := m.review(ctx); err != nil {
			t.Fatal(err)
		}
		if got := states(t, l, run, 0); got != want {
			t.Fatalf("cells %s, want %s", got, want)
		}
	}
	slow := claim(0)
	missed := claim(1)
	round()
	review("ss.")
	m.Journal().Close(slow, Outcome{State: campaign.Deferred})
	if ok, err := n.Settle(ctx, Ref{run, 0, 0}, slow.Token, Outcome{State: campaign.Deferred, Reply: Reply{Code: 451}}); !ok || err != nil {
		t.Errorf("settle: %v, %v", ok, err)
	}
	if got := m.journal.sent(); len(got) != 2 || got[0].token() != slow.Token || got[1].token() != missed.Token {
		t.Errorf("a restored Redis would be told of %d claims, want the two that were sent", len(got))
	}

	m.Journal().Close(missed, Outcome{State: campaign.Accepted}) // its settle was missed
	review("da.")
	round()
	m.Journal().Open(m.Ask(Ref{run, 0, 2}), 1)
	round()
	if n := len(m.journal.slow); n != 1 {
		t.Errorf("%d entries are kept beside the ring, want only the one that is open", n)
	}
}
