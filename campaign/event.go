package campaign

import "time"

// An EventKind is what came back after a message was accepted. The report of a
// run counts each kind under "after".
type EventKind string

// The kinds of events. They are stored in the counts of a run.
const (
	EventDelivered    EventKind = "delivered"
	EventBounced      EventKind = "bounced"
	EventBlocked      EventKind = "blocked"
	EventComplained   EventKind = "complained"
	EventUnsubscribed EventKind = "unsubscribed"
)

// EventKinds are all kinds, in the order in which reports show them.
var EventKinds = []EventKind{EventDelivered, EventBounced, EventBlocked, EventComplained, EventUnsubscribed}

// An Event is one thing that a reader or a mail server reported about a message
// after it was accepted.
type Event struct {
	Recipient string // the address
	Run       string // the run whose message it is about; empty: it is not known
	Kind      EventKind
	Topic     string    // what an unsubscribe is from; empty: everything
	At        time.Time // when it happened; zero: now
	Source    string    // where it came from: "one-click", "page", ...
	Evidence  string    // the text that shows it, such as the status of a bounce; may be empty
}
