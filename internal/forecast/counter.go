package forecast

import (
	"time"

	"broadside/throttle"
)

// endSlack is how near to the end of a stretch of time it is over: steps are in seconds
// with fractions.
const endSlack = time.Microsecond

// A counter counts the messages of a quota, in the buckets of throttle.
type counter struct {
	quota throttle.Quota
	used  float64
	// releases are the messages of a rolling quota that count, by the moment at which
	// they stop to.
	releases []release
}

type release struct {
	at       time.Time
	messages float64
}

func newCounter(q throttle.Quota) *counter { return &counter{quota: q} }

func (c *counter) isFixed() bool { return c.quota.Window <= 0 }

func (c *counter) isOver(now time.Time) bool {
	return c.isFixed() && !now.Add(endSlack).Before(c.quota.End)
}

func (c *counter) limit() Limit {
	if c.isFixed() {
		return ByWarmup
	}
	return ByQuota
}

// take takes over what is used already. Where it is not known when that stops counting,
// it is taken to have been used just now.
func (c *counter) take(u throttle.Usage, now time.Time) {
	c.used = float64(u.Used)
	if c.isFixed() {
		return
	}
	known := 0
	for _, r := range u.Releases {
		known += r.Messages
		c.releases = append(c.releases, release{r.At, float64(r.Messages)})
	}
	if known < u.Used {
		_, out := c.quota.Bucket(now)
		c.releases = append(c.releases, release{out, float64(u.Used - known)})
	}
}

// room is how many messages may leave.
func (c *counter) room() float64 { return max(0, float64(c.quota.Messages)-c.used) }

// age takes off what counts no more.
func (c *counter) age(now time.Time) {
	for len(c.releases) > 0 && !c.releases[0].at.After(now.Add(endSlack)) {
		c.used -= c.releases[0].messages
		c.releases = c.releases[1:]
	}
	if len(c.releases) == 0 && !c.isFixed() {
		c.used = 0
	}
}

// frees returns when a quota that is spent has room again.
func (c *counter) frees(now time.Time) time.Time {
	if c.isFixed() {
		return c.quota.End
	}
	left := c.used
	for _, r := range c.releases {
		left -= r.messages
		if float64(c.quota.Messages)-left >= nothing {
			return r.at
		}
	}
	return now.Add(2 * Horizon) // it allows nothing at all
}

// count counts messages that leave evenly from one moment to another.
func (c *counter) count(from, to time.Time, messages float64) {
	c.used += messages
	if c.isFixed() {
		return
	}
	// What has left the window again at the end needs no bucket.
	rate := messages / to.Sub(from).Seconds()
	if oldest := to.Add(-2 * c.quota.Window); from.Before(oldest) {
		gone := oldest.Sub(from).Seconds() * rate
		c.used -= gone
		messages -= gone
		from = oldest
	}
	left := messages
	for {
		end, out := c.quota.Bucket(from)
		if !end.Before(to) {
			c.add(out, left)
			return
		}
		part := min(left, end.Sub(from).Seconds()*rate)
		c.add(out, part)
		left -= part
		from = end
	}
}

func (c *counter) add(out time.Time, messages float64) {
	if n := len(c.releases); n > 0 && !c.releases[n-1].at.Before(out) {
		c.releases[n-1].messages += messages
		return
	}
	c.releases = append(c.releases, release{out, messages})
}
