// Package forecast says how long a run will take, and what it will wait for: a
// simulation with the limits that hold when it is sent.
//
// Recipients flow from their lanes as a liquid does, at rates that stay as they are until
// something happens: a lane is done, a quota is spent or frees, a day of a warm-up begins.
// It jumps from one to the next, so that a month costs no more than an hour. As in the
// sender, recipients belong to accounts by weight, one that has spent a quota hands over to
// the next, and lanes that compete for a rate take turns.
//
// It promises that no limit is exceeded, and that everybody is counted once. What it
// cannot know is left out: replies that slow a lane down or defer recipients, accounts that
// are closed, and other runs that are under way. How long a server takes for a message is
// assumed, and matters only where no rate does.
//
// The package is pure: it takes the time as an argument.
package forecast

import (
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

const (
	// PerMessage is how long a message is assumed to keep a connection: a round trip,
	// of some 50 ms to a relay on the same continent, and as much for the server to
	// store it.
	PerMessage = 100 * time.Millisecond
	// PerMessageHere is the same for a server on this machine.
	PerMessageHere = 3 * time.Millisecond
	// Horizon is how far ahead a forecast looks.
	Horizon = 400 * 24 * time.Hour
)

// An Input is what is known before a run is made.
type Input struct {
	Now      time.Time
	Zone     *time.Location // of the days that are counted
	Rate     float64        // of the campaign, messages a second; 0: none
	Accounts []Account      // in the order of the campaign
	People   []People

	Canary     int           // are sent to first; 0: none
	CanaryWait time.Duration // until the others follow
	Expires    time.Time     // who has not been sent to by then fails; zero: never

	// Waves is when recipients may be sent to: of each provider the same shares of all.
	// Empty: all of them now. With waves there is no canary.
	Waves []Wave
}

// A Wave is recipients who may be sent to from a moment on.
type Wave struct {
	At         time.Time
	Recipients float64 // with those of the other waves they are all
}

// People are recipients at one mailbox provider. Those of a domain that has a lane of its
// own are apart.
type People struct {
	Provider campaign.Provider
	Domain   string // empty: all domains of the provider that are not apart
	Number   int64
}

// An Account is one way out with its limits; 0 is none.
type Account struct {
	Name   string
	Weight int     // 0: it gets what none of the others can send
	Rate   float64 // messages a second

	Connections           int
	ConnectionRate        float64 // connections opened a second
	MessagesPerConnection int
	PerMessage            time.Duration // assumed; 0: [PerMessage]

	Lanes map[string]Lane // by mailbox provider or domain

	// Quotas returns the quotas that count at a moment; nil: there are none.
	Quotas func(now time.Time) []throttle.Quota
	Used   []throttle.Usage // of the quotas of now
	// WarmupDay is the day of the warm-up that it is; 0: there is none, or it has not
	// begun.
	WarmupDay int
}

// A Lane has the ceilings of one lane of an account; 0 is none.
type Lane struct {
	Rate        float64 // messages a second
	Connections int
}

// A Limit names what bounds a lane.
type Limit string

// The limits of a lane.
const (
	ByRate        Limit = "rate"        // of the account
	ByLane        Limit = "lane"        // its own ceiling
	ByQuota       Limit = "quota"       // of an hour or of 24 hours
	ByWarmup      Limit = "warmup"      // what a day of the warm-up allows
	ByCampaign    Limit = "campaign"    // its rate
	ByConnections Limit = "connections" // as many as are open, at the time that is assumed for a message
)

// limitNames are all limits, in the order of preference where several bound a lane for
// the same time.
var limitNames = [...]Limit{ByWarmup, ByQuota, ByLane, ByRate, ByCampaign, ByConnections}

// A Forecast says what becomes of a run.
type Forecast struct {
	Now    time.Time
	Finish time.Time // the last message; zero: not before the [Horizon]
	Lanes  []Flow    // by account in their order, then by size
	Waits  []Wait    // in the order of time
	// Warmups are of the accounts that are warming up now, and get recipients.
	Warmups []Warmup
	Expires time.Time // as in the input
	Expired int64     // recipients that have not been sent to when the run expires
}

// A Flow is what leaves by one lane of an account.
type Flow struct {
	Account    string
	Lane       string // mailbox provider or domain
	Recipients int64
	Ceiling    float64 // messages a second, the lowest that is set; 0: none
	Starts     time.Time
	Finish     time.Time // zero: not before the [Horizon]
	Days       int       // of the calendar on which it sends, from the first to the last
	Limit      Limit     // what bounds it most of the time
}

// A Wait is a quota that is spent for the first time.
type Wait struct {
	Account string
	Quota   throttle.Quota
	At      time.Time
	Until   time.Time // when the first message leaves again
	Waiting int64     // recipients that no account can take then
	Others  int64     // recipients of the account that others take in the meantime
}

// A Warmup says how an account's warm-up bounds the run.
type Warmup struct {
	Account   string
	Day       int // today's; 0: it has not begun
	Allowance int // of today
	Left      int // of that
	Days      int // from today until the last recipient of the account; 0: not before the [Horizon]
}

// Of returns the forecast of a run.
func Of(in Input) Forecast { return newSimulation(in).run().result() }
