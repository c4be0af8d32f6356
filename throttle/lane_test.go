package throttle

import (
	"math"
	"testing"
	"time"
)

var noon = time.Date(2026, 10, 25, 12, 0, 0, 0, time.UTC)

// A moment of what a lane did: the rate that it sent at, 0 while it sent nothing,
// and its state.
type moment struct {
	rate  float64
	state LaneState
}

// weather is what a server does at a moment: it takes so many messages a second, or
// with the signal that it answers more, or everything, with.
type weather func(since time.Duration) (limit float64, signal Signal)

// simulate lets a lane with a ceiling send for so long, and answers every second.
func simulate(tempo *Tempo, ceiling float64, d, tick time.Duration, server weather) []moment {
	lane := Lane{}.At(tempo)
	var moments []moment
	for since := time.Duration(0); since < d; since += tick {
		now := noon.Add(since)
		limit, signal := server(since)
		rate := lane.Rate(now)
		if rate == 0 {
			rate = ceiling
		}
		state := lane.State(now)
		if state == LanePaused || state == LaneClosed {
			rate = 0
		}
		probe := false
		lane, probe = lane.Probe(now)
		if rate > limit || probe && limit == 0 {
			signal.Rate, signal.Ceiling = rate, ceiling
			lane = lane.Slow(now, signal)
		} else if probe {
			lane, _ = lane.Accepted(now)
		}
		moments = append(moments, moment{rate, state})
	}
	return moments
}

// A server that takes 50 a second of 200: the lane finds out within an hour, and then
// stays between 35 and 50. Once the server takes all, it is back at its ceiling in the
// time that 2 % a minute take, and nothing has ever been sent faster than one step above.
func TestLaneSettlesBelowTheLimitOfTheServer(t *testing.T) {
	t.Parallel()
	const limit, ceiling = 50.0, 200.0
	lifted := 6 * time.Hour
	all := simulate(nil, ceiling, 8*time.Hour, time.Second, func(since time.Duration) (float64, Signal) {
		if since >= lifted {
			return math.Inf(1), Signal{}
		}
		return limit, Signal{Code: "BS-X"}
	})

	settled := all[int(time.Hour.Seconds()):int(lifted.Seconds())]
	low, high, sum := math.Inf(1), 0.0, 0.0
	for _, m := range settled {
		low, high, sum = min(low, m.rate), max(high, m.rate), sum+m.rate
	}
	mean := sum / float64(len(settled))
	if low < 35 || high > limit+explore*ceiling || mean < 40 {
		t.Errorf("settled between %.1f/s and %.1f/s, %.1f/s on average, want between 35/s and %v/s", low, high, mean, limit)
	}
	t.Logf("settled between %.1f/s and %.1f/s, %.1f/s on average", low, high, mean)

	back := 0
	for i := range all[int(lifted.Seconds()):] {
		if all[int(lifted.Seconds())+i].rate == ceiling {
			back = i
			break
		}
	}
	if want := (ceiling - low) / (explore * ceiling) * 60; back == 0 || float64(back) > want {
		t.Errorf("back at the ceiling after %d s, want within %.0f s", back, want)
	}
	t.Logf("back at the ceiling after %d s", back)
}
