package e2e

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The limits under which the faults strike. Both rates are below what the connections
// carry where twelve campaigns run at once, so that slots are waited for.
const (
	chaosRate      = 50 // of the account
	chaosLaneRate  = 5  // of the lane of chaosLane, which has a tenth of the people
	chaosLane      = "gmail.com"
	chaosLeased    = "outlook.com" // its lane has a limit of connections, and a tenth of the people
	chaosLaneConns = 2
)

// chaosLimits is the YAML of an account with a rate, connections, a quota that is not
// reached, and two lanes.
func chaosLimits(people int) string {
	return fmt.Sprintf(`    limits: {rate: %d/s, connections: %d, per_hour: %d}
    lanes:
      gmail: {rate: %d/s}
      microsoft: {connections: %d}
`, chaosRate, chaosConnections, 10*people, chaosLaneRate, chaosLaneConns)
}

// chaosDomain is where the person of a number lives.
func chaosDomain(i int) string {
	switch i % 10 {
	case 3:
		return chaosLane
	case 7:
		return chaosLeased
	}
	return "example.org"
}

func chaosAddress(i int) string { return fmt.Sprintf("person%d@%s", i, chaosDomain(i)) }

func chaosAudience(people int) []string {
	all := make([]string, people)
	for i := range all {
		all[i] = chaosAddress(i)
	}
	return all
}

// keepsRates looks at every second and at every five at the sink. A fault may hold up what
// is on the wire already, which then arrives together with what follows: one for each
// connection.
func (c *trial) keepsRates() {
	c.t.Helper()
	var all, lane []time.Time
	for _, r := range c.sink.Records() {
		if !strings.ContainsRune("ALN", rune(r.Kind)) {
			continue
		}
		all = append(all, r.At)
		if strings.HasSuffix(r.Rcpt, "@"+chaosLane) {
			lane = append(lane, r.At)
		}
	}
	c.keepsRate("account", all, chaosRate)
	c.keepsRate("lane of "+chaosLane, lane, chaosLaneRate)
}

func (c *trial) keepsRate(what string, at []time.Time, rate float64) {
	c.t.Helper()
	slices.SortFunc(at, time.Time.Compare)
	for _, window := range []time.Duration{time.Second, 5 * time.Second} {
		got := busiest(at, window)
		if limit := most(rate, window+rateSlack) + chaosConnections; got > limit {
			c.t.Errorf("%s: %d messages of the %s in %s, the limit is %g/s, with slack %d", c.what, got, what, window, rate, limit)
		}
		c.t.Logf("%s: at most %d messages in %s", what, got, window)
	}
}
