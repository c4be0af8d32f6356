package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// isolationSlack is added to the 5 % by which lanes may be later with others that
// are in trouble than alone: a machine that does more is slower.
const isolationSlack = time.Second

// TestLanesInTroubleSlowNoOther sends through five lanes of an account. One is
// answered 421 to everything, one is answered 5 s late, in one connections are
// dropped after RCPT. The other two finish about as soon as when they are alone.
func TestLanesInTroubleSlowNoOther(t *testing.T) {
	t.Parallel()
	const rate, people = 30, 200
	server := testkit.NewScriptServer(t, func(stage, to string) testkit.Answer {
		_, domain, _ := strings.Cut(to, "@")
		switch {
		case domain == "yahoo.com" && stage == "rcpt":
			return testkit.Answer{Text: "421 4.7.0 Service not available, closing transmission channel"}
		case domain == "icloud.com":
			return testkit.Answer{Wait: 5 * time.Second}
		case domain == "example.org" && stage == "rcpt":
			return testkit.Answer{Drop: true}
		}
		return testkit.Answer{}
	})
	limits := "    limits: {connections: 12}\n    lanes:\n"
	for _, lane := range []string{"gmail", "microsoft", "yahoo", "icloud", "example.org"} {
		limits += fmt.Sprintf("      %s: {rate: %d/s}\n", lane, rate)
	}
	w := newWorld(t, setup{accounts: account("relay", server.Addr(), limits)})
	sound := at(people, "gmail.com", "outlook.com")
	w.aloneAndTogether(server, 2, sound, at(people, "yahoo.com", "icloud.com", "example.org"))
}

// TestADomainThatHangsSlowsNoOtherOfTheLongTail sends to 300 domains of the long
// tail, of which one never answers.
func TestADomainThatHangsSlowsNoOtherOfTheLongTail(t *testing.T) {
	t.Parallel()
	const domains, people = 300, 5
	server := testkit.NewScriptServer(t, func(stage, to string) testkit.Answer {
		if strings.HasSuffix(to, "@hangs.example") && stage == "rcpt" {
			return testkit.Answer{Wait: time.Hour}
		}
		return testkit.Answer{}
	})
	w := newWorld(t, setup{accounts: account("relay", server.Addr(), "    limits: {rate: 200/s, connections: 12}\n")})
	var sound []string
	for i := range domains - 1 {
		sound = append(sound, at(people, fmt.Sprintf("domain%d.example", i))...)
	}
	w.aloneAndTogether(server, 2, sound, at(100, "hangs.example"))
}

// at returns so many addresses at each domain.
func at(people int, domains ...string) (to []string) {
	for i := range people {
		for _, domain := range domains {
			to = append(to, fmt.Sprintf("person%d@%s", i, domain))
		}
	}
	return to
}

// aloneAndTogether sends to some people alone, then with others, and compares the times.
func (w *world) aloneAndTogether(server *testkit.ScriptServer, workers int, sound, troubled []string) {
	w.t.Helper()
	for range workers {
		w.quietWorker()
	}
	w.audience(sound)
	alone := w.takes(server, 0, sound)

	var mixed []string // the ones between the others, as in a list of customers
	for i := range max(len(sound), len(troubled)) {
		mixed = append(mixed, sound[min(i, len(sound)):min(i+1, len(sound))]...)
		mixed = append(mixed, troubled[min(i, len(troubled)):min(i+1, len(troubled))]...)
	}
	w.audience(mixed)
	together := w.takes(server, len(sound), sound)
	w.t.Logf("alone %s, with others %s", alone, together)
	if limit := alone + alone/20 + isolationSlack; together > limit {
		w.t.Errorf("%s with lanes in trouble, %s alone: expected at most %s", together, alone, limit)
	}
}

// takes launches a run and returns how long it takes until the people have their
// messages, from the first to the last. before is how many they had.
func (w *world) takes(server *testkit.ScriptServer, before int, people []string) time.Duration {
	w.t.Helper()
	wanted := map[string]bool{}
	for _, to := range people {
		wanted[to] = true
	}
	w.launch("--again")

	var times []time.Time
	for range testkit.Tries(25 * time.Second) {
		times = nil
		for _, m := range server.Taken() {
			if wanted[m.To] {
				times = append(times, m.At)
			}
		}
		if len(times) == before+len(people) {
			return times[len(times)-1].Sub(times[before])
		}
	}
	bySecond := map[int]int{}
	for _, at := range times[before:] {
		bySecond[int(at.Sub(times[before])/time.Second)]++
	}
	w.t.Fatalf("by the second %v; %d of %d messages within 25 s", bySecond, len(times)-before, len(people))
	return 0
}
