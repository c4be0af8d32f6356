package forecast

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"pgregory.net/rapid"

	"broadside/campaign"
	"broadside/throttle"
)

// A burst is messages that an account sends evenly from one moment to another, in
// seconds.
type burst struct{ from, to, messages float64 }

// within is how many of them leave in a window.
func (b burst) within(from, to float64) float64 {
	if b.to <= b.from {
		if b.from > from && b.from <= to {
			return b.messages
		}
		return 0
	}
	part := min(b.to, to) - max(b.from, from)
	return b.messages * max(0, part) / (b.to - b.from)
}

func sumWithin(all []burst, from, to float64) (n float64) {
	for _, b := range all {
		n += b.within(from, to)
	}
	return n
}

// drawAccount draws an account with limits of all kinds.
func drawAccount(t *rapid.T, name string) Account {
	a := Account{
		Name: name, Weight: rapid.IntRange(0, 3).Draw(t, "weight"), Connections: rapid.IntRange(1, 20).Draw(t, "connections"),
		Rate: rapid.SampledFrom([]float64{0, 0.05, 3, 14, 100}).Draw(t, "rate"), Lanes: map[string]Lane{},
	}
	for _, lane := range []string{"gmail", "microsoft", "slow.example"} {
		if rapid.Bool().Draw(t, "has a lane") {
			a.Lanes[lane] = Lane{Rate: rapid.SampledFrom([]float64{0.02, 1, 20}).Draw(t, "lane rate"), Connections: rapid.IntRange(0, 2).Draw(t, "lane connections")}
		}
	}

	var rolling []throttle.Quota
	if rapid.Bool().Draw(t, "has an hour") {
		rolling = append(rolling, hour(rapid.IntRange(50, 5000).Draw(t, "hour")))
	}
	if rapid.Bool().Draw(t, "has a day") {
		rolling = append(rolling, day(rapid.IntRange(500, 20000).Draw(t, "day")))
	}
	days := rapid.SliceOfN(rapid.IntRange(0, 3000), 0, 5).Draw(t, "warm-up")
	a.Quotas = func(now time.Time) []throttle.Quota { return append(warmup(days...)(now), rolling...) }
	for _, q := range rolling {
		u := throttle.Usage{Quota: q}
		for range rapid.IntRange(0, 3).Draw(t, "releases") {
			n := rapid.IntRange(0, q.Messages-u.Used).Draw(t, "used")
			u.Used += n
			u.Releases = append(u.Releases, throttle.Release{At: noon.Add(time.Duration(len(u.Releases)+1) * q.Window / 5), Messages: n})
		}
		a.Used = append(a.Used, u)
	}
	return a
}

// drawInput draws a run by so many accounts at most.
func drawInput(t *rapid.T, accounts int) Input {
	in := Input{
		Now: noon, Rate: rapid.SampledFrom([]float64{0, 0, 5, 50}).Draw(t, "rate"),
		Canary: rapid.SampledFrom([]int{0, 0, 10}).Draw(t, "canary"), CanaryWait: 30 * time.Minute,
	}
	for i := range rapid.IntRange(1, accounts).Draw(t, "accounts") {
		in.Accounts = append(in.Accounts, drawAccount(t, fmt.Sprintf("a%d", i)))
	}
	for _, p := range []campaign.Provider{campaign.Other, "gmail", "microsoft"} {
		in.People = append(in.People, people(p, rapid.Int64Range(0, 3000).Draw(t, string(p))))
	}
	if in.Canary == 0 {
		for range rapid.IntRange(0, 4).Draw(t, "waves") {
			in.Waves = append(in.Waves, Wave{
				At:         noon.Add(time.Duration(rapid.IntRange(-60, 26*60).Draw(t, "minutes")) * time.Minute),
				Recipients: float64(rapid.IntRange(0, 2000).Draw(t, "of the wave")),
			})
		}
	}
	in.People = append(in.People, People{Provider: campaign.Other, Domain: "slow.example", Number: rapid.Int64Range(0, 50).Draw(t, "of a domain")})
	return in
}

// No limit is ever exceeded, however they are combined, and everybody is counted once.
func TestForecastKeepsEveryLimit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, 3)
		s := newSimulation(in)
		bursts := make([][]burst, len(in.Accounts))
		for i, a := range in.Accounts {
			for _, u := range a.Used {
				for _, r := range u.Releases {
					bursts[i] = append(bursts[i], used(u.Quota, r))
				}
			}
		}
		s.sent = func(i int, from, to, messages float64) {
			bursts[i] = append(bursts[i], burst{from, to, messages})
			checkRates(t, s)
		}
		f := s.run().result()
		for i, a := range in.Accounts {
			checkQuotas(t, a, bursts[i])
		}
		checkPeople(t, in, f)
	})
}

// used is messages that stop counting at a moment, as they were sent.
func used(q throttle.Quota, r throttle.Release) burst {
	at := r.At.Add(-q.Window).Sub(noon).Seconds()
	return burst{at, at, float64(r.Messages)}
}

func checkRates(t *rapid.T, s *simulation) {
	const slack = 1 + 1e-6
	total := 0.0
	for _, a := range s.accounts {
		sum := 0.0
		for _, l := range a.lanes {
			sum += l.rate
			if most := a.Lanes[l.name].Rate; most > 0 && l.rate > most*slack {
				t.Fatalf("%s/%s sends %g/s, its ceiling is %g/s", a.Name, l.name, l.rate, most)
			}
		}
		if a.Rate > 0 && sum > a.Rate*slack {
			t.Fatalf("%s sends %g/s, its limit is %g/s", a.Name, sum, a.Rate)
		}
		if most := float64(a.Connections) / PerMessage.Seconds(); sum > most*slack {
			t.Fatalf("%s sends %g/s, its connections allow %g/s", a.Name, sum, most)
		}
		total += sum
	}
	if s.in.Rate > 0 && total > s.in.Rate*slack {
		t.Fatalf("%g/s are sent, the campaign's limit is %g/s", total, s.in.Rate)
	}
}

// checkQuotas looks at every window that ends or begins where a burst does, and at every
// day of the warm-up. What was used before counts for the quota that it was counted by.
func checkQuotas(t *rapid.T, a Account, all []burst) {
	const slack = 0.01
	for _, u := range a.Used {
		window := u.Quota.Window.Seconds()
		var own []burst
		for _, b := range all {
			if b.from >= 0 {
				own = append(own, b)
			}
		}
		for _, r := range u.Releases {
			own = append(own, used(u.Quota, r))
		}
		for _, b := range own {
			for _, from := range []float64{b.from, b.to - window} {
				if n := sumWithin(own, from, from+window); from+window >= 0 && n > float64(u.Quota.Messages)+slack {
					t.Fatalf("%s: %g messages in the %s from %g s on, the quota is %d", a.Name, n, u.Quota.Window, from, u.Quota.Messages)
				}
			}
		}
	}
	for at := noon; at.Before(noon.AddDate(0, 0, 7)); at = at.AddDate(0, 0, 1) {
		for _, q := range a.Quotas(at) {
			from, to := q.Begin.Sub(noon).Seconds(), q.End.Sub(noon).Seconds()
			if n := sumWithin(all, max(0, from), to); q.Window == 0 && n > float64(q.Messages)+slack {
				t.Fatalf("%s: %g messages on day %s of the warm-up, which allows %d", a.Name, n, q.Begin, q.Messages)
			}
		}
	}
}

// checkPeople compares the people of the forecast with those of the input, lane by lane.
func checkPeople(t *rapid.T, in Input, f Forecast) {
	want, got := map[string]int64{}, map[string]int64{}
	for _, p := range in.People {
		want[string(p.Provider)] += p.Number
	}
	var last time.Time
	for _, l := range f.Lanes {
		name := l.Lane
		if name == "slow.example" {
			name = string(campaign.Other)
		}
		got[name] += l.Recipients
		if l.Recipients <= 0 || !l.Finish.IsZero() && l.Finish.Before(l.Starts) {
			t.Fatalf("a lane is %+v", l)
		}
		if l.Finish.After(last) {
			last = l.Finish
		}
	}
	maps.DeleteFunc(want, func(_ string, n int64) bool { return n == 0 })
	if !maps.Equal(want, got) {
		t.Fatalf("people in lanes: %v, want %v", got, want)
	}
	if len(want) > 0 && !f.Finish.IsZero() && f.Finish.Sub(last).Abs() > time.Second {
		t.Fatalf("finishes at %v, its last lane at %v", f.Finish, last)
	}
}

// With more people a run takes longer.
func TestForecastGrowsWithPeople(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t, 1)
		in.Canary = 0
		before := Of(in)
		more := in
		more.People = append([]People{}, in.People...)
		more.People[rapid.IntRange(0, len(in.People)-1).Draw(t, "where")].Number += rapid.Int64Range(1, 500).Draw(t, "more")
		after := Of(more)
		if before.Finish.IsZero() && !after.Finish.IsZero() || !after.Finish.IsZero() && after.Finish.Before(before.Finish.Add(-time.Millisecond)) {
			t.Fatalf("finishes at %v, and with more people at %v", before.Finish, after.Finish)
		}
	})
}
