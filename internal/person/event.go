package person

import (
	"encoding/json"
	"time"

	"broadside/campaign"
	"broadside/campaign/suppression"
)

// A Kind says what an event of a trace is.
type Kind string

// The kinds of events. What came back has the names of [campaign.EventKind].
const (
	KindList       Kind = "list"       // a list has the address; when it came there is not known
	KindAsked      Kind = "asked"      // somebody asked for a subscription of it, which its owner has confirmed
	KindConfirmed  Kind = "confirmed"  // its owner confirmed that subscription
	KindRun        Kind = "run"        // a run was made that has the address; State is that of now
	KindClaimed    Kind = "claimed"    // a worker is sending to it
	KindReply      Kind = "reply"      // the last reply about it in a run
	KindSingle     Kind = "single"     // a single message was asked for; State and Reply are those of now
	KindSign       Kind = "sign"       // the last of Count signs of a dead address, which need confirmation
	KindReturned   Kind = "returned"   // a message came back although the address may be in use
	KindSuppressed Kind = "suppressed" // it was put on the suppression list
	KindRemoved    Kind = "removed"    // it was taken off
)

// kinds are all kinds in the order in which those of one moment are shown: what follows
// from something comes after it.
var kinds = append(append([]Kind{KindList, KindAsked, KindConfirmed, KindRun, KindClaimed, KindReply, KindSingle}, cameBack()...),
	KindSign, KindReturned, KindSuppressed, KindRemoved)

func cameBack() []Kind {
	var all []Kind
	for _, kind := range campaign.EventKinds {
		all = append(all, Kind(kind))
	}
	return all
}

// CameBack reports whether an event is something that came back about a message.
func (k Kind) CameBack() bool {
	for _, kind := range campaign.EventKinds {
		if k == Kind(kind) {
			return true
		}
	}
	return false
}

// An Event is one thing that happened to an address. What does not apply is empty.
type Event struct {
	At   time.Time `json:"-"` // zero: it is not known
	Kind Kind      `json:"kind"`

	Run      string `json:"run,omitempty"`
	Campaign string `json:"campaign,omitempty"`
	Topic    string `json:"topic,omitempty"`
	State    string `json:"state,omitempty"`   // of the recipient
	Message  string `json:"message,omitempty"` // id of a single one
	Template string `json:"template,omitempty"`
	Attempts int    `json:"attempts,omitempty"`

	Account  string `json:"account,omitempty"`
	Lane     string `json:"lane,omitempty"` // ACCOUNT/LANE
	Code     int    `json:"code,omitempty"`
	Enhanced string `json:"enhanced,omitempty"`
	Reply    string `json:"reply,omitempty"`
	QueueID  string `json:"queue_id,omitempty"` // under which the server took the message

	Source   string `json:"source,omitempty"` // who said so: smtp, ingest, hook:ses, one-click, operator, ...
	Reason   string `json:"reason,omitempty"`
	Scope    string `json:"scope,omitempty"` // all, or topic:NAME
	Entry    string `json:"entry,omitempty"` // *@DOMAIN, where it is about the whole domain
	Evidence string `json:"evidence,omitempty"`
	Over     bool   `json:"over,omitempty"` // a suppression that holds no longer

	Until time.Time `json:"-"` // a suppression ends, or the next try comes; zero: never, or it is not known
	List  string    `json:"list,omitempty"`
	Form  string    `json:"form,omitempty"` // on which the subscription was asked for
	Text  string    `json:"text,omitempty"` // version of what its reader was shown
	Count int       `json:"count,omitempty"`
}

// MarshalJSON writes times as every document of the command line has them.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event
	return json.Marshal(struct {
		At *string `json:"at"`
		fields
		Until *string `json:"until,omitempty"`
	}{stamp(e.At), fields(e), stamp(e.Until)})
}

// stamp is RFC 3339 with milliseconds in UTC; nil for no time.
func stamp(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := t.UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}

// suppressionEvent returns the event of an entry, or of its removal.
func suppressionEvent(past suppression.Past) Event {
	e := past.Entry
	event := Event{
		At: e.At, Kind: KindSuppressed, Run: e.Run, Lane: e.Lane, Source: e.Source, Reason: e.Reason, Scope: e.Scope,
		Evidence: e.Evidence, Over: past.Expired, Until: e.Expires,
	}
	if e.Domain != "" {
		event.Entry = e.Shown()
	}
	if past.Removed {
		event.Kind = KindRemoved
	}
	if past.Discarded {
		event.Reason = reasonStorm
	}
	return event
}

// reasonStorm is why an entry was taken off that a server had caused which refused
// everybody.
const reasonStorm = "storm"
