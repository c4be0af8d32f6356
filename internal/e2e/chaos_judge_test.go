package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"broadside/internal/testkit"
)

// A result is what one trial showed.
type result struct {
	number             int
	fault, what        string
	people             int
	lost, twice        int
	uncertain, allowed int
	recovered          time.Duration // from the end of the fault to the next message; 0: none was left
	failed             bool
	kept               string // directory
}

func (r *result) add(o result) {
	r.people += o.people
	r.lost += o.lost
	r.twice += o.twice
	r.uncertain += o.uncertain
	r.allowed += o.allowed
}

// A verdict is the sink against the ledger against the audience.
type verdict struct {
	lost, twice, uncertain, allowed int

	document document
	states   map[string]string
	got      map[string]int // messages that the sink has
	wrong    int            // people for whom something is wrong
}

// judge waits for the end of the run and compares.
func (c *trial) judge() *verdict {
	c.t.Helper()
	return c.compare(c.ended())
}

// ended waits until the run is finished. A run that a guard paused while the
// fault lasted is resumed, as its operator would.
func (c *trial) ended() document {
	c.t.Helper()
	var last document
	deadline := time.Now().Add(chaosPatience)
	for {
		out, err := c.command("run", "show", c.run, "--json").Output()
		if err == nil {
			last = parseDocument(c.t, string(out))
			if last.sum() != last.Total {
				c.t.Fatalf("%s: states do not add up: %+v", c.what, last)
			}
			switch last.State {
			case "finished":
				return last
			case "paused":
				c.what += ", paused by a guard and resumed"
				c.world.run(0, "run", "resume", c.run)
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not finished within %s: %+v, %v", c.what, chaosPatience, last, err)
		}
		c.sleep(500 * time.Millisecond) // between two questions
	}
}

// compare takes everybody's state and everything that arrived. A worker that
// comes back late may still lift who was uncertain: counts and states are of one
// moment when the counts are the same before and after.
func (c *trial) compare(d document) *verdict {
	c.t.Helper()
	states := c.states()
	for now := c.world.show(c.run); !maps.Equal(now.Counts, d.Counts); now = c.world.show(c.run) {
		d, states = now, c.states()
	}
	v := &verdict{document: d, states: states, got: map[string]int{}, allowed: c.allowed}
	for _, r := range c.sink.Records() {
		switch r.Kind {
		case 'A':
			v.got[r.Rcpt]++
		case 'L':
			v.got[r.Rcpt]++
			v.allowed++ // the server itself left it open
		case 'N':
			v.allowed++
		}
	}
	for i := range c.people {
		c.person(v, fmt.Sprintf(pattern, i))
	}
	switch {
	case len(v.got) > c.people || len(v.states) != c.people || d.Total != int64(c.people):
		c.t.Errorf("%s: %d people, %d at the sink, %d in the ledger, total %d", c.what, c.people, len(v.got), len(v.states), d.Total)
	case d.Counts["uncertain"] != int64(v.uncertain):
		c.t.Errorf("%s: counts say %d uncertain, %d are", c.what, d.Counts["uncertain"], v.uncertain)
	case v.uncertain > v.allowed:
		c.t.Errorf("%s: %d uncertain, at most %d had anything on the wire", c.what, v.uncertain, v.allowed)
	}
	return v
}

// person checks one address: a message once, and a state that says so.
func (c *trial) person(v *verdict, address string) {
	c.t.Helper()
	state, n := v.states[address], v.got[address]
	wrong := func() {
		if v.wrong++; v.wrong <= 5 { // the first few say enough
			c.t.Errorf("%s: %s got %d messages, state %q", c.what, address, n, state)
		}
	}
	if n > 1 {
		v.twice++
		wrong()
	}
	_, excused := c.excused[address]
	switch {
	case state == "uncertain":
		v.uncertain++
	case state == "accepted" && n > 0:
	case state == "suppressed" && n == 0 && excused:
	case n == 0:
		v.lost++
		wrong()
	default:
		wrong()
	}
}

// nobodyTwice is all that can be asked for when the run is not what it was.
func (v *verdict) nobodyTwice(c *trial) {
	c.t.Helper()
	for _, n := range c.sink.Accepted() {
		if n > 1 {
			v.twice++
		}
	}
	if v.twice > 0 {
		c.t.Errorf("%s: %d people got more than one message", c.what, v.twice)
	}
}

// states reads the state of each recipient.
func (c *trial) states() map[string]string {
	c.t.Helper()
	cmd := c.command("run", "recipients", c.run, "--format", "jsonl")
	out, err := cmd.StdoutPipe()
	c.must(err)
	c.must(cmd.Start())
	states := map[string]string{}
	for s := bufio.NewScanner(out); s.Scan(); {
		var r struct{ Address, State string }
		c.must(json.Unmarshal(s.Bytes(), &r))
		states[r.Address] = r.State
	}
	c.must(cmd.Wait())
	return states
}

// recovered is the time from the end of the fault to the next message.
func (c *trial) recovered() time.Duration {
	if c.over.IsZero() {
		return 0
	}
	return c.pauseAfter(c.over)
}

// pauseAfter is the time from a moment to the next message; 0 when none came.
func (c *trial) pauseAfter(from time.Time) time.Duration {
	var next time.Duration
	for _, r := range c.sink.Records() {
		if after := r.At.Sub(from); r.Kind == 'A' && after > 0 && (next == 0 || after < next) {
			next = after
		}
	}
	return next
}

// toldEverything checks that no one is in doubt whose message was answered: a
// reply that comes late still counts.
func toldEverything(c *trial, v *verdict) {
	c.t.Helper()
	answered := map[string]bool{}
	for _, r := range c.sink.Records() {
		if r.Kind == 'A' {
			answered[r.Rcpt] = true
		}
	}
	for address, state := range v.states {
		if answered[address] && state != "accepted" {
			c.t.Errorf("%s: the message to %s was answered with 250, its state is %s", c.what, address, state)
		}
	}
}

// resumesWithin checks the time to recover.
func resumesWithin(limit time.Duration) func(*trial, *verdict) {
	return func(c *trial, _ *verdict) {
		c.t.Helper()
		if took := c.recovered(); took > limit+*chaosSlack {
			c.t.Errorf("%s: the next message came after %s, promised are %s", c.what, took, limit)
		}
	}
}

// othersCarryOn checks what is promised of one killed worker among three: the
// others pause for no more than two seconds, and within 20 s they take it for
// dead, which hands out again the recipients that it held; or the run is over by then,
// because it held none.
func othersCarryOn(c *trial, _ *verdict) {
	c.t.Helper()
	const pause, dead = 2 * time.Second, 20 * time.Second
	if took := c.recovered(); took > pause+*chaosSlack {
		c.t.Errorf("%s: the others paused for %s", c.what, took)
	}
	took := chaosPatience
	for _, p := range c.workers {
		for _, shows := range []string{"worker is dead, taken off the list", "run is over"} {
			if at, ok := said(p, shows); ok && at.After(c.struck) {
				took = min(took, at.Sub(c.struck))
			}
		}
	}
	if took > dead+*chaosSlack {
		c.t.Errorf("%s: what it held was handed out again only after %s", c.what, took)
	}
}

// said tells when a process logged a message for the first time.
func said(p *testkit.Proc, message string) (time.Time, bool) {
	for line := range strings.Lines(p.Output()) {
		var entry struct {
			Time time.Time
			Msg  string
		}
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == message {
			return entry.Time, true
		}
	}
	return time.Time{}, false
}

// exits checks that a process that was asked to stop did so in order.
func (c *trial) exits(p *testkit.Proc, what string) {
	c.t.Helper()
	if code := p.Wait(25*time.Second + *chaosSlack); code != 0 {
		c.t.Errorf("%s: %s ended with exit code %d", c.what, what, code)
	}
}

// without returns the list without one.
func without(all []*testkit.Proc, one *testkit.Proc) []*testkit.Proc {
	return slices.DeleteFunc(slices.Clone(all), func(p *testkit.Proc) bool { return p == one })
}
