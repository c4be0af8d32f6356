package throttle

import "fmt"

// A line is the points of one limit: KEYS of the slot scripts. Its tag names the
// hash slot, and so the node whose clock its points are in.
type line struct {
	tag, slot, free string
	rate            float64
	slack           int64 // longest delay from a point to the body that uses it, microseconds
}

// guard is the key that makes giving back happen once per id.
func (l line) guard(id string) string { return l.slot + ":returned:" + id }

// A chain is the limits of one hash slot. A body needs a point of each of its lines,
// and is counted by each of its counters.
type chain struct {
	tag      string
	lines    []line
	counters []counter
}

func (ch chain) isEmpty() bool { return len(ch.lines)+len(ch.counters) == 0 }

func (ch chain) keys() []string {
	var keys []string
	for _, l := range ch.lines {
		keys = append(keys, l.slot, l.free)
	}
	for _, c := range ch.counters {
		keys = append(keys, c.key)
	}
	return keys
}

// A route is all lines that a body needs a point of, in this order. Each point is
// at the moment of the one before it or later, and the body leaves at the last.
type route struct {
	camp, acct chain
	delay      int64 // longest from the first point to the last, microseconds
}

// newRoute returns the route of those limits that limit anything.
func newRoute(prefix string, limits []Limit) (route, error) {
	var r route
	for _, limit := range inOrder(limits) {
		err := limit.check()
		if err != nil {
			return route{}, err
		}
		if limit.Opens && len(limits) > 1 {
			return route{}, fmt.Errorf("limit of connections opened by account %s among %d limits: expected it alone", limit.Account, len(limits))
		}
		if !limit.Counts() {
			continue
		}

		ch := &r.acct
		if limit.Campaign != "" {
			ch = &r.camp
		}
		err = ch.add(prefix, limit)
		if err != nil {
			return route{}, err
		}
	}
	r.stretch()
	return r, nil
}

func (ch *chain) add(prefix string, limit Limit) error {
	if ch.tag != "" && ch.tag != limit.tag() {
		return fmt.Errorf("limits of both %s and %s: a message has one account and one campaign", ch.tag, limit.tag())
	}
	ch.tag = limit.tag()

	for _, q := range limit.Quotas {
		err := ch.addQuota(newCounter(prefix, limit.Account, q))
		if err != nil {
			return err
		}
	}
	if limit.Rate <= 0 {
		return nil
	}

	l := limit.line(prefix)
	for _, other := range ch.lines {
		if other.slot == l.slot {
			return fmt.Errorf("two limits have the key %s: expected one", l.slot)
		}
	}
	ch.lines = append(ch.lines, l)
	return nil
}

func (ch *chain) addQuota(c counter) error {
	err := c.check()
	if err != nil {
		return fmt.Errorf("account %s: %w", c.account, err)
	}
	for _, other := range ch.counters {
		if other.key == c.key {
			return fmt.Errorf("two quotas have the key %s: expected one", c.key)
		}
	}
	ch.counters = append(ch.counters, c)
	return nil
}

// stretch sets the delay, and the slack of each line. The delay is long enough
// that each free point of the last line can be the partner of some point of the
// others, even between those that other messages have taken.
func (r *route) stretch() {
	sum, last := 0.0, (*line)(nil)
	lines := 0
	for _, ch := range []chain{r.camp, r.acct} {
		for i := range ch.lines {
			last = &ch.lines[i]
			sum += interval(last.rate)
			lines++
		}
	}
	if lines < 2 {
		return
	}
	r.delay = int64(min(sum, float64(maxDelay.Microseconds())))
	for _, ch := range []chain{r.camp, r.acct} {
		for i := range ch.lines {
			ch.lines[i].slack = r.delay
		}
	}
	last.slack = lastSlack(last.rate)
}

// lastSlack is the slack of the last line of a route, whose pace it costs. Of a slow
// line nothing is spared; a fast one gives points in a row, which is less work.
func lastSlack(rate float64) int64 {
	if rate < fast {
		return 0
	}
	return rowSlack.Microseconds()
}
