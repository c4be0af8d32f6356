package campaign

import (
	"time"

	"broadside/campaign/window"
)

// A RunSpec says what a run is: everything but its recipients. It is made from a
// campaign file, from a schedule, or from the run that is retried, and nothing of it
// is read again later.
type RunSpec struct {
	Snapshot Snapshot // the content, the accounts and the rate
	Delivery Delivery // the terms: retry, max_attempts, expires_after, on_uncertain, durability
	Guard    Guard
	High     bool   // it goes before runs of normal priority
	Audience string // where the recipients come from, for people
	// Window is when it may send, and the only time that counts for expires_after; nil: always.
	Window *window.Window
	// Spread is how long the run takes at least, its messages evenly over it; 0: as long as
	// the limits make it.
	Spread time.Duration
	// Local has each recipient get the message by their own clock; then neither Window nor
	// Spread is set. nil: all get it at once.
	Local *LocalTime

	// Parent is the run whose recipients are retried; empty: the run follows none.
	Parent string

	// Once names what has one run only: a campaign without cron, or a retry. Empty:
	// there may be any number.
	Once string
	// Again makes another run of Once, which takes its name when it is ready.
	Again bool
	// Key makes a repeated call return the same run; empty: every call is another.
	Key string
	// Occurrence is the time of the schedule's entry that the run is of, which its id
	// follows from; zero: the run is made now.
	Occurrence time.Time
}

// OnceCampaign is the Once of a campaign without cron.
func OnceCampaign(id string) string { return "campaign:" + id }
