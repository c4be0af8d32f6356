package throttle

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// most returns the largest number of times in any window of that width.
func most(times []time.Time, width time.Duration) int {
	sorted := slices.SortedFunc(slices.Values(times), time.Time.Compare)
	best, first := 0, 0
	for i, t := range sorted {
		for t.Sub(sorted[first]) >= width {
			first++
		}
		best = max(best, i-first+1)
	}
	return best
}

// A lane is a user of slots, as a sending lane is: it asks, and asks again when
// it was told to.
type lane struct {
	account  string
	acctRate float64
	run      string
	runRate  float64
	lead     time.Duration
	n        int
}

func (l lane) limits() []Limit {
	return []Limit{{Account: l.account, Rate: l.acctRate}, {Campaign: l.run, Rate: l.runRate}}
}

// collect lets a lane ask until the end and returns the slots before it.
func (l lane) collect(ctx context.Context, t *testing.T, p *Pacer, end time.Time) (slots []time.Time, calls int) {
	for time.Now().Before(end) {
		asked := time.Now()
		grant, err := p.Reserve(ctx, Request{Limits: l.limits(), Lead: l.lead, N: l.n})
		if err != nil {
			t.Error(err)
			return slots, calls
		}
		calls++
		for _, s := range grant.Slots {
			if s.Before(asked.Add(l.lead - 20*time.Millisecond)) {
				t.Errorf("slot %v before the lane can be ready, want %v", s.Sub(asked), l.lead)
			}
			if s.Before(end) {
				slots = append(slots, s)
			}
		}
		wait := time.NewTimer(time.Until(grant.Again))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return slots, calls
		}
	}
	return slots, calls
}

// race runs the lanes, each in a process of its own as far as Redis can tell, and
// returns the slots of each.
func race(t *testing.T, addr string, lua func(string) *redis.Script, d time.Duration, lanes []lane) [][]time.Time {
	t.Helper()
	end := time.Now().Add(d)
	all := make([][]time.Time, len(lanes))
	var wg sync.WaitGroup
	for i, l := range lanes {
		p := New(client(t, addr), "bs", lua, nil)
		wg.Go(func() {
			var calls int
			all[i], calls = l.collect(t.Context(), t, p, end)
			if limit := int(d/time.Millisecond) / 5; calls > limit {
				t.Errorf("lane %d asked %d times in %v, want at most %d", i, calls, d, limit)
			}
		})
	}
	wg.Wait()
	return all
}

func TestThreeWorkersNeverExceedTheRate(t *testing.T) {
	t.Parallel()
	const rate = 200
	tests := []struct {
		name    string
		seconds int
		lane    lane
	}{
		{"account", 5, lane{account: "a", acctRate: rate, run: "r", lead: 5 * time.Millisecond, n: 64}},
		{"run", 2, lane{account: "a", run: "r", runRate: rate, lead: 5 * time.Millisecond, n: 64}},
		{"both", 2, lane{account: "a", acctRate: 1000, run: "r", runRate: rate, lead: 5 * time.Millisecond, n: 64}},
		{"single slots", 2, lane{account: "a", acctRate: rate, run: "r", n: 1}},
	}
	for _, where := range places {
		for _, test := range tests {
			t.Run(where.name+"/"+test.name, func(t *testing.T) {
				t.Parallel()
				addr, lua := where.open(t)
				seconds := test.seconds
				if where.name == "embedded" {
					seconds = min(seconds, 2)
				}
				all := race(t, addr, lua, time.Duration(seconds)*time.Second, []lane{test.lane, test.lane, test.lane})
				slots := slices.Concat(all...)
				if got := most(slots, time.Second); got > rate {
					t.Errorf("got %d slots within a second, want at most %d", got, rate)
				}
				if len(slots) == 0 { // how many there are in a second is TestModelWindows'
					t.Error("got no slots")
				}
			})
		}
	}
}

// Two runs that could each take three quarters of an account, and a lane that
// needs a second to come to its body.
func TestRunsShareAnAccount(t *testing.T) {
	t.Parallel()
	const seconds = 3
	for _, where := range places {
		t.Run(where.name, func(t *testing.T) {
			t.Parallel()
			addr, lua := where.open(t)
			quick := lane{account: "a", acctRate: 200, run: "r1", runRate: 150, lead: 5 * time.Millisecond, n: 64}
			second := quick
			second.run = "r2"
			slow := quick
			slow.lead, slow.n = time.Second, 5
			all := race(t, addr, lua, seconds*time.Second, []lane{quick, second, slow})
			if got := most(slices.Concat(all...), time.Second); got > 200 {
				t.Errorf("account: got %d slots within a second, want at most 200", got)
			}
			for name, run := range map[string][]time.Time{"r1": slices.Concat(all[0], all[2]), "r2": all[1]} {
				if got := most(run, time.Second); got > 150 {
					t.Errorf("run %s: got %d slots within a second, want at most 150", name, got)
				}
			}
			for i, slots := range all {
				if len(slots) == 0 {
					t.Errorf("lane %d got no slots", i)
				}
			}
		})
	}
}

func TestWithoutLimitsRedisIsNotAsked(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	if err := rdb.Close(); err != nil {
		t.Fatal(err)
	}
	p := New(rdb, "bs", redis.NewScript, nil)
	grant, err := p.Reserve(t.Context(), Request{Limits: []Limit{{Account: "a"}, {Campaign: "r"}}, Lead: time.Second, N: 3})
	if err != nil {
		t.Fatal(err)
	}
	slots := grant.Slots
	if len(slots) != 3 || time.Until(slots[2]) > 0 {
		t.Errorf("got slots %v, want 3 that are due now", slots)
	}
	if _, err := p.Reserve(t.Context(), Request{Limits: []Limit{{Account: "a", Rate: 1}}, N: 1}); err == nil {
		t.Error("got no error from a client that is closed")
	}
}
