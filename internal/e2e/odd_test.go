package e2e

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// oddPeople is how many each odd server is sent to.
const oddPeople = 150

// refusedOf is what an odd server says to some of its recipients: the third of
// seven does not exist, the message to the fifth is refused.
func refusedOf(to string) (rcpt, dot string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(to, "p"), "@")
	n, err := strconv.Atoi(name)
	switch {
	case err != nil:
		return "", ""
	case n%7 == 3:
		return "550 5.1.1 no such user", ""
	case n%7 == 5:
		return "", "554 5.7.1 refused"
	}
	return "", ""
}

// An oddCase is one server, spoken to in one way.
type oddCase struct {
	name   string
	server *testkit.OddServer
	run    string
}

func (c *oddCase) pattern() string { return "p%d@" + c.name + ".example" }

// TestOddServers: whatever a server says at the wrong time, twice or not at all,
// what the run has of its recipients is what the server did with their messages,
// or it is called unknown.
func TestOddServers(t *testing.T) {
	t.Parallel()
	var cases []*oddCase
	var accounts strings.Builder
	for _, odd := range testkit.Oddities {
		for _, mode := range []string{"auto", "envelope", "off"} {
			c := &oddCase{name: odd.Name + "-" + mode, server: testkit.NewOddServer(t, odd, refusedOf)}
			accounts.WriteString(account(c.name, c.server.Addr(), "    pipelining: "+mode+"\n    limits: {connections: 3}\n"))
			cases = append(cases, c)
		}
	}
	w := newWorld(t, setup{people: 1, accounts: accounts.String() + noStorm})
	w.worker()
	for _, c := range cases {
		w.oddCampaign(c)
		out, _ := w.run(0, "campaign", "launch", c.name+".yaml", "--json")
		c.run = parseDocument(t, out).Run
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.judge(t, w) })
	}
}

// oddCampaign writes the campaign of a case, with people of its own.
func (w *world) oddCampaign(c *oddCase) {
	var people strings.Builder
	people.WriteString("email,first_name,city\n")
	for i := range oddPeople {
		fmt.Fprintf(&people, c.pattern()+",First,City\n", i)
	}
	w.write(c.name+".csv", people.String())
	w.write(c.name+".yaml", fmt.Sprintf(`id: %s
topic: newsletter
from: Acme News <news@acme.example>
subject: "Hello {{.first_name}}"
audience: {source: %[1]s.csv}
content: {markdown: letter.md}
delivery: {accounts: [%[1]s], retry: [1s]}
`, c.name))
}

// judge compares the run with the truth.
func (c *oddCase) judge(t *testing.T, w *world) {
	took := c.server.Took
	d := w.finished(c.run, 2*time.Minute)
	out, _ := w.run(0, "run", "recipients", c.run, "--json")
	var people []struct{ Address, State, Reply string }
	if err := json.Unmarshal([]byte(out), &people); err != nil || len(people) != oddPeople {
		t.Fatalf("%d recipients: %v", len(people), err)
	}
	var spared []string
	for _, p := range people {
		n := took()[p.Address]
		rcpt, dot := refusedOf(p.Address)
		refused := rcpt != "" || dot != ""
		bad := p.State == "bounced" || p.State == "failed"
		if n > 1 || p.State == "accepted" && n == 0 || bad && (n > 0 || !refused) {
			t.Errorf("%s is %s (%s), and got %d messages; refused: %t", p.Address, p.State, p.Reply, n, refused)
		}
		if !refused || n > 0 {
			spared = append(spared, p.Address)
		}
	}
	if on := w.suppressedNow(spared...); len(on) > 0 {
		for address, suppressed := range on {
			if suppressed {
				t.Errorf("%s is suppressed", address)
			}
		}
	}
	// One for each odd answer is in doubt, and one that was under way.
	if limit := int64(2 * c.server.Struck()); d.Counts["uncertain"] > limit {
		t.Errorf("%v with %d odd answers", d.Counts, c.server.Struck())
	}
	if c.server.Struck() == 0 && !strings.HasPrefix(c.name, "no-rset") {
		t.Error("the server did nothing odd")
	}
	t.Logf("%v, %d odd answers", d.Counts, c.server.Struck())
}
