package throttle

import (
	"testing"
	"time"
)

func at(d time.Duration) time.Time { return noon.Add(d) }

// wantLane fails unless the lane is in a state at a rate then.
func wantLane(t *testing.T, l Lane, d time.Duration, state LaneState, rate float64) {
	t.Helper()
	if got := l.State(at(d)); got != state {
		t.Errorf("after %v: got state %s, want %s", d, got, state)
	}
	if got := l.Rate(at(d)); got < rate-1e-9 || got > rate+1e-9 {
		t.Errorf("after %v: got rate %v, want %v", d, got, rate)
	}
}

func TestLaneHalvesAndClimbs(t *testing.T) {
	t.Parallel()
	l := Lane{}.Slow(at(0), Signal{Rate: 80, Ceiling: 200, Code: "BS-S", Reason: "too fast"})
	wantLane(t, l, 0, LaneSlowed, 40)
	wantLane(t, l, 59*time.Second, LaneSlowed, 40)
	wantLane(t, l, time.Minute, LaneSlowed, 50)
	wantLane(t, l, 3*time.Minute, LaneSlowed, 70)
	wantLane(t, l, 4*time.Minute, LaneSlowed, 72) // 0.9 of 80
	wantLane(t, l, 5*time.Minute, LaneSlowed, 76)
	wantLane(t, l, 35*time.Minute, LaneSlowed, 196)
	wantLane(t, l, 36*time.Minute, LaneOpen, 0)
	if got := l.NextClimb(at(90 * time.Second)); !got.Equal(at(2 * time.Minute)) {
		t.Errorf("got the next climb at %v, want in the second minute", got)
	}
	if got := l.NextClimb(at(time.Hour)); !got.IsZero() {
		t.Errorf("got a next climb at %v of an open lane, want none", got)
	}
	if l.Since != at(0) || l.Code != "BS-S" || l.Reason != "too fast" {
		t.Errorf("got %+v, want why and since when", l)
	}
}

func TestLaneWithoutCeiling(t *testing.T) {
	t.Parallel()
	l := Lane{}.Slow(at(0), Signal{Rate: 100})
	wantLane(t, l, 8*time.Minute, LaneSlowed, 90)
	wantLane(t, l, 62*time.Minute, LaneSlowed, 198)
	wantLane(t, l, 63*time.Minute, LaneOpen, 0) // twice what was too much
	l = Lane{}.Slow(at(0), Signal{Rate: 100, Block: true})
	l = l.Resume(at(5*time.Hour + 50*time.Minute))
	wantLane(t, l, 5*time.Hour+59*time.Minute, LaneSlowed, 92)
	wantLane(t, l, 6*time.Hour, LaneOpen, 0) // forgotten
}

// The rate of a lane never lies above the one that was too much, nor below the least.
func TestLaneHasAFloor(t *testing.T) {
	t.Parallel()
	for _, s := range []Signal{{}, {Rate: 0.001}, {Rate: 0.02, Ceiling: 100}} {
		l := Lane{}.Slow(at(0), s)
		wantLane(t, l, 0, LaneSlowed, minLevel)
	}
}

// What comes within 30 s is the same trouble; what comes later pauses.
func TestLanePausesAtTheSecondSlowDown(t *testing.T) {
	t.Parallel()
	s := Signal{Rate: 200, Ceiling: 200}
	l := Lane{}.Slow(at(0), s)
	if got := l.Slow(at(29*time.Second), s); got != l {
		t.Errorf("after 29 s: got %+v, want no change", got)
	}
	l = l.Slow(at(30*time.Second), s)
	wantLane(t, l, 31*time.Second, LanePaused, 50)
	if want := at(5*time.Minute + 30*time.Second); l.Until != want {
		t.Errorf("got paused until %v, want %v", l.Until, want)
	}
	if got := l.Slow(at(2*time.Minute), s); got != l {
		t.Errorf("in the pause: got %+v, want no change", got)
	}
	first := Lane{}.Slow(at(0), s)
	if got := first.Slow(at(10*time.Minute), s); got.State(at(10*time.Minute)) != LaneSlowed {
		t.Errorf("after ten minutes: got %+v, want only slowed", got)
	}
}

// A probe that is refused makes the next pause longer, up to the longest; one that is
// accepted ends it. An hour later pauses begin with the shortest again.
func TestLaneProbes(t *testing.T) {
	t.Parallel()
	l := Lane{}.Slow(at(0), Signal{Rate: 60, Ceiling: 60, Block: true})
	wantLane(t, l, 0, LanePaused, 30)
	now := l.Until
	if _, ok := l.Probe(now.Add(-time.Second)); ok {
		t.Error("got a probe before the pause is over")
	}
	if _, changed := l.Accepted(now); changed {
		t.Error("a message from before the pause has ended it")
	}
	for _, want := range []time.Duration{15 * time.Minute, time.Hour, 4 * time.Hour, 4 * time.Hour} {
		var ok bool
		l, ok = l.Probe(now)
		if !ok {
			t.Fatal("got no probe after the pause")
		}
		if _, second := l.Probe(now.Add(59 * time.Second)); second {
			t.Error("got a second probe while the first is out")
		}
		if _, second := l.Probe(now.Add(time.Minute)); !second {
			t.Error("got no probe though the first is lost")
		}
		l = l.Slow(now, Signal{Rate: 1, Ceiling: 60})
		if got := l.Until.Sub(now); got != want {
			t.Errorf("got a pause of %v, want %v", got, want)
		}
		now = l.Until
	}
	l, _ = l.Probe(now)
	l, changed := l.Accepted(now.Add(time.Second))
	if !changed || l.State(now.Add(time.Second)) != LaneSlowed || l.Rate(now.Add(time.Second)) != 30 {
		t.Errorf("after the probe: got %+v, want slowed to 30/s", l)
	}
	if _, changed := l.Accepted(now.Add(2 * time.Second)); changed {
		t.Error("another message that is accepted changes the lane")
	}
	later := now.Add(2 * time.Hour)
	if got := l.Slow(later, Signal{Rate: 60, Block: true}).Until.Sub(later); got != 5*time.Minute {
		t.Errorf("hours later: got a pause of %v, want 5m", got)
	}
}

func TestLanePausesAsTheRuleSays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		signal Signal
		want   []time.Duration
	}{
		{Signal{Backoff: 10 * time.Minute, Factor: 3, MaxBackoff: time.Hour}, []time.Duration{10 * time.Minute, 30 * time.Minute, time.Hour, time.Hour}},
		{Signal{Backoff: 6 * time.Hour}, []time.Duration{6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 24 * time.Hour}},
	}
	for _, test := range tests {
		test.signal.Block = true
		l := Lane{}.Slow(at(0), test.signal)
		for i, want := range test.want {
			began := l.Until.Add(-want)
			if i == 0 && began != at(0) || i > 0 && began != l.probed.Add(0) && !l.probed.IsZero() {
				t.Errorf("%+v: pause %d ends at %v, want after %v", test.signal, i, l.Until, want)
			}
			now := l.Until
			l, _ = l.Probe(now)
			l = l.Slow(now, test.signal)
			if i+1 < len(test.want) && l.Until.Sub(now) != test.want[i+1] {
				t.Errorf("%+v: got pause %d of %v, want %v", test.signal, i+1, l.Until.Sub(now), test.want[i+1])
			}
		}
	}
}

// Trying more than is known to be too much is no offence.
func TestLaneGoesBackFromExploring(t *testing.T) {
	t.Parallel()
	l := Lane{}.Slow(at(0), Signal{Rate: 100, Ceiling: 200})
	l = l.Slow(at(5*time.Minute), Signal{Rate: 94, Ceiling: 200}) // 50 60 70 80 90 94
	wantLane(t, l, 5*time.Minute, LaneSlowed, 0.8*94)
	l = l.Slow(at(6*time.Minute), Signal{Rate: 30, Ceiling: 200}) // far below what it knows
	wantLane(t, l, 6*time.Minute, LanePaused, 15)
}

func TestLaneIsClosedUntilItIsReset(t *testing.T) {
	t.Parallel()
	slow := Signal{Rate: 60, Ceiling: 60}
	l := Lane{}.Slow(at(0), slow).Close(at(time.Minute), "BS-STORM", "20 of 200 were refused")
	l.From = at(-time.Minute)
	if got := l.Slow(at(time.Hour), slow).Close(at(2*time.Hour), "BS-OTHER", "again"); got != l {
		t.Errorf("got %+v, want it as it was", got)
	}
	if _, ok := l.Probe(at(time.Hour)); ok {
		t.Error("got a probe of a closed lane")
	}
	wantLane(t, l, 1000*time.Hour, LaneClosed, 30)
	wantLane(t, l.Resume(at(time.Hour)), time.Hour, LaneSlowed, 30)
	if got := l.Reset(); got != (Lane{}) {
		t.Errorf("got %+v, want a lane that knows nothing", got)
	}
	if got := (Lane{}).Close(at(0), "BS-X", "x").Resume(at(time.Hour)); got.State(at(time.Hour)) != LaneOpen || got.Code != "" {
		t.Errorf("got %+v, want an open lane", got)
	}
}

func TestTempoIsScaled(t *testing.T) {
	t.Parallel()
	tempo := DefaultTempo().Scaled(1.0 / 60)
	l := Lane{}.At(&tempo).Slow(at(0), Signal{Rate: 80, Ceiling: 200})
	wantLane(t, l, 3*time.Second, LaneSlowed, 70)
	l = l.Slow(at(500*time.Millisecond), Signal{Rate: 40, Ceiling: 200})
	if got := l.Until.Sub(at(500 * time.Millisecond)); got != 5*time.Second {
		t.Errorf("got a pause of %v, want 5s", got)
	}
}
