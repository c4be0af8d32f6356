package e2e

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"broadside/internal/testkit"
	"broadside/throttle"
)

// recoveryTempo makes a minute of a lane a second.
const recoveryTempo = 1.0 / 60

// ownRule makes 451 4.7.0 a request to slow down, with the pauses of the lane itself.
const ownRule = `version: 1
rules:
- id: slow-down
  match: {stage: [rcpt], code: ["451"], enhanced: ["4.7.0"], text: 'slow down'}
  verdict: retry_lane
  action: halve_rate
  example: '451 4.7.0 slow down'
`

// A gauge refuses what comes faster than its limit.
type gauge struct {
	mu    sync.Mutex
	limit int // in any second; 0: none
	at    []time.Time
}

func (g *gauge) passes(now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.at) > 0 && now.Sub(g.at[0]) >= time.Second {
		g.at = g.at[1:]
	}
	if g.limit > 0 && len(g.at) >= g.limit {
		return false
	}
	g.at = append(g.at, now)
	return true
}

func (g *gauge) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.limit = 0
}

// TestALaneSettlesBelowWhatItsServerTakesAndRecovers sends with a ceiling of 200/s to a
// server that asks for less above 50/s, and later for nothing. The times of lanes are a
// sixtieth of what they are. It has the machine for itself: what comes late comes in a
// bunch, which the server refuses.
func TestALaneSettlesBelowWhatItsServerTakesAndRecovers(t *testing.T) {
	const ceiling, limit = 200, 50
	const steps = (ceiling - limit/2) * 100 / (2 * ceiling)
	g := &gauge{limit: limit}
	server := testkit.NewScriptServer(t, func(stage, _ string) testkit.Answer {
		if stage == "rcpt" && !g.passes(time.Now()) {
			return testkit.Answer{Text: "451 4.7.0 slow down"}
		}
		return testkit.Answer{}
	})
	w := newWorld(t, setup{
		bin:      testkit.BuildFaulty(t),
		accounts: account("relay", server.Addr(), fmt.Sprintf("    limits: {connections: 8}\n    lanes:\n      gmail: {rate: %d/s}\n", ceiling)) + "reply_rules: own.yaml\n",
	})
	w.write("own.yaml", ownRule)
	w.env = append(w.env, fmt.Sprintf("LANE_TEMPO=%f", recoveryTempo))
	w.audience(at(12_000, "gmail.com"))
	for range 2 {
		w.quietWorker()
	}
	run := w.launch()

	tempo := throttle.DefaultTempo().Scaled(recoveryTempo)
	w.until(run, time.Minute, "slowed down", func(d document) bool { return d.waitsFor("lane") != nil })
	<-time.After(tempo.Pauses[0] + tempo.Pauses[1] + 5*tempo.Step) // it has found its level
	from := time.Now()
	<-time.After(10 * tempo.Step)
	settled := pace(server, from, time.Now())
	if settled < 0.7*limit || settled > limit {
		t.Errorf("%.1f a second under a limit of %d, expected between %.0f and %d", settled, limit, 0.7*limit, limit)
	}

	g.lift()
	lifted := time.Now()
	// At worst: a pause, 5 % a step up to nine tenths of the level known, 2 % above.
	recovered := tempo.Pauses[0] + 2*tempo.Step + steps*tempo.Step
	w.until(run, recovered+time.Minute, "open again", func(d document) bool { return d.waitsFor("lane") == nil })
	took := time.Since(lifted)
	t.Logf("%.1f a second under a limit of %d, back at the ceiling after %s of %s", settled, limit, took, recovered)
	if took > recovered+5*time.Second {
		t.Errorf("back at the ceiling %s after the limit was lifted, expected within %s", took, recovered)
	}
	from = time.Now()
	<-time.After(2 * time.Second)
	if got := pace(server, from, time.Now()); got < 0.9*ceiling || got > ceiling {
		t.Errorf("%.1f a second afterwards, expected about %d", got, ceiling)
	}
}

// pace returns how many messages a second a server took.
func pace(server *testkit.ScriptServer, from, to time.Time) float64 {
	n := 0
	for _, m := range server.Taken() {
		if m.At.After(from) && m.At.Before(to) {
			n++
		}
	}
	return float64(n) / to.Sub(from).Seconds()
}

// A wait is what a run waits for.
type wait struct {
	For    string     `json:"for"`
	What   string     `json:"what"`
	Code   string     `json:"code"`
	Reason string     `json:"reason"`
	Until  *time.Time `json:"until"`
}

// waitsFor returns what the run waits for of a kind; nil: nothing.
func (d document) waitsFor(kind string) *wait {
	for _, w := range d.Waiting {
		if w.For == kind {
			return &w
		}
	}
	return nil
}

// text is the document for messages of tests.
func (d document) text() string {
	b, _ := json.Marshal(d) // of strings and numbers
	return string(b)
}
