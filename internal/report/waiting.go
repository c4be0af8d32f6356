package report

import (
	"fmt"
	"time"

	"broadside/campaign/codes"
)

// What a run may wait for.
const (
	ForAccount   = "account"   // all of it, or those of its recipients who have the account
	ForLane      = "lane"      // its recipients at one provider
	ForQuota     = "quota"     // an hour's or a day's limit of an account
	ForWarmup    = "warmup"    // the next day of an account's warm-up
	ForWindow    = "window"    // the hours in which it may send
	ForSlot      = "slot"      // the next moment that a low rate allows
	ForWorker    = "worker"    // no worker is there to send
	ForScheduler = "scheduler" // no scheduler is there to make it ready
	ForLaunch    = "launch"    // likewise, of a run that was launched
	ForRedis     = "redis"     // its state cannot be read
)

// A Wait is something that keeps a run, or part of it, from going on, and that
// is expected to pass.
type Wait struct {
	For    string
	What   string // the account, ACCOUNT/PROVIDER, the campaign; empty for a worker and Redis
	Code   codes.Code
	Reason string    // one line that begins with the code; reports show it through Redact
	Until  time.Time // when it ends by itself; zero: it does not, or that is not known
}

// String says what is waited for, until when, and why.
func (w Wait) String() string {
	until := ""
	if !w.Until.IsZero() {
		until = " until " + w.Until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("%s%s: %s", w.Subject(), until, oneLine(Redact(w.Reason)))
}

// Subject names what is waited for.
func (w Wait) Subject() string {
	switch w.For {
	case ForWorker:
		return "a worker"
	case ForRedis:
		return "Redis"
	}
	return w.For + " " + w.What
}

// wait is a Wait in the JSON document.
type wait struct {
	For    string     `json:"for"`
	What   string     `json:"what"`
	Code   codes.Code `json:"code"`
	Until  moment     `json:"until"`
	Reason string     `json:"reason"`
}

// waitsOf returns the waits of the JSON document: an empty list for none.
func waitsOf(all []Wait) []wait {
	out := make([]wait, len(all))
	for i, w := range all {
		out[i] = wait{w.For, w.What, w.Code, moment(w.Until), Redact(w.Reason)}
	}
	return out
}
