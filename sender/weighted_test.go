package sender

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/ledger"
)

// refOf names a recipient of a run.
func refOf(index int) ledger.Ref {
	return ledger.Ref{Run: &ledger.Run{ID: "news-1"}, Part: 1, Index: index}
}

func orderOf(w weighted, index int) []string { return slices.Collect(w.order(refOf(index))) }

// Each account gets its part of the recipients, and comes first for that of another
// where this one is left out.
func TestAccountsGetTheirPart(t *testing.T) {
	t.Parallel()
	const n = 20_000
	for _, tt := range []struct {
		name string
		ways weighted
		want map[string]float64
	}{
		{"one", weighted{{"a", 0}}, map[string]float64{"a": 1}},
		{"equal", weighted{{"a", 1}, {"b", 1}}, map[string]float64{"a": 0.5, "b": 0.5}},
		{"three to one", weighted{{"a", 3}, {"b", 1}}, map[string]float64{"a": 0.75, "b": 0.25}},
		{"one in reserve", weighted{{"a", 0}, {"b", 1}, {"c", 4}}, map[string]float64{"b": 0.2, "c": 0.8}},
		{"all in reserve", weighted{{"a", 0}, {"b", 0}}, map[string]float64{"a": 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := map[string]float64{}
			for i := range n {
				got[orderOf(tt.ways, i)[0]] += 1.0 / n
			}
			near := cmp.Comparer(func(a, b float64) bool { return a-b < 0.015 && b-a < 0.015 })
			if diff := cmp.Diff(tt.want, got, near); diff != "" {
				t.Errorf("parts (-want +got):\n%s", diff)
			}
		})
	}
}

// A recipient tries every account once, those in reserve last, and in the same order
// wherever and whenever: with the accounts named in another order, and with one less.
func TestARecipientKeepsTheirOrder(t *testing.T) {
	t.Parallel()
	ways := weighted{{"a", 1}, {"b", 2}, {"c", 3}, {"reserve", 0}}
	turned := weighted{{"reserve", 0}, {"c", 3}, {"b", 2}, {"a", 1}}
	without := weighted{{"a", 1}, {"c", 3}, {"reserve", 0}}
	orders := map[string]int{}
	for i := range 1000 {
		order := orderOf(ways, i)
		if len(order) != 4 || order[3] != "reserve" {
			t.Fatalf("recipient %d tries %v", i, order)
		}
		if again := orderOf(turned, i); !slices.Equal(order, again) {
			t.Fatalf("recipient %d tries %v, and %v when they are named in another order", i, order, again)
		}
		rest := slices.DeleteFunc(slices.Clone(order), func(name string) bool { return name == "b" })
		if again := orderOf(without, i); !slices.Equal(rest, again) {
			t.Fatalf("recipient %d tries %v, and %v without b", i, order, again)
		}
		orders[order[0]+order[1]+order[2]]++
	}
	if len(orders) != 6 {
		t.Errorf("orders of three accounts: %v, want all six", orders)
	}
}

// Recipients of another run, or of another part, are divided in another way.
func TestRunsAndPartsAreDividedOnTheirOwn(t *testing.T) {
	t.Parallel()
	ways := weighted{{"a", 1}, {"b", 1}}
	first := func(ref ledger.Ref) string {
		for name := range ways.order(ref) {
			return name
		}
		return ""
	}
	same := map[string]int{}
	for i := range 1000 {
		one := first(refOf(i))
		for what, ref := range map[string]ledger.Ref{
			"run":  {Run: &ledger.Run{ID: "news-2"}, Part: 1, Index: i},
			"part": {Run: &ledger.Run{ID: "news-1"}, Part: 2, Index: i},
		} {
			if first(ref) == one {
				same[what]++
			}
		}
	}
	for what, n := range same {
		if n < 400 || n > 600 {
			t.Errorf("another %s: %d of 1000 recipients have the same account, want about half", what, n)
		}
	}
}
