package throttle

import (
	"testing"
	"time"
)

// Redis goes back to what it was before: each process makes its own count good.
func TestQuotaInARedisThatWentBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Quotas: []Quota{{Name: "day", Messages: 10, Window: 24 * time.Hour}}}}
	b.wantSlots(t, b.pacers[0], limits, 2, 2)
	b.advance(4 * time.Minute)
	b.m.FlushAll()
	b.wantSlots(t, b.pacers[0], limits, 3, 3)
	b.wantSlots(t, b.pacers[1], limits, 3, 3)
	for range 2 {
		b.m.FlushAll()
		for _, p := range b.pacers {
			if err := p.Replay(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	grant, _ := b.wantSlots(t, b.pacers[1], limits, 10, 2)
	b.m.FlushAll()
	b.pacers[1].GiveBack(t.Context(), limits, grant.Slots) // tells what it was given, too
	if err := b.pacers[0].Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantSlots(t, b.pacers[0], limits, 10, 2)
}

// So it is with slots: no one is given one again.
func TestSlotsInARedisThatWentBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Rate: 1}}
	b.wantSlots(t, b.pacers[0], limits, 1, 1)
	b.m.FlushAll()
	b.wantSlots(t, b.pacers[0], limits, 1, 0)
	b.m.FlushAll()
	if err := b.pacers[0].Replay(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.wantSlots(t, b.pacers[1], limits, 1, 0)
	b.advance(1100 * time.Millisecond)
	b.wantSlots(t, b.pacers[1], limits, 1, 1)
}

// Free points behind others that were given are not given again either.
func TestHolesInARedisThatWentBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Rate: 100}}
	_, _, err := b.points(t.Context(), b.pacers[0], limits, time.Second, 1)
	if err != nil {
		t.Fatal(err)
	}
	before := b.save(t)
	b.advance(time.Millisecond)
	first, _, err := b.points(t.Context(), b.pacers[1], limits, 0, 10)
	if err != nil || len(first) != 10 {
		t.Fatalf("got points %v, error %v, want 10", first, err)
	}
	b.load(t, before)
	second, _, err := b.points(t.Context(), b.pacers[1], limits, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range second {
		if p <= first[9] {
			t.Errorf("got point %d again, want later ones than %d", p, first[9])
		}
	}
}
