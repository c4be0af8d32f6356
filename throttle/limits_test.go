package throttle

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A meter knows when the bodies left that a limit counts, in true time,
// microseconds: that of Redis may be set.
type meter struct {
	limit  Limit
	bodies []body
}

// check fails when a second, or a minute under a slow limit, or the window of a
// quota, has more bodies than the limit allows, however late each left.
func (m *meter) check(t *rapid.T) {
	for _, q := range m.limit.Quotas {
		width := q.Window
		if width == 0 {
			width = 1000 * time.Hour
		}
		if most := mostBodies(m.bodies, width); most > q.Messages {
			t.Fatalf("quota %+v: %d bodies, want at most %d", q, most, q.Messages)
		}
	}
	if m.limit.Rate == 0 {
		return
	}
	width, allowed := time.Second, int(m.limit.Rate)
	if m.limit.Rate < 1 {
		width, allowed = time.Minute, int(m.limit.Rate*60+0.5)
	}
	if most := mostBodies(m.bodies, width); most > allowed {
		t.Fatalf("limit %+v: %d bodies in %v, want at most %d", m.limit, most, width, allowed)
	}
}

// limitsOf draws a rate for each kind of limit; several providers, domains and
// campaigns share the account.
func limitsOf(t *rapid.T, now time.Time) []*meter {
	rate := func(name string, rates ...float64) float64 { return rapid.SampledFrom(rates).Draw(t, name) }
	limits := []Limit{
		{Account: "a", Rate: rate("account", 0, 1, 14, 200, 1000, 4000), Quotas: quotasOf(t, now)},
		{Account: "a", Provider: "gmail", Rate: rate("gmail", 0, 3.0/60, 2, 50)},
		{Account: "a", Provider: "other", Rate: rate("other", 0, 10, 400, 3000)},
		{Account: "a", Domain: "example.com", Rate: rate("domain", 0, 1.0/60, 5)},
		{Campaign: "r1", Rate: rate("campaign 1", 0, 3.0/60, 3, 150)},
		{Campaign: "r2", Rate: rate("campaign 2", 0, 45)},
	}
	var meters []*meter
	for _, l := range limits {
		meters = append(meters, &meter{limit: l})
	}
	return meters
}

// quotasOf draws quotas of an account, or none.
func quotasOf(t *rapid.T, now time.Time) []Quota {
	all := []Quota{
		{Name: "hour", Messages: rapid.SampledFrom([]int{3, 70, 200}).Draw(t, "in an hour"), Window: time.Hour},
		{Name: "day", Messages: rapid.SampledFrom([]int{1, 50, 250}).Draw(t, "in a day"), Window: 24 * time.Hour},
		{Name: "warmup", Messages: rapid.SampledFrom([]int{10, 200}).Draw(t, "in the warm-up"), Begin: now.Add(-time.Hour), End: now.Add(24 * time.Hour)},
	}
	return all[:rapid.IntRange(0, len(all)).Draw(t, "quotas")]
}

// message draws which of the limits count for a message.
func message(t *rapid.T, meters []*meter) (counted []*meter, limits []Limit) {
	counted = append(counted, meters[0], meters[rapid.IntRange(1, 2).Draw(t, "provider")])
	if rapid.Bool().Draw(t, "at the domain") {
		counted = append(counted, meters[3])
	}
	counted = append(counted, meters[rapid.IntRange(4, 5).Draw(t, "campaign")])
	for _, m := range counted {
		limits = append(limits, m.limit)
	}
	return counted, limits
}

// sparing is how much later a slot may be than without other limits, where a slow one is
// nearly used up: limits.lua.
const sparing = 100 * time.Millisecond

// Whatever workers ask for, die with, restart after and give back, and also when
// the clock of Redis is set back or Redis goes back to what it was some calls ago while
// the workers live on, no limit of any kind is exceeded, and none is locked.
func TestModelListsOfLimits(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		b.m.FlushAll()
		for i := range b.pacers {
			b.pacers[i] = New(b.rdb, "bs", plain, nil)
		}
		meters := limitsOf(rt, b.now)
		if rapid.Bool().Draw(rt, "quiet") {
			for _, m := range meters {
				b.quiet(rt, m.limit)
			}
		}
		elapsed := int64(0)
		saved := b.save(rt)
		for range rapid.IntRange(1, 15).Draw(rt, "calls") {
			pause := rapid.SampledFrom([]int{0, 900, 40_000, 300_000, 1_000_000, 21_000_000, 3_555_000_000}).Draw(rt, "pause")
			b.advance(time.Duration(pause) * time.Microsecond)
			elapsed += int64(pause)
			which := rapid.IntRange(0, 1).Draw(rt, "worker")
			if rapid.IntRange(0, 9).Draw(rt, "restart") == 0 {
				b.pacers[which] = New(b.rdb, "bs", plain, nil)
				saved = b.save(rt) // no one else knows what it was given
			}
			switch rapid.IntRange(0, 14).Draw(rt, "failover") {
			case 0:
				saved = b.save(rt)
			case 1:
				if b.now.Sub(saved.at).Abs() > time.Minute {
					break // more is lost than a worker makes good
				}
				b.load(rt, saved)
				for _, p := range b.pacers {
					if err := p.Replay(rt.Context()); err != nil {
						rt.Fatal(err)
					}
				}
			}
			if rapid.IntRange(0, 19).Draw(rt, "clock") == 0 {
				b.set(b.now.Add(-time.Hour))
				saved = b.save(rt) // it is not lost in the same moment
			}
			counted, limits := message(rt, meters)
			lead := rapid.SampledFrom([]time.Duration{0, 4 * time.Millisecond, 90 * time.Millisecond, time.Second}).Draw(rt, "lead")
			n := rapid.SampledFrom([]int{1, 3, 64}).Draw(rt, "n")
			b.urgent = rapid.SampledFrom([]int{0, 0, 1, 64}).Draw(rt, "urgent")
			points, late, err := b.points(t.Context(), b.pacers[which], limits, lead, n)
			if err != nil {
				rt.Fatal(err)
			}
			if late == leeway {
				lead = 0
			}
			if !slices.IsSorted(points) || len(points) > n {
				rt.Fatalf("got points %v, want at most %d, ascending", points, n)
			}
			if len(points) > 0 && rapid.IntRange(0, 3).Draw(rt, "unused") == 0 {
				b.giveBack(t, b.pacers[which], limits, points[len(points)-1])
				points = points[:len(points)-1]
			}
			for _, p := range points {
				ahead := p - b.now.UnixMicro()
				if furthest := lead + window + sparing; ahead < lead.Microseconds() || ahead > furthest.Microseconds() {
					rt.Fatalf("point in %d us, want %v to %v", ahead, lead, furthest)
				}
				for _, m := range counted {
					m.bodies = append(m.bodies, body{elapsed + ahead, late.Microseconds()})
				}
			}
		}
		for _, m := range meters {
			m.check(rt)
		}
		b.checkNothingIsLocked(rt, meters)
	})
}

// checkNothingIsLocked fails if a message that all limits count for gets no slot when
// no slot has been taken for a day, though the clock was set back at every call.
func (b *bench) checkNothingIsLocked(t *rapid.T, meters []*meter) {
	b.advance(45 * time.Hour)
	b.urgent = 0
	var limits []Limit
	for _, m := range []*meter{meters[0], meters[1], meters[3], meters[4]} {
		l := m.limit
		l.Quotas = slices.DeleteFunc(slices.Clone(l.Quotas), func(q Quota) bool { return q.Window == 0 })
		limits = append(limits, l)
	}
	points, _, err := b.points(t.Context(), b.pacers[0], limits, 0, 1)
	if err != nil || len(points) != 1 {
		t.Fatalf("got points %v, error %v of %+v 45 hours later, want one; in the store:\n%s", points, err, limits, b.m.Dump())
	}
}

// giveBack does what GiveBack does, in the time of the store.
func (b *bench) giveBack(t *testing.T, p *Pacer, limits []Limit, point int64) {
	for _, l := range limits {
		if l.Slow() {
			p.returnPoints(t.Context(), l.line("bs"), []int64{point}, maxDelay+clockError, clockError)
		}
		if len(l.Quotas) > 0 {
			p.returnCounts(t.Context(), l, []int64{point - clockError.Microseconds()})
		}
	}
}

// A refusal takes nothing: what one limit has no room for costs no other limit
// of the account a point, in whichever place of the route it stands.
func TestLimitsOfAnAccountAreTakenTogether(t *testing.T) {
	t.Parallel()
	for full := range 3 {
		b := newBench(t)
		limits := []Limit{
			{Account: "a", Rate: 50},
			{Account: "a", Provider: "gmail", Rate: 50},
			{Account: "a", Domain: "example.com", Rate: 50},
		}
		limits[full].Rate = 1.0 / 60
		for i, want := range []int{1, 0, 0, 0} {
			points, _, err := b.points(t.Context(), b.pacers[0], limits, 0, 64)
			if err != nil || len(points) != want {
				t.Fatalf("%+v is full, call %d: got points %v, error %v, want %d", limits[full], i, points, err, want)
			}
		}
		for i, l := range limits {
			if i == full {
				continue
			}
			rest, _, err := b.points(t.Context(), b.pacers[0], []Limit{l}, 0, 64)
			if err != nil || len(rest) < 12 { // of 13 in 250 ms, of which one is taken
				t.Errorf("%+v is full: got points %v of %+v, error %v, want at least 12", limits[full], rest, l, err)
			}
		}
	}
}

// Others want all of the account. A slow limit is used all the same, and a faster
// one at least by half: who asks first has the next slot.
func TestNoLimitStarves(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	const slowRate = 3.0 / 60
	account := Limit{Account: "a", Rate: 100}
	gmail := Limit{Account: "a", Provider: "gmail", Rate: 20}
	senders := []struct {
		limits []Limit
		want   int
	}{
		{[]Limit{account}, 45 * 100 / 3},
		{[]Limit{account, gmail}, 45 * 20 / 2},
		{[]Limit{account, gmail, {Account: "a", Domain: "example.com", Rate: slowRate}, {Campaign: "r1", Rate: 50}}, 3},
		{[]Limit{account, {Campaign: "r2", Rate: slowRate}}, 3},
		{[]Limit{account, {Campaign: "r3", Rate: 4}}, 45 * 4 / 2},
	}
	got := make([]int, len(senders))
	order := rand.New(rand.NewPCG(1, 2))
	for range 450 {
		b.advance(100 * time.Millisecond)
		for _, i := range order.Perm(len(senders)) {
			points, _, err := b.points(t.Context(), b.pacers[i%2], senders[i].limits, 5*time.Millisecond, 20)
			if err != nil {
				t.Fatal(err)
			}
			got[i] += len(points)
		}
	}
	all := 0
	for i, sender := range senders {
		all += got[i]
		if got[i] < sender.want {
			t.Errorf("%+v: got %d slots in 45 s, want at least %d", sender.limits, got[i], sender.want)
		}
	}
	if want := 45 * 95; all < want {
		t.Errorf("got %d slots in 45 s, want at least %d", all, want)
	}
}

// A slot of 3/min that was missed is free at once, of the campaign and of the
// account, but only once; one that another has followed stays lost.
func TestMissedSlotOfASlowLimitGoesBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	p := b.pacers[0]
	limits := []Limit{{Campaign: "r", Rate: 3.0 / 60}, {Account: "a", Rate: 3.0 / 60}}
	reserve := func(want int) []int64 {
		t.Helper()
		points, _, err := b.points(t.Context(), p, limits, 0, 3)
		if err != nil || len(points) != want {
			t.Fatalf("got points %v, error %v, want %d", points, err, want)
		}
		return points
	}
	missed := reserve(1)[0]
	b.advance(300 * time.Millisecond)
	reserve(0)
	b.giveBack(t, p, limits, missed)
	next := reserve(1)[0]
	b.giveBack(t, p, limits, missed) // as another worker with a clock of its own would not
	b.advance(20 * time.Second)
	b.advance(900 * time.Millisecond)
	after := reserve(1)[0]
	if d := after - next; d < int64(interval(3.0/60)) {
		t.Errorf("got slots %d us apart, want at least %v", d, interval(3.0/60))
	}
	b.giveBack(t, p, limits, next)
	b.advance(time.Second)
	reserve(0)
}

func TestLimitsThatMakeNoSenseAreRefused(t *testing.T) {
	t.Parallel()
	p := newBench(t).pacers[0]
	for want, limits := range map[string][]Limit{
		"names no account":         {{Rate: 1}},
		"names an account too":     {{Campaign: "r", Account: "a", Rate: 1}},
		"expected one of them":     {{Account: "a", Provider: "gmail", Domain: "gmail.com", Rate: 1}},
		"two limits have the key":  {{Account: "a", Rate: 1}, {Account: "a", Rate: 2}},
		"one account and one camp": {{Account: "a", Rate: 1}, {Account: "b", Provider: "gmail", Rate: 2}},
	} {
		if _, err := p.Reserve(t.Context(), Request{Limits: limits, N: 1}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: got error %v, want %q", limits, err, want)
		}
	}
}

// What an installation has in Redis is found again after an upgrade.
func TestKeysStayTheSame(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Limit{
		"bs:{acct:a}:slot":                    {Account: "a"},
		"bs:{camp:r}:slot":                    {Campaign: "r"},
		"bs:{acct:a}:provider:gmail:slot":     {Account: "a", Provider: "gmail"},
		"bs:{acct:a}:domain:example.com:slot": {Account: "a", Domain: "example.com"},
	} {
		if got := l.line("bs"); got.slot != want || got.free != strings.TrimSuffix(want, "slot")+"free" {
			t.Errorf("%+v: got keys %s and %s, want %s", l, got.slot, got.free, want)
		}
	}
}
