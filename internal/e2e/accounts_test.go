package e2e

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// threeAccounts are the accounts of a campaign with the weights 1, 3 and 0. Who is
// charged an attempt fails at once.
const threeAccounts = `  accounts: [{name: one, weight: 1}, {name: three, weight: 3}, {name: spare, weight: 0}]
  retry: [1s]
`

// An outlet is a server of an account.
type outlet struct {
	*testkit.ScriptServer
	more string // YAML of the account
}

func newOutlet(t *testing.T, script testkit.Script) outlet {
	return outlet{testkit.NewScriptServer(t, script), "    limits: {connections: 4}\n    username: user\n    password: secret\n"}
}

func takesAll(string, string) testkit.Answer { return testkit.Answer{} }

// says answers everybody so at a stage.
func says(stage, text string) testkit.Script {
	return func(at, _ string) testkit.Answer {
		if at == stage {
			return testkit.Answer{Text: text}
		}
		return testkit.Answer{}
	}
}

// sendBy sends to people by accounts and returns how many messages each took.
func sendBy(t *testing.T, delivery string, people []string, outlets map[string]outlet) map[string]int {
	t.Helper()
	yaml := ""
	for _, name := range []string{"one", "three", "spare"} {
		yaml += account(name, outlets[name].Addr(), outlets[name].more)
	}
	w := newWorld(t, setup{accounts: yaml, delivery: delivery})
	w.audience(people)
	w.quietWorker()
	w.quietWorker()
	d := w.finished(w.launch(), 45*time.Second)
	if d.Counts["accepted"] != int64(len(people)) {
		t.Errorf("counts %v, expected that all %d are accepted", d.Counts, len(people))
	}

	took := map[string]int{}
	seen := map[string]bool{}
	for name, o := range outlets {
		for _, m := range o.Taken() {
			took[name]++
			if seen[m.To] {
				t.Errorf("%s has got two messages", m.To)
			}
			seen[m.To] = true
		}
	}
	t.Logf("messages %v", took)
	return took
}

// TestAccountsDivideARunByWeight sends by accounts of the weights 1, 3 and 0. Some
// recipients are deferred once: they come again by the same account.
func TestAccountsDivideARunByWeight(t *testing.T) {
	t.Parallel()
	const people = 400
	var mu sync.Mutex
	first := map[string]string{} // by recipient, the account that deferred them
	deferring := func(name string) outlet {
		return newOutlet(t, func(stage, to string) testkit.Answer {
			if stage != "rcpt" || !strings.Contains(to, "7@") {
				return testkit.Answer{}
			}
			mu.Lock()
			defer mu.Unlock()
			switch before, again := first[to]; {
			case !again:
				first[to] = name
				return testkit.Answer{Text: "452 4.2.2 mailbox full"}
			case before != name:
				t.Errorf("%s came by %s, then by %s", to, before, name)
			}
			return testkit.Answer{}
		})
	}
	outlets := map[string]outlet{"one": deferring("one"), "three": deferring("three"), "spare": deferring("spare")}
	took := sendBy(t, threeAccounts, at(people, "example.org"), outlets)
	if took["one"] < people/4-40 || took["one"] > people/4+40 || took["spare"] > 0 {
		t.Errorf("messages %v, expected about %d by one and none by spare", took, people/4)
	}
	if len(first) == 0 {
		t.Error("no recipient was deferred")
	}
}

// TestAnAccountThatTakesNothingHandsOver sends by an account that is closed, out of
// quota, or blocked in the lane of the recipients: another one takes over, and no
// recipient is charged an attempt.
func TestAnAccountThatTakesNothingHandsOver(t *testing.T) {
	t.Parallel()
	const people, quota = 200, 20
	badPassword := says("auth", "535 5.7.8 Error: authentication failed: authentication failure")
	blocked := says("rcpt", "550 5.7.28 There is an unusual rate of unsolicited email originating from your IP address.")
	limited := newOutlet(t, takesAll)
	limited.more = fmt.Sprintf("    limits: {connections: 4, per_day: %d}\n", quota)
	for _, c := range []struct {
		name       string
		one, three outlet
		want       map[string]int
	}{
		{"a bad password", newOutlet(t, takesAll), newOutlet(t, badPassword), map[string]int{"one": people}},
		{"a blocked lane", newOutlet(t, takesAll), newOutlet(t, blocked), map[string]int{"one": people}},
		{"a quota", newOutlet(t, takesAll), limited, map[string]int{"one": people - quota, "three": quota}},
		{"two bad passwords", newOutlet(t, badPassword), newOutlet(t, badPassword), map[string]int{"spare": people}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			outlets := map[string]outlet{"one": c.one, "three": c.three, "spare": newOutlet(t, takesAll)}
			took := sendBy(t, threeAccounts+"  max_attempts: 1\n", at(people, "gmail.com"), outlets)
			for name := range outlets {
				// A slot of a quota that is not used in time comes back after a second.
				if off := took[name] - c.want[name]; off < -2 || off > 2 || took["three"] > c.want["three"] {
					t.Errorf("messages %v, expected %v", took, c.want)
					break
				}
			}
		})
	}
}

// TestARunThatWaitsForAnAccountSaysSo has a password that is refused, which a worker
// finds out that is another process than the one which is asked.
func TestARunThatWaitsForAnAccountSaysSo(t *testing.T) {
	t.Parallel()
	o := newOutlet(t, says("auth", "535 5.7.8 Error: authentication failed: authentication failure"))
	w := newWorld(t, setup{people: 10, accounts: account("relay", o.Addr(), o.more)})
	w.quietWorker()
	run := w.launch()
	d := w.until(run, 20*time.Second, "waiting", func(d document) bool { return d.waitsFor("account") != nil })
	wait := d.waitsFor("account")
	if wait.What != "relay" || wait.Code != "BS-ACCOUNT-LOGIN" || wait.Until == nil || !wait.Until.After(time.Now()) {
		t.Errorf("%s: expected that it waits for relay, with the code BS-ACCOUNT-LOGIN and until when", d.text())
	}
	watch := w.start("run", "watch", run)
	watch.WaitLine("BS-ACCOUNT-LOGIN", 20*time.Second)
}

// TestAServerThatCallsEverybodyUnknownIsStopped has a server that takes 300 messages and
// then answers 550 5.1.1 to everyone.
func TestAServerThatCallsEverybodyUnknownIsStopped(t *testing.T) {
	t.Parallel()
	const people, good, connections, most = 2000, 300, 9, 200
	var mu sync.Mutex
	asked, refused := 0, 0
	server := testkit.NewScriptServer(t, func(stage, _ string) testkit.Answer {
		if stage != "rcpt" {
			return testkit.Answer{}
		}
		mu.Lock()
		defer mu.Unlock()
		asked++
		if asked <= good {
			return testkit.Answer{}
		}
		refused++
		return testkit.Answer{Text: "550 5.1.1 The email account that you tried to reach does not exist."}
	})
	w := newWorld(t, setup{accounts: account("relay", server.Addr(), fmt.Sprintf("    limits: {connections: %d}\n", connections))})
	w.audience(at(people, "gmail.com"))
	for range 3 {
		w.quietWorker()
	}
	run := w.launch()
	d := w.until(run, 30*time.Second, "stopped", func(d document) bool {
		wait := d.waitsFor("lane")
		return wait != nil && wait.Code == "BS-LANE-STORM"
	})
	d = w.until(run, 30*time.Second, "at rest", func(d document) bool {
		return d.Counts["sending"] == 0 && d.Counts["accepted"]+d.Counts["bounced"] > 0
	})
	<-time.After(3 * time.Second) // a worker that does not stop goes on
	d = w.show(run)
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d refused, counts %v", refused, d.Counts)
	if refused > most+connections || d.Counts["bounced"] != int64(refused) {
		t.Errorf("%d refused, expected at most %d and %d on the wire; counts %v", refused, most, connections, d.Counts)
	}
	if wait := d.waitsFor("lane"); wait == nil || wait.What != "relay/gmail" || wait.Until != nil {
		t.Errorf("%s: expected that it waits for relay/gmail without an end", d.text())
	}
}
