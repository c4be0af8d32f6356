package campaign

import "time"

// A WebhookEvent is something that a receiver of outgoing webhooks can ask for.
type WebhookEvent string

// The events. They are the "type" of what is sent.
const (
	WebhookRunFinished  WebhookEvent = "run.finished"
	WebhookRunFailed    WebhookEvent = "run.failed" // it did not become ready
	WebhookRunCancelled WebhookEvent = "run.cancelled"
	WebhookRunPaused    WebhookEvent = "run.paused" // by an operator or a guard
	WebhookRunHeld      WebhookEvent = "run.held"
	WebhookRunMissed    WebhookEvent = "run.missed" // of a schedule: it was not made

	WebhookBounced      WebhookEvent = "bounced"
	WebhookComplained   WebhookEvent = "complained"
	WebhookUnsubscribed WebhookEvent = "unsubscribed"
)

// WebhookEvents are all of them.
var WebhookEvents = []WebhookEvent{
	WebhookRunFinished, WebhookRunFailed, WebhookRunCancelled, WebhookRunPaused, WebhookRunHeld, WebhookRunMissed,
	WebhookBounced, WebhookComplained, WebhookUnsubscribed,
}

// A MissedOccurrence is what an outgoing webhook tells about a time of a schedule at which
// nothing was sent, or about several that were missed one after the other.
type MissedOccurrence struct {
	Campaign string    `json:"campaign"`
	Topic    string    `json:"topic"`
	At       time.Time `json:"at"`
	Until    time.Time `json:"until,omitzero"` // the last of several
	Times    int64     `json:"times"`          // how many they are
	Reason   string    `json:"reason"`
	Recorded time.Time `json:"recorded"`

	Stored string `json:"-"` // as scheduler.Schedules has it
}

// A RecipientEvent is what an outgoing webhook tells about one recipient.
type RecipientEvent struct {
	Event       WebhookEvent
	Run         string // empty: it is not known
	Part, Index int    // of the recipient in the run; an Index of -1: it is not known
	Address     string
	Topic       string // what an unsubscribe is from, or that of the run; empty: everything
	Account     string // empty: it is not known
	Code        int    // of the reply; 0: none
	Enhanced    string // of the reply, such as "5.1.1"
	Reply       string // what the server said; may be empty
	Permanent   bool   // of a bounce: the address is dead
	At          time.Time
	Source      string // "smtp" for a reply while we sent, else the road it came by

	// Name tells events apart about the same person where the run does not: the same
	// event has the same one each time. May be empty.
	Name string
}
