package sender

import "time"

const (
	// suspicionOutcomes and suspicionTime bound how far apart the replies to two
	// recipients may be that confirm each other: more outcomes between them, or more
	// time, and the first was about its recipient alone.
	suspicionOutcomes = 20
	suspicionTime     = 10 * time.Minute
)

// A suspicion is a reply that is about a lane or an account, as long as no other
// recipient has had one. One recipient must not slow down or close anything: the
// server may answer to that address alone. It takes the time as an argument.
type suspicion struct {
	key      recipientKey
	raised   time.Time // zero: there is none
	outcome  int64     // the number of the outcome that raised it
	outcomes int64     // so far
}

// count notes the outcome of a message.
func (s *suspicion) count() { s.outcomes++ }

// confirm notes such a reply to the recipient's transaction. It reports whether
// another recipient has had one lately.
func (s *suspicion) confirm(now time.Time, key recipientKey) bool {
	lately := !s.raised.IsZero() && now.Sub(s.raised) <= suspicionTime && s.outcomes-s.outcome <= suspicionOutcomes
	if lately && s.key != key {
		return true
	}
	s.key = key
	s.raised = now
	s.outcome = s.outcomes
	return false
}

// clear ends the suspicion.
func (s *suspicion) clear() { s.raised = time.Time{} }
