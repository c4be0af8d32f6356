package throttle

import "fmt"

// A line is the points of one limit: KEYS of the slot scripts. Its tag names the
// hash slot, and so the node whose clock its points are in.
type line struct {
	tag, slot, holes string
	rate             float64
	slack            int64 // longest delay from a point to the body that uses it, microseconds
}

// guard is the key that makes giving back happen once per id.
func (l line) guard(id string) string { return l.holes + ":" + id }

// A chain is lines of one hash slot. A body needs a point of each.
type chain []line

func (ch chain) tag() string { return ch[0].tag }

func (ch chain) keys() []string {
	var keys []string
	for _, l := range ch {
		keys = append(keys, l.slot, l.holes)
	}
	return keys
}

// args are the interval and the slack of each line, as the scripts take them.
func (ch chain) args() []any {
	var args []any
	for _, l := range ch {
		args = append(args, interval(l.rate), l.slack)
	}
	return args
}

// A route is all lines that a body needs a point of, in this order. Each point is
// at the moment of the one before it or later, and the body leaves at the last.
type route struct {
	camp, acct chain
	delay      int64 // longest from the first point to the last, microseconds
}

// newRoute returns the route of the limits that have a rate.
func newRoute(prefix string, limits []Limit) (route, error) {
	var r route
	for _, limit := range inOrder(limits) {
		if err := limit.check(); err != nil {
			return route{}, err
		}
		if limit.Rate <= 0 {
			continue
		}
		ch := &r.acct
		if limit.Campaign != "" {
			ch = &r.camp
		}
		if err := ch.add(limit.line(prefix)); err != nil {
			return route{}, err
		}
	}
	r.stretch()
	return r, nil
}

func (ch *chain) add(l line) error {
	for _, other := range *ch {
		if other.slot == l.slot {
			return fmt.Errorf("two limits have the key %s: expected one", l.slot)
		}
		if other.tag != l.tag {
			return fmt.Errorf("limits of both %s and %s: a message has one account and one campaign", other.tag, l.tag)
		}
	}
	*ch = append(*ch, l)
	return nil
}

// stretch sets the delay, and the slack of each line. The delay is long enough
// that each free point of the last line can be the partner of some point of the
// others, even between those that other messages have taken.
func (r *route) stretch() {
	sum, last := 0.0, (*line)(nil)
	lines := 0
	for _, ch := range []chain{r.camp, r.acct} {
		for i := range ch {
			last = &ch[i]
			sum += interval(last.rate)
			lines++
		}
	}
	if lines < 2 {
		return
	}
	r.delay = int64(min(sum, float64(maxDelay.Microseconds())))
	for _, ch := range []chain{r.camp, r.acct} {
		for i := range ch {
			ch[i].slack = r.delay
		}
	}
	last.slack = 0
}
