package throttle

import (
	"testing"
	"time"
)

func TestClockTrustsTheFastestRoundTrip(t *testing.T) {
	t.Parallel()
	base := time.Now()
	c := &clock{base: base}
	at := func(d time.Duration) time.Time { return base.Add(d) }
	const zero = int64(1_800_000_000_000_000) // Redis time at base

	tests := []struct {
		name           string
		sent, received time.Duration
		redis          int64
		stepped        bool
		error          time.Duration // of a conversion afterwards
	}{
		{"first, slow and lopsided", 0, 100 * time.Millisecond, zero + 90_000, false, 40 * time.Millisecond},
		{"faster", time.Second, time.Second + 2*time.Millisecond, zero + 1_001_000, false, 0},
		{"slow again", 2 * time.Second, 2*time.Second + 80*time.Millisecond, zero + 2_070_000, false, 0},
		{"a new epoch remembers", 17 * time.Second, 17*time.Second + 4*time.Millisecond, zero + 17_003_000, false, 0},
		{"but not for ever", 33 * time.Second, 33*time.Second + 8*time.Millisecond, zero + 33_007_000, false, time.Millisecond},
		{"an hour back", 34 * time.Second, 34*time.Second + 50*time.Millisecond, zero + 34_025_000 - 3_600_000_000, true, -time.Hour},
	}
	for _, test := range tests {
		if got := c.observe(test.redis, at(test.sent), at(test.received)); got != test.stepped {
			t.Errorf("%s: got stepped %v, want %v", test.name, got, test.stepped)
		}
		if got := at(50 * time.Second).Sub(c.local(zero + 50_000_000)); got != test.error {
			t.Errorf("%s: got an error of %v, want %v", test.name, got, test.error)
		}
	}
}

func TestClockIsSureOfWhatItSawLately(t *testing.T) {
	t.Parallel()
	base := time.Now()
	c := &clock{base: base}
	for i := range enough {
		if c.sure(base) {
			t.Errorf("sure after %d samples, want %d", i, enough)
		}
		c.observe(1, base, base)
	}
	for _, test := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {epochLength, true}, {3 * epochLength, false}} {
		if got := c.sure(base.Add(test.after)); got != test.want {
			t.Errorf("after %v: got sure %v, want %v", test.after, got, test.want)
		}
	}
}

func TestClockPerNode(t *testing.T) {
	t.Parallel()
	base := time.Now()
	single := &clocks{base: base, byTag: map[string]*clock{}}
	if single.of("{acct:a}") != single.of("{camp:r}") {
		t.Error("one Redis: got two clocks")
	}
	cs := &clocks{base: base, perTag: true, byTag: map[string]*clock{}}
	a, r := cs.of("{acct:a}"), cs.of("{camp:r}")
	a.observe(5_000_000, base, base)
	r.observe(7_000_000, base, base)
	if got := r.shift(a); got != -2_000_000 {
		t.Errorf("got a shift of %d us, want -2000000", got)
	}
	for range 2 * maxClocks {
		cs.of(time.Now().String()).lastUse = base.Add(-2 * time.Hour)
	}
	if got := len(cs.byTag); got > maxClocks+1 {
		t.Errorf("got %d clocks, want unused ones dropped", got)
	}
}
