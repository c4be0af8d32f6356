package throttle

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// ask reserves as a caller does; the times of the grant are made times of the store.
func (b *bench) ask(t *testing.T, p *Pacer, limits []Limit, n int) (grant Grant, spent *Spent) {
	t.Helper()
	grant, err := p.Reserve(t.Context(), Request{Limits: limits, N: n})
	if err != nil {
		t.Fatal(err)
	}
	if grant.Spent == nil {
		return grant, nil
	}
	until := p.clocks.of(limits[0].tag()).remote(grant.Spent.Until)
	return grant, &Spent{Account: grant.Spent.Account, Quota: grant.Spent.Quota, Until: time.UnixMicro(until).UTC()}
}

// wantSlots fails unless exactly so many slots are granted.
func (b *bench) wantSlots(t *testing.T, p *Pacer, limits []Limit, n, want int) (Grant, *Spent) {
	t.Helper()
	grant, spent := b.ask(t, p, limits, n)
	if len(grant.Slots) != want {
		t.Fatalf("at %v: got %d slots of %d, spent %+v, want %d", b.now, len(grant.Slots), n, spent, want)
	}
	return grant, spent
}

func (b *bench) used(t *testing.T, quotas []Quota) []Usage {
	t.Helper()
	got, err := b.pacers[0].Used(t.Context(), "a", quotas)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The message after the last of a day waits until the first has left the window,
// whichever process and whichever campaign asks, and goes then.
func TestQuotaOfADay(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{0, 1e6} {
		b := newBench(t)
		quotas := []Quota{{Name: "hour", Messages: 1000, Window: time.Hour}, {Name: "day", Messages: 500, Window: 24 * time.Hour}}
		account := Limit{Account: "a", Rate: rate, Quotas: quotas}
		one, two := []Limit{account}, []Limit{account, {Campaign: "r", Rate: 1e5}}
		start := b.now
		b.wantSlots(t, b.pacers[0], one, 300, 300)
		b.advance(time.Hour)
		b.wantSlots(t, b.pacers[1], two, 300, 200)
		for _, limits := range [][]Limit{one, two} {
			grant, spent := b.wantSlots(t, b.pacers[0], limits, 1, 0)
			if spent == nil || spent.Quota != "day" || spent.Account != "a" {
				t.Fatalf("got spent %+v, want the quota of the day", spent)
			}
			if d := spent.Until.Sub(start); d < 24*time.Hour || d > 24*time.Hour+6*time.Minute {
				t.Errorf("spent for %v, want for a day and a bucket", d)
			}
			if d := time.Until(grant.Again); d <= 0 || d > lookAgain {
				t.Errorf("got again in %v, want within %v", d, lookAgain)
			}
			if limits[0].Campaign == "" && len(limits) == 1 {
				b.set(spent.Until.Add(-time.Second))
			}
		}
		if u := b.used(t, quotas); u[1].Used != 500 || u[1].Until.IsZero() || u[0].Used != 0 || !u[0].Until.IsZero() {
			t.Errorf("got used %+v, want all of the day and nothing of the hour", u)
		}
		b.advance(time.Second)
		b.wantSlots(t, b.pacers[0], two, 400, 300)
		if u := b.used(t, quotas); u[1].Used != 500 {
			t.Errorf("got used %+v, want all of the day", u)
		}
	}
}

func TestQuotaIsChangedBetweenCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := func(messages int) []Limit {
		return []Limit{{Account: "a", Quotas: []Quota{{Name: "day", Messages: messages, Window: 24 * time.Hour}}}}
	}
	for i, step := range []struct{ messages, want int }{{10, 10}, {5, 0}, {10, 0}, {12, 2}, {0, 0}, {13, 1}} {
		grant, spent := b.ask(t, b.pacers[i%2], limits(step.messages), 100)
		if len(grant.Slots) != step.want || (spent == nil) != (step.want > 0) {
			t.Errorf("%d: a quota of %d: got %d slots, spent %+v, want %d", i, step.messages, len(grant.Slots), spent, step.want)
		}
	}
}

// A slot that is given back is free at once for others, but only once and only if
// it was counted.
func TestSlotsAreTakenOffTheQuota(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Rate: 1e5, Quotas: []Quota{
		{Name: "day", Messages: 10, Window: 24 * time.Hour},
		{Name: "warmup", Messages: 10, Begin: b.now.Add(-time.Hour), End: b.now.Add(time.Hour)},
	}}}
	grant, _ := b.wantSlots(t, b.pacers[0], limits, 10, 10)
	b.advance(4 * time.Minute) // into the next bucket
	b.wantSlots(t, b.pacers[0], limits, 1, 0)
	b.pacers[0].GiveBack(t.Context(), limits, grant.Slots[:3])
	b.wantSlots(t, b.pacers[1], limits, 10, 3)
	b.pacers[0].GiveBack(t.Context(), limits, grant.Slots[:10]) // of seven that were counted
	b.wantSlots(t, b.pacers[1], limits, 10, 7)
	b.wantSlots(t, b.pacers[0], limits, 10, 0)
}

// No slot lies outside a fixed stretch of time.
func TestQuotaOfAFixedStretch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	midnight := time.Date(2026, 10, 26, 0, 0, 0, 0, time.UTC)
	day := func(begin time.Time, messages int) []Limit {
		q := Quota{Name: "warmup", Messages: messages, Begin: begin, End: begin.Add(24 * time.Hour)}
		return []Limit{{Account: "a", Rate: 100, Quotas: []Quota{q}}}
	}
	first, second := day(midnight.Add(-24*time.Hour), 20), day(midnight, 40)
	b.set(midnight.Add(-100 * time.Millisecond))
	b.wantSlots(t, b.pacers[0], second, 1, 1) // 150 ms of the second day are within reach
	b.wantSlots(t, b.pacers[0], first, 30, 9) // and 100 ms of the first
	b.set(midnight.Add(-24 * time.Hour))
	b.m.FlushAll()
	b.wantSlots(t, b.pacers[1], first, 15, 15)
	b.advance(time.Second)
	b.wantSlots(t, b.pacers[1], first, 15, 5)
	_, spent := b.wantSlots(t, b.pacers[1], first, 15, 0)
	if spent == nil || !spent.Until.Equal(midnight) {
		t.Errorf("got spent %+v, want until %v", spent, midnight)
	}
	b.set(midnight)
	b.wantSlots(t, b.pacers[1], first, 15, 0)
	b.wantSlots(t, b.pacers[1], second, 20, 20)
}

// A clock that is set locks nothing for longer than the window.
func TestQuotaAndClocksThatAreSet(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{-240 * time.Hour, -3 * time.Hour, -2 * time.Second, 240 * time.Hour} {
		b := newBench(t)
		limits := []Limit{{Account: "a", Quotas: []Quota{{Name: "hour", Messages: 10, Window: time.Hour}}}}
		b.wantSlots(t, b.pacers[0], limits, 6, 6)
		b.advance(time.Minute)
		b.set(b.now.Add(step))
		want := 4
		if step > 0 {
			want = 10
		}
		b.wantSlots(t, b.pacers[0], limits, 20, want)
		b.wantSlots(t, b.pacers[1], limits, 20, 0)
		b.advance(time.Hour + 3*time.Minute)
		b.wantSlots(t, b.pacers[1], limits, 20, 10)
	}
}

// What was counted in a future that is none any more leaves the window in time,
// also while more is counted.
func TestQuotaAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	limits := []Limit{{Account: "a", Quotas: []Quota{{Name: "hour", Messages: 10, Window: time.Hour}}}}
	b.wantSlots(t, b.pacers[0], limits, 6, 6)
	b.set(b.now.Add(-3 * time.Hour))
	b.wantSlots(t, b.pacers[1], limits, 2, 2)
	b.advance(40 * time.Minute)
	b.wantSlots(t, b.pacers[0], limits, 20, 2)
	b.advance(30 * time.Minute)
	b.wantSlots(t, b.pacers[0], limits, 20, 8)
}

// The quotas on every kind of store.
func TestQuotaInEachPlace(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		now := time.Now()
		quotas := []Quota{
			{Name: "hour", Messages: 8, Window: time.Hour},
			{Name: "warmup", Messages: 9, Begin: now.Add(-time.Hour), End: now.Add(time.Hour)},
		}
		limits := []Limit{{Account: "a", Rate: 2000, Quotas: quotas}, {Campaign: "r", Rate: 1000}}
		p, other := New(rdb, "bs", lua, nil), New(rdb, "bs", lua, nil)
		reserve := func(p *Pacer, want int) Grant {
			t.Helper()
			grant, err := p.Reserve(t.Context(), Request{Limits: limits, Lead: time.Second, N: 20})
			if err != nil {
				t.Fatal(err)
			}
			if len(grant.Slots) != want {
				t.Fatalf("got %d slots, spent %+v, want %d", len(grant.Slots), grant.Spent, want)
			}
			return grant
		}
		grant := reserve(p, 8)
		spent := reserve(other, 0)
		if spent.Spent == nil || spent.Spent.Quota != "hour" || time.Until(spent.Spent.Until) < time.Hour {
			t.Errorf("got spent %+v, want the hour", spent.Spent)
		}
		p.GiveBack(t.Context(), limits, grant.Slots[:3])
		reserve(other, 3)
		usage, err := p.Used(t.Context(), "a", quotas)
		if err != nil || len(usage) != 2 || usage[0].Used != 8 || usage[1].Used != 8 || usage[0].Until.IsZero() || !usage[1].Until.IsZero() {
			t.Errorf("got used %+v, error %v, want 8 of each", usage, err)
		}
		for _, name := range []string{"hour", "warmup:" + strconv.FormatInt(now.Add(-time.Hour).Unix(), 10)} {
			key := "bs:{acct:a}:quota:" + name
			if ttl := rdb.PTTL(t.Context(), key).Val(); ttl < 47*time.Hour || ttl > 50*time.Hour {
				t.Errorf("%s lives for %v, want for two days", key, ttl)
			}
		}
	})
}

func TestQuotasThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	p := newBench(t).pacers[0]
	day := Quota{Name: "day", Messages: 1, Window: 24 * time.Hour}
	for want, limit := range map[string]Limit{
		"at an account alone": {Account: "a", Provider: "gmail", Quotas: []Quota{day}},
		"has no name":         {Account: "a", Quotas: []Quota{{Messages: 3, Window: time.Hour}}},
		"a length of time":    {Account: "a", Quotas: []Quota{{Name: "hour", Window: -time.Hour}}},
		"after its begin":     {Account: "a", Quotas: []Quota{{Name: "warmup"}}},
		"two quotas":          {Account: "a", Quotas: []Quota{day, day}},
		"an account alone":    {Account: "a", Provider: "gmail", Opens: true, Rate: 1},
	} {
		if _, err := p.Reserve(t.Context(), Request{Limits: []Limit{limit}, N: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got error %v, want %q", limit, err, want)
		}
	}
}

// A line that a low rate left is not waited for after the rate was raised.
func TestRaisedRateCountsSoon(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.wantSlots(t, b.pacers[0], []Limit{{Account: "a", Rate: 1.0 / 60}}, 1, 1)
	b.advance(reach)
	b.wantSlots(t, b.pacers[0], []Limit{{Account: "a", Rate: 100}}, 1, 0)
	b.advance(reach)
	b.wantSlots(t, b.pacers[0], []Limit{{Account: "a", Rate: 100}}, 1, 1)
}

// Connections are paced on a line of their own.
func TestConnectionsOpened(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.wantSlots(t, b.pacers[0], []Limit{{Account: "a", Opens: true, Rate: 1}}, 2, 1)
	b.wantSlots(t, b.pacers[0], []Limit{{Account: "a", Rate: 1}}, 2, 1)
	b.wantSlots(t, b.pacers[1], []Limit{{Account: "a", Opens: true, Rate: 1}}, 2, 0)
	_, err := b.pacers[0].Reserve(t.Context(), Request{Limits: []Limit{{Account: "a", Opens: true, Rate: 1}, {Account: "a", Rate: 1}}, N: 1})
	if err == nil || !strings.Contains(err.Error(), "alone") {
		t.Errorf("with another limit: got error %v, want one that says it stands alone", err)
	}
}

// What is used says when it stops counting, bucket by bucket.
func TestReleasesOfAQuota(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	quotas := []Quota{{Name: "hour", Messages: 100, Window: time.Hour}, {Name: "warmup", Messages: 100, Begin: b.now.Add(-time.Hour), End: b.now.Add(time.Hour)}}
	limits := []Limit{{Account: "a", Quotas: quotas}}
	start := b.now
	b.wantSlots(t, b.pacers[0], limits, 30, 30)
	b.advance(10 * time.Minute)
	b.wantSlots(t, b.pacers[1], limits, 20, 20)
	u := b.used(t, quotas)
	if len(u) != 2 || len(u[0].Releases) != 2 || len(u[1].Releases) != 0 {
		t.Fatalf("got %+v, want two releases of the hour, and none of the stretch", u)
	}
	for i, want := range []struct {
		n     int
		after time.Duration
	}{{30, time.Hour}, {20, time.Hour + 10*time.Minute}} {
		got := u[0].Releases[i]
		at := time.UnixMicro(b.pacers[0].clocks.of(limits[0].tag()).remote(got.At)).Sub(start)
		if got.Messages != want.n || at < want.after || at > want.after+2*time.Minute {
			t.Errorf("got %d after %v, want %d after %v and at most two minutes more", got.Messages, at, want.n, want.after)
		}
	}
}
