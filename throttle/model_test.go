package throttle

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// A bench is a store whose clock the test sets, and two processes on it.
type bench struct {
	m      *miniredis.Miniredis
	rdb    *redis.Client
	now    time.Time
	pacers [2]*Pacer
	urgent int // messages of high priority that wait, at each call
}

func newBench(t *testing.T) *bench {
	b := &bench{m: miniredis.RunT(t)}
	for i := range b.pacers {
		b.rdb = client(t, b.m.Addr())
		b.pacers[i] = New(b.rdb, "bs", plain, nil)
	}
	b.set(time.Date(2026, 10, 25, 0, 59, 59, 0, time.UTC))
	return b
}

func (b *bench) set(t time.Time) {
	b.now = t
	b.m.SetTime(t)
}

func (b *bench) advance(d time.Duration) {
	b.set(b.now.Add(d))
	b.m.FastForward(d)
}

// reserve does what Reserve does, in the time of the store.
func (b *bench) reserve(ctx context.Context, p *Pacer, l lane) ([]int64, error) {
	points, _, err := b.points(ctx, p, l.limits(), l.lead, l.n)
	return points, err
}

// points are those that Reserve would return as slots, and how late bodies may be.
func (b *bench) points(ctx context.Context, p *Pacer, limits []Limit, lead time.Duration, n int) (points []int64, late time.Duration, err error) {
	late = lateness
	req := Request{Lead: lead, N: n, Urgent: b.urgent}
	r, err := newRoute(p.prefix, limits)
	if err != nil {
		return nil, 0, err
	}
	switch {
	case r.camp.isEmpty() && r.acct.isEmpty():
		for range n {
			points = append(points, b.now.Add(lead).UnixMicro())
		}
	case r.camp.isEmpty():
		points, late, err = lateOf(p.ask(ctx, r.acct, req, 0, true))
	case r.acct.isEmpty():
		points, late, err = lateOf(p.ask(ctx, r.camp, req, 0, true))
	default:
		points, _, err = p.both(ctx, r, req)
	}
	return points, late, err
}

func lateOf(r reply, err error) ([]int64, time.Duration, error) {
	return r.points, r.late, err
}

// quiet lets the lines of limits be as if little of them was used for a while.
func (b *bench) quiet(t rapid.TB, limits ...Limit) {
	t.Helper()
	for _, l := range limits {
		if err := b.m.Set(l.line("bs").free, fmt.Sprintf("%d 0:0", b.now.UnixMicro())); err != nil {
			t.Fatal(err)
		}
	}
}

// A snapshot is all that the store held at a moment.
type snapshot struct {
	at     time.Time
	values map[string]any
}

func (b *bench) save(t rapid.TB) snapshot {
	t.Helper()
	all := snapshot{at: b.now, values: map[string]any{}}
	for _, key := range b.m.Keys() {
		var value any
		var err error
		switch kind := b.m.Type(key); kind {
		case "string":
			value, err = b.m.Get(key)
		case "zset":
			var members map[string]float64
			members, err = b.m.SortedSet(key)
			value = maps.Clone(members)
		case "hash":
			fields := map[string]string{}
			names, _ := b.m.HKeys(key)
			for _, name := range names {
				fields[name] = b.m.HGet(key, name)
			}
			value = fields
		default:
			t.Fatalf("key %s has the type %s", key, kind)
		}
		if err != nil {
			t.Fatal(err)
		}
		all.values[key] = value
	}
	return all
}

func (b *bench) load(t rapid.TB, all snapshot) {
	t.Helper()
	b.m.FlushAll()
	for key, value := range all.values {
		switch value := value.(type) {
		case string:
			if err := b.m.Set(key, value); err != nil {
				t.Fatal(err)
			}
		case map[string]float64:
			for member, score := range value {
				if _, err := b.m.ZAdd(key, score, member); err != nil {
					t.Fatal(err)
				}
			}
		case map[string]string:
			for name, text := range value {
				b.m.HSet(key, name, text)
			}
		}
	}
}

// pointsOf returns the points that p is given of a chain, without leeway.
func pointsOf(ctx context.Context, p *Pacer, ch chain, lead time.Duration, n int, notBefore int64) ([]int64, error) {
	answer, err := p.ask(ctx, ch, Request{Lead: lead, N: n}, notBefore, false)
	return answer.points, err
}

// alone is the chain of one limit.
func alone(l Limit) chain { return chain{tag: l.tag(), lines: []line{l.line("bs")}} }

// crowd returns the largest number of points in any window, and the smallest
// distance of two of them, in microseconds.
func crowd(points []int64, width time.Duration) (most int, closest int64) {
	sorted := slices.Sorted(slices.Values(points))
	closest = math.MaxInt64
	first := 0
	for i, t := range sorted {
		if i > 0 {
			closest = min(closest, t-sorted[i-1])
		}
		for t-sorted[first] >= width.Microseconds() {
			first++
		}
		most = max(most, i-first+1)
	}
	return most, closest
}

// A body may leave at any time from its point on until it is late, microseconds.
type body struct{ at, late int64 }

// mostBodies returns how many bodies can leave within any stretch of a length.
func mostBodies(bodies []body, width time.Duration) (most int) {
	for _, first := range bodies {
		from := first.at + first.late
		n := 0
		for _, b := range bodies {
			if b.at+b.late >= from && b.at < from+width.Microseconds() {
				n++
			}
		}
		most = max(most, n)
	}
	return most
}

// Whatever two processes ask for, in whatever order, no account and no run gets
// more than its limit in a second, however late the bodies leave.
func TestModelWindows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rapid.Check(t, func(rt *rapid.T) {
		b.m.FlushAll()
		acctRate := rapid.SampledFrom([]float64{1, 2, 14, 50, 200, 1000, 4000, 10_000}).Draw(rt, "account rate")
		runRates := []float64{
			rapid.SampledFrom([]float64{1, 3, 10, 150, 400}).Draw(rt, "rate of run 0"),
			rapid.SampledFrom([]float64{1, 7, 45, 150}).Draw(rt, "rate of run 1"),
			0,
		}
		if rapid.Bool().Draw(rt, "quiet") {
			b.quiet(rt, Limit{Account: "a"})
		}
		var account []body
		runs := make([][]int64, len(runRates))
		for i := range rapid.IntRange(1, 25).Draw(rt, "calls") {
			b.advance(time.Duration(rapid.IntRange(0, 300_000).Draw(rt, "pause")) * time.Microsecond)
			run := rapid.IntRange(0, len(runRates)-1).Draw(rt, "run")
			l := lane{
				account: "a", acctRate: acctRate, run: fmt.Sprint(run), runRate: runRates[run],
				lead: rapid.SampledFrom([]time.Duration{0, 4 * time.Millisecond, 90 * time.Millisecond, time.Second}).Draw(rt, "lead"),
				n:    rapid.SampledFrom([]int{1, 3, 64}).Draw(rt, "n"),
			}
			points, late, err := b.points(t.Context(), b.pacers[i%2], l.limits(), l.lead, l.n)
			if err != nil {
				rt.Fatal(err)
			}
			if late == leeway {
				l.lead = 0
			}
			first, last := b.now.Add(l.lead).UnixMicro(), b.now.Add(l.lead+window+maxDelay).UnixMicro()
			for _, p := range points {
				if p < first || p > last {
					rt.Fatalf("point %d, want between %d and %d", p, first, last)
				}
			}
			for _, p := range points {
				account = append(account, body{p, late.Microseconds()})
			}
			runs[run] = append(runs[run], points...)
		}
		if most := mostBodies(account, time.Second); most > int(acctRate) {
			rt.Fatalf("account: %d bodies in a second, want at most %v", most, acctRate)
		}
		for i, points := range runs[:2] {
			if most, _ := crowd(points, time.Second+20*time.Millisecond); most > int(runRates[i]) {
				rt.Fatalf("run %d: %d points in a second, want at most %v", i, most, runRates[i])
			}
		}
	})
}

// The lane with a lead of two seconds asks first, every time; the other one still
// has what the slow one cannot use.
func TestSlowLaneTakesNothingFromTheOthers(t *testing.T) {
	t.Parallel()
	for _, runRate := range []float64{0, 150} {
		b := newBench(t)
		slow := lane{account: "a", acctRate: 200, run: "r", runRate: runRate, lead: 2 * time.Second, n: 3}
		quick := lane{account: "a", acctRate: 200, run: "r", runRate: runRate, lead: 5 * time.Millisecond, n: 100}
		got := map[time.Duration]int{}
		for range 40 {
			for _, l := range []lane{slow, quick} {
				points, err := b.reserve(t.Context(), b.pacers[0], l)
				if err != nil {
					t.Fatal(err)
				}
				got[l.lead] += len(points)
			}
			b.advance(100 * time.Millisecond)
		}
		rate := 200.0
		if runRate > 0 {
			rate = runRate
		}
		if got[slow.lead] < 100 {
			t.Errorf("run rate %v: the slow lane got %d slots, want about 120", runRate, got[slow.lead])
		}
		if want := int(4*rate*0.93) - got[slow.lead]; got[quick.lead] < want {
			t.Errorf("run rate %v: the quick lane got %d slots in 4 s, want at least %d", runRate, got[quick.lead], want)
		}
	}
}

func TestGivenBackTwiceIsFreeOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, p := t.Context(), b.pacers[0]
	l := alone(Limit{Campaign: "r", Rate: 100})
	points, err := pointsOf(ctx, p, l, 0, 5, 0)
	if err != nil || len(points) != 5 {
		t.Fatalf("got points %v, error %v, want 5", points, err)
	}
	keys := append(l.keys(), l.lines[0].guard("once"))
	give := func() int {
		n, err := p.giveBack.Run(ctx, b.rdb, keys, interval(100), 0, 0, points[2]).Int()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := give(); n != 1 {
		t.Fatalf("got %d, want 1", n)
	}
	again, err := pointsOf(ctx, p, l, 0, 1, 0)
	if err != nil || !slices.Equal(again, points[2:3]) {
		t.Fatalf("got %v, error %v, want the point that was given back, %v", again, err, points[2:3])
	}
	if n := give(); n != 0 {
		t.Fatalf("the same command again: got %d, want 0", n)
	}
	again, err = pointsOf(ctx, p, l, 0, 1, 0)
	if err != nil || len(again) != 1 || again[0] <= points[4] {
		t.Errorf("got %v, error %v, want one point after %d", again, err, points[4])
	}
}

func TestClockSteppedBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ctx, p := t.Context(), b.pacers[0]
	l := alone(Limit{Account: "a", Rate: 100})
	before, err := pointsOf(ctx, p, l, 100*time.Millisecond, 10, 0)
	if err != nil || len(before) != 10 {
		t.Fatalf("got points %v, error %v, want 10", before, err)
	}
	ahead := before[9] - b.now.UnixMicro()
	b.set(b.now.Add(-time.Hour))
	after, err := pointsOf(ctx, p, l, 0, 1, 0)
	if err != nil || len(after) != 1 {
		t.Fatalf("an hour back: got points %v, error %v, want one", after, err)
	}
	if got := after[0] - b.now.UnixMicro(); got <= ahead || got > ahead+20_000 {
		t.Errorf("got a point in %d us, want one interval after those that are still ahead (%d us)", got, ahead)
	}
}

// A body may leave later than its run's slot by the account's delay, so the slots
// of the run must lie that much further apart, also those without a delay.
func TestRunIsStretchedByTheDelay(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	l := alone(Limit{Campaign: "r", Rate: 100})
	for _, slack := range []int64{maxDelay.Microseconds(), 0} {
		l.lines[0].slack = slack
		points, err := pointsOf(t.Context(), b.pacers[0], l, 0, 10, 0)
		if err != nil || len(points) != 10 {
			t.Fatalf("slack %d: got points %v, error %v, want 10", slack, points, err)
		}
		if _, closest := crowd(points, time.Second); closest < int64(interval(100)*1.02)-1 {
			t.Errorf("slack %d: got points %d us apart, want %v", slack, closest, interval(100)*1.02)
		}
	}
}
