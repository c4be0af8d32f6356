package campaign

import "slices"

// A State is the state of one recipient of a run. Its value is the letter
// that stands in the first byte of the recipient's ledger cell, so that a
// ledger of zero bytes is a ledger of pending recipients.
type State byte

// The recipient states. Issued is internal: reports count it as pending.
const (
	Pending    State = 0
	Issued     State = 'i' // handed to the queue, not yet claimed or given back
	Sending    State = 's' // claimed: its body may be on the wire
	Deferred   State = 'd' // refused for now, tried again later
	Accepted   State = 'a' // 250 after the final dot
	Bounced    State = 'b' // permanent, and the address is bad: suppressed
	Failed     State = 'f' // permanent, not the address's fault; or expired
	Suppressed State = 'x' // not mailed: the address is on a suppression list
	Cancelled  State = 'c' // not mailed: the run was cancelled
	Uncertain  State = 'u' // no reply after the final dot
)

// States lists every state in the order in which reports show them.
var States = []State{Accepted, Deferred, Bounced, Failed, Suppressed, Uncertain, Cancelled, Pending, Sending, Issued}

// Final reports whether a recipient in state s is done: nothing will be tried
// again by itself.
func (s State) Final() bool {
	switch s {
	case Accepted, Bounced, Failed, Suppressed, Cancelled, Uncertain:
		return true
	}
	return false
}

// String returns the word that reports use.
func (s State) String() string {
	switch s {
	case Pending:
		return "pending"
	case Issued:
		return "issued"
	case Sending:
		return "sending"
	case Deferred:
		return "deferred"
	case Accepted:
		return "accepted"
	case Bounced:
		return "bounced"
	case Failed:
		return "failed"
	case Suppressed:
		return "suppressed"
	case Cancelled:
		return "cancelled"
	case Uncertain:
		return "uncertain"
	}

	return "unknown"
}

// Known reports whether s is a state at all: a cell may hold any byte.
func (s State) Known() bool { return slices.Contains(States, s) }

// ParseState returns the state that String prints as word.
func ParseState(word string) (State, bool) {
	for _, s := range States {
		if s.String() == word {
			return s, true
		}
	}
	return 0, false
}
