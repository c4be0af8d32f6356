package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// rateSlack is how long a busy machine may hold up the sink: it then reads late what
// was sent in time, and all at once.
const rateSlack = 250 * time.Millisecond

// rateTime is for how long a rate is looked at: as long as is asked, a short time
// unless BROADSIDE_LONG_RATES is set.
func rateTime(short, long time.Duration) time.Duration {
	if os.Getenv("BROADSIDE_LONG_RATES") != "" {
		return long
	}
	return short
}

// TestRateIsACeiling lets three workers share 200/s for 10 s, and looks at
// every window of one second at the sink, and at the whole.
func TestRateIsACeiling(t *testing.T) {
	const rate, seconds = 200, 10
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: rate * seconds, accounts: account("sink", sink.Addr(), "    limits: {rate: 200/s, connections: 30}\n")})
	for range 3 {
		w.worker()
	}
	run := w.launch()
	w.finished(run, time.Minute)
	at := acceptedAt(sink, "")
	isCeiling(t, "account", at, rate, time.Second)
}

// TestRates has rates of all sizes shared by four workers. What else is tested here
// does not run in the meantime.
func TestRates(t *testing.T) {
	for _, c := range []struct {
		name        string
		rate        string
		perSecond   float64
		window      time.Duration
		short, long time.Duration
	}{
		{"14 a second", "14/s", 14, time.Second, 30 * time.Second, time.Minute},
		{"30 a minute", "30/min", 30.0 / 60, 2 * time.Second, 12 * time.Second, 3 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lasts := rateTime(c.short, c.long)
			at := sendFor(t, lasts, c.perSecond, "    limits: {rate: "+c.rate+", connections: 8}\n", nil)
			isCeiling(t, "account", at, c.perSecond, c.window)
			isUsed(t, at, 0.97, c.perSecond, lasts)
		})
	}
	t.Run("a worker is killed", func(t *testing.T) {
		t.Parallel()
		at := sendFor(t, 12*time.Second, 30, "    limits: {rate: 30/s, connections: 8}\n", func(w *world, workers []*testkit.Proc) {
			workers[0].Kill()
			w.start("worker")
			workers[1].Kill()
			w.start("worker")
		})
		isCeiling(t, "account", at, 30, time.Second)
	})
	t.Run("lanes under an account", func(t *testing.T) {
		t.Parallel()
		lanesUnderAnAccount(t)
	})
}

// TestAHighRateIsReached has 1,000/s shared by four workers. It has the machine for
// itself.
func TestAHighRateIsReached(t *testing.T) {
	const rate = 1000
	lasts := rateTime(5*time.Second, 20*time.Second)
	at := sendFor(t, lasts, rate, "    limits: {rate: 1000/s, connections: 24}\n", nil)
	isCeiling(t, "account", at, rate, time.Second)
	isUsed(t, at, 0.9, rate, lasts) // what the machine can do counts too
}

// sendFor has four workers send for a time with the limits of an account, calls during
// after a third of it, and returns when messages arrived.
func sendFor(t *testing.T, lasts time.Duration, rate float64, limits string, during func(*world, []*testkit.Proc)) []time.Time {
	t.Helper()
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: int(1.5*rate*lasts.Seconds()) + 100, accounts: account("sink", sink.Addr(), limits)})
	var workers []*testkit.Proc
	for range 4 {
		workers = append(workers, w.quietWorker())
	}
	w.launch()
	first := firstOf(t, sink)
	if during != nil {
		<-time.After(lasts / 3)
		during(w, workers)
	}
	<-time.After(time.Until(first.Add(lasts + 1500*time.Millisecond)))
	return acceptedAt(sink, "")
}

// lanesUnderAnAccount sends at five ceilings, which together are more than that of
// the account.
func lanesUnderAnAccount(t *testing.T) {
	const lasts, whole = 12 * time.Second, 30
	lanes := map[string]struct {
		rate   float64
		domain string
	}{
		"gmail": {10, "gmail.com"}, "microsoft": {8, "outlook.com"}, "yahoo": {6, "yahoo.com"}, "icloud": {4, "icloud.com"}, "example.org": {12, "example.org"},
	}
	sink := testkit.NewRecsink(t)
	limits := "    limits: {rate: 30/s, connections: 12}\n    lanes:\n"
	var people []string
	for name, l := range lanes {
		limits += fmt.Sprintf("      %s: {rate: %g/s}\n", name, l.rate)
		for i := range int(1.5 * l.rate * lasts.Seconds()) {
			people = append(people, fmt.Sprintf("person%d@%s", i, l.domain))
		}
	}
	w := newWorld(t, setup{accounts: account("sink", sink.Addr(), limits)})
	w.audience(people)
	for range 4 {
		w.quietWorker()
	}
	w.launch()
	first := firstOf(t, sink)
	<-time.After(time.Until(first.Add(lasts + 1500*time.Millisecond)))

	for name, l := range lanes {
		isCeiling(t, name, acceptedAt(sink, "@"+l.domain), l.rate, time.Second)
	}
	all := acceptedAt(sink, "")
	isCeiling(t, "account", all, whole, time.Second)
	isUsed(t, all, 0.90, whole, lasts) // on a busy machine bodies miss their slots
}

// quietWorker is worker without a line for each message.
func (w *world) quietWorker() *testkit.Proc {
	w.t.Helper()
	p := w.start("worker")
	p.WaitLine("worker started", 20*time.Second)
	return p
}

// audience writes the audience.
func (w *world) audience(people []string) {
	w.t.Helper()
	var b strings.Builder
	b.WriteString("email,first_name,city\n")
	for _, to := range people {
		b.WriteString(to + ",Ada,London\n")
	}
	w.write("people.csv", b.String())
}

// firstOf waits for the first message.
func firstOf(t *testing.T, sink *testkit.RecSink) time.Time {
	t.Helper()
	for range testkit.Tries(time.Minute) {
		if sink.Count() > 0 {
			return acceptedAt(sink, "")[0]
		}
	}
	t.Fatal("no message arrived within a minute")
	return time.Time{}
}

// acceptedAt returns when the messages arrived whose recipients end so.
func acceptedAt(sink *testkit.RecSink, suffix string) []time.Time {
	var at []time.Time
	for _, r := range sink.Records() {
		if r.Kind == 'A' && strings.HasSuffix(r.Rcpt, suffix) {
			at = append(at, r.At)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	return at
}

// isCeiling checks that a rate was not exceeded in any window of some length, nor on
// the whole.
func isCeiling(t *testing.T, what string, at []time.Time, rate float64, window time.Duration) {
	t.Helper()
	if len(at) == 0 {
		t.Errorf("%s: no message arrived", what)
		return
	}
	worst := 0
	i := 0
	for j := range at {
		for at[j].Sub(at[i]) >= window {
			i++
		}
		worst = max(worst, j-i+1)
	}
	if limit := most(rate, window+rateSlack); worst > limit {
		t.Errorf("%s: %d messages in %s, the limit is %g/s, with slack %d", what, worst, window, rate, limit)
	}
	took := at[len(at)-1].Sub(at[0])
	if limit := most(rate, took+rateSlack); len(at) > limit {
		t.Errorf("%s: %d messages in %s, the limit is %d", what, len(at), took, limit)
	}
	t.Logf("%s: at most %d messages in %s, %d in %s", what, worst, window, len(at), took)
}

// isUsed checks that at least a share of a rate was used for some time, which begins with
// the last message of the first second: until then workers find out how long their
// way to a body is.
func isUsed(t *testing.T, at []time.Time, least, rate float64, lasts time.Duration) {
	t.Helper()
	if len(at) == 0 {
		return
	}
	begin := at[0]
	used := 0
	perSecond := map[int]int{}
	for _, a := range at {
		if a.Sub(at[0]) < time.Second {
			begin = a
		} else if a.Sub(begin) < lasts {
			used++
		}
		perSecond[int(a.Sub(at[0])/time.Second)]++
	}
	share := float64(used) / (rate * lasts.Seconds())
	t.Logf("%.1f %% of the rate was used, messages by the second: %v", 100*share, perSecond)
	if expected := int(least * rate * lasts.Seconds()); used < expected {
		t.Errorf("%d messages in %s, expected at least %d: %.0f %% of %g/s", used, lasts, expected, 100*least, rate)
	}
}

// most is how many messages a rate allows in a time, with the first at its
// beginning.
func most(rate float64, d time.Duration) int { return 1 + int(rate*d.Seconds()) }
