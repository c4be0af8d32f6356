package e2e

import (
	"cmp"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"broadside/internal/testkit"
)

// The flags of TestChaos. Without them it runs the short list: one fault of
// each kind that does not take a minute to recover from.
var (
	chaosFaults   = flag.Int("chaos.faults", 0, "how many faults; 0: the short list")
	chaosSeed     = flag.Uint64("chaos.seed", 1, "which faults, when, to whom: the same seed makes the same list")
	chaosPeople   = flag.Int("chaos.people", 1000, "recipients of each campaign")
	chaosParallel = flag.Int("chaos.parallel", 8, "campaigns at a time: most of each is waiting")
	chaosOnly     = flag.String("chaos.only", "", "run only the faults of the list whose numbers (3,17) or names (redis) these are")
	chaosLong     = flag.Int("chaos.long", 0, "instead: one campaign to this many, with a random kill every 20 s")
	chaosSlack    = flag.Duration("chaos.slack", 10*time.Second, "added to the promised times to recover, for a machine that is busy")
)

// A planned is one line of the list.
type planned struct {
	number int
	fault  fault
}

// plan makes the list of a seed: every kind once in a random order, then again.
func plan(seed uint64, n int) []planned {
	kinds := slices.Clone(kindsOfFault())
	if n == 0 {
		kinds = slices.DeleteFunc(kinds, func(f fault) bool { return f.slow })
		n = len(kinds)
	}
	rnd := rand.New(rand.NewPCG(seed, 0))
	list := make([]planned, 0, n)
	for i := range n {
		if i%len(kinds) == 0 {
			rnd.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		}
		list = append(list, planned{i, kinds[i%len(kinds)]})
	}
	return list
}

// chosen reports whether -chaos.only names the line.
func (p planned) chosen(only string) bool {
	for word := range strings.SplitSeq(only, ",") {
		if word == fmt.Sprint(p.number) || only == "" || !isNumber(word) && strings.Contains(p.fault.name, word) {
			return true
		}
	}
	return false
}

func isNumber(s string) bool { return strings.Trim(s, "0123456789") == "" }

// TestChaos lets one fault strike in each of many campaigns, with real
// processes, and compares afterwards what the sink got with what the ledger
// says and with the audience. docs/reliability.md says what must hold.
func TestChaos(t *testing.T) {
	if *chaosLong > 0 {
		longView(t, *chaosSeed, *chaosLong)
		return
	}
	testkit.BuildFaulty(t) // once, not in the middle of a campaign
	var mu sync.Mutex
	var results []result
	lines := make(chan planned)
	var wg sync.WaitGroup
	for range *chaosParallel {
		wg.Go(func() {
			for p := range lines {
				t.Run(fmt.Sprintf("%03d_%s", p.number, strings.ReplaceAll(p.fault.name, " ", "_")), func(t *testing.T) {
					strike(t, *chaosSeed, p, *chaosPeople, func(r result) {
						mu.Lock()
						defer mu.Unlock()
						results = append(results, r)
					})
				})
			}
		})
	}
	list := slices.DeleteFunc(plan(*chaosSeed, *chaosFaults), func(p planned) bool { return !p.chosen(*chaosOnly) })
	for ; len(list) > 0; list = list[1:] {
		lines <- list[0]
	}
	close(lines)
	wg.Wait()
	if len(results) == 0 {
		t.Error("no fault was run to its end")
	}
	if len(list) > 0 {
		t.Logf("no time was left for %d faults", len(list))
	}
	t.Log("\n" + table(results, *chaosSeed))
}

// TestPlanIsReproducible shows that a seed is a list.
func TestPlanIsReproducible(t *testing.T) {
	names := func(seed uint64) (out []string) {
		for _, p := range plan(seed, 200) {
			out = append(out, p.fault.name)
		}
		return out
	}
	if !slices.Equal(names(7), names(7)) {
		t.Error("the same seed makes two lists")
	}
	if slices.Equal(names(7), names(8)) {
		t.Error("two seeds make the same list")
	}
	for _, f := range kindsOfFault() {
		if !slices.Contains(names(7), f.name) {
			t.Errorf("200 faults without %q", f.name)
		}
	}
}

// table sums the results up by kind of fault.
func table(results []result, seed uint64) string {
	byName := map[string][]result{}
	for _, r := range results {
		byName[r.fault] = append(byName[r.fault], r)
	}
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\ttimes\trecipients\tlost\ttwice\tuncertain\tat most\trecovered after\tlongest\t")
	var all result
	for _, f := range kindsOfFault() {
		rs := byName[f.name]
		if len(rs) == 0 {
			continue
		}
		var sum result
		var times []time.Duration
		for _, r := range rs {
			sum.add(r)
			if r.recovered > 0 {
				times = append(times, r.recovered)
			}
		}
		all.add(sum)
		median, longest := "-", "-"
		if slices.Sort(times); len(times) > 0 {
			median, longest = seconds(times[len(times)/2]), seconds(times[len(times)-1])
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\t%s\t\n", f.name, len(rs), sum.people, sum.lost, sum.twice, sum.uncertain, sum.allowed, median, longest)
	}
	fmt.Fprintf(w, "all\t%d\t%d\t%d\t%d\t%d\t%d\t\t\t\n", len(results), all.people, all.lost, all.twice, all.uncertain, all.allowed)
	w.Flush()
	slices.SortFunc(results, func(a, b result) int { return cmp.Compare(a.number, b.number) })
	for _, r := range results {
		if r.failed {
			fmt.Fprintf(&b, "failed: %d %s (%s); logs, records and states are kept in %s\n", r.number, r.fault, r.what, r.kept)
		}
	}
	fmt.Fprintf(&b, "seed %d; one of them again: -chaos.seed %d -chaos.faults %d -chaos.people %d -chaos.only NUMBER\n", seed, seed, *chaosFaults, *chaosPeople)
	return b.String()
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
