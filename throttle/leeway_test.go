package throttle

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Slots of a quiet line have leeway, and then others want all that it gives: no second has
// more bodies than the limit, although Redis goes back to what it was in between, and the
// workers tell it what they were given.
func TestLeewayExceedsNoLimit(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	withLeeway := 0
	rapid.Check(t, func(rt *rapid.T) {
		b.m.FlushAll()
		for i := range b.pacers {
			b.pacers[i] = New(b.rdb, "bs", plain, nil)
		}
		rate := rapid.SampledFrom([]float64{100, 400, 1000, 4000}).Draw(rt, "rate")
		limits := []Limit{{Account: "a", Rate: rate}}
		b.quiet(rt, limits...)
		saved := b.save(rt)
		var bodies []body

		call := func(n int, pause time.Duration) {
			if rapid.IntRange(0, 5).Draw(rt, "failover") == 0 && b.now.Sub(saved.at) < time.Minute {
				b.load(rt, saved)
				for _, p := range b.pacers {
					if err := p.Replay(rt.Context()); err != nil {
						rt.Fatal(err)
					}
				}
			}
			worker := b.pacers[rapid.IntRange(0, 1).Draw(rt, "worker")]
			points, late, err := b.points(t.Context(), worker, limits, 5*time.Millisecond, n)
			if err != nil {
				rt.Fatal(err)
			}
			if late == leeway {
				withLeeway += len(points)
			}
			for _, p := range points {
				bodies = append(bodies, body{p, late.Microseconds()})
			}
			b.advance(pause)
		}
		for range rapid.IntRange(1, 8).Draw(rt, "quiet calls") {
			pause := time.Duration(rapid.IntRange(0, 250).Draw(rt, "pause")) * time.Millisecond
			call(rapid.IntRange(1, int(rate/10)).Draw(rt, "slots"), pause)
		}
		for range rapid.IntRange(0, 16).Draw(rt, "busy calls") {
			call(int(rate), 100*time.Millisecond)
		}

		if most := mostBodies(bodies, time.Second); most > int(rate) {
			rt.Fatalf("%d bodies in a second, want at most %v", most, rate)
		}
	})
	if withLeeway == 0 {
		t.Error("no slot had leeway")
	}
}

// A line of which more than half is used gives no leeway, and all of it is to be had.
func TestBusyLinesGiveNoLeeway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Rate: 1000}}
	b.quiet(t, limits...)
	points, late := 0, map[time.Duration]int{}
	for i := range 100 {
		got, l, err := b.points(t.Context(), b.pacers[i%2], limits, 5*time.Millisecond, 60)
		if err != nil {
			t.Fatal(err)
		}
		late[l]++
		if i >= 40 {
			points += len(got)
		}
		b.advance(50 * time.Millisecond)
	}
	if late[leeway] > 15 {
		t.Errorf("%d of 100 calls got leeway, want it only at the beginning", late[leeway])
	}
	if points < 2880 {
		t.Errorf("%d slots in the last 3 s, want at least 2880", points)
	}
}

// Leeway begins now, so that it is of no use where the way to a body is longer: there slots
// begin behind that way. Those of a quota alone always do.
func TestLeewayCoversTheWayToABody(t *testing.T) {
	t.Parallel()
	rate := []Limit{{Account: "a", Rate: 1000}}
	quota := []Limit{{Account: "a", Quotas: []Quota{{Name: "day", Messages: 30, Window: 24 * time.Hour}}}}
	for _, tt := range []struct {
		name   string
		limits []Limit
		lead   time.Duration
		late   time.Duration
		from   time.Duration // the first slot
	}{
		{"a short way", rate, 5 * time.Millisecond, leeway, 0},
		{"a long way", rate, 400 * time.Millisecond, lateness, 400 * time.Millisecond},
		{"a quota", quota, 5 * time.Millisecond, leeway / 2, 5 * time.Millisecond},
		{"a quota and a long way", quota, 400 * time.Millisecond, leeway / 2, 400 * time.Millisecond},
	} {
		b := newBench(t)
		if tt.limits[0].Rate > 0 {
			b.quiet(t, tt.limits...)
		}
		points, late, err := b.points(t.Context(), b.pacers[0], tt.limits, tt.lead, 3)
		if err != nil || len(points) != 3 || late != tt.late {
			t.Fatalf("%s: got points %v, late %s, error %v, want three, late %s", tt.name, points, late, err, tt.late)
		}
		if from := time.Duration(points[0]-b.now.UnixMicro()) * time.Microsecond; from != tt.from {
			t.Errorf("%s: the first slot is in %s, want %s", tt.name, from, tt.from)
		}
	}
}
