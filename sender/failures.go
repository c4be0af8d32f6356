package sender

import (
	"fmt"
	"slices"
	"sync"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
)

// sameFailures is how many recipients of one mailbox provider in a row may come
// to the same bad end in one worker before it pauses their run: the cause is not
// theirs. They are pending again then: what stopped the run ends no recipient.
const sameFailures = 50

// A failures counts the recipients of a run that fail one after the other in the same
// way, by mailbox provider: that another provider takes the message proves
// nothing for this one. An acceptance ends the streak. Addresses that do not
// exist, and what is only deferred, are left to the guards: a list may begin with
// a hundred dead addresses, and a server may greylist everybody.
type failures struct {
	mu      sync.Mutex
	streaks map[int]*streak     // by part
	stopped bool                // the run is paused for failures of this kind
	late    map[ledger.Ref]bool // taken back before their failure was recorded
}

// ownFault is the part of the streak of messages that could not be made: the
// cause is the content, whatever the recipient.
const ownFault = -1

// A streak is the failures since the last acceptance.
type streak struct {
	what   failure
	n      int
	failed []failed // of those, who can be pending again
}

// A failed is a recipient that has failed, and its lane.
type failed struct {
	ref      ledger.Ref
	lane     *lane
	recorded bool // the ledger has it
}

// A failure is what makes two of them the same. The text is not part of it:
// servers put times and names there.
type failure struct {
	state    campaign.State
	code     int // 0: the message could not be made, or no reply came
	enhanced string
}

// add counts an outcome before it is recorded. It returns the outcome to record,
// and whether the run has to be paused: the recipient is then pending and not
// failed, as is every further one until the run goes on.
func (f *failures) add(ref ledger.Ref, l *lane, o ledger.Outcome) (record ledger.Outcome, pause bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch o.State {
	case campaign.Accepted:
		delete(f.streaks, ref.Part)
		delete(f.streaks, ownFault)
		return o, false
	case campaign.Failed, campaign.Uncertain:
	default:
		return o, false
	}

	s := f.streak(ref.Part, o)
	s.n++
	pause = s.n >= sameFailures
	if o.State == campaign.Uncertain {
		return o, pause // what may have arrived cannot be taken back
	}

	if pause || f.stopped {
		f.stopped = true
		return ledger.Outcome{State: campaign.Pending, Reply: o.Reply}, pause
	}

	s.failed = append(s.failed, failed{ref: ref, lane: l})
	return o, false
}

// streak returns the streak that an outcome belongs to, a new one when it is
// another failure than the last. The caller holds mu.
func (f *failures) streak(part int, o ledger.Outcome) *streak {
	if o.State == campaign.Failed && o.Reply.Code == 0 {
		part = ownFault
	}

	what := failure{o.State, o.Reply.Code, o.Reply.Enhanced}
	s := f.streaks[part]
	if s == nil || s.what != what {
		s = &streak{what: what}
		if f.streaks == nil {
			f.streaks = map[int]*streak{}
		}
		f.streaks[part] = s
	}

	return s
}

// take takes the recipients of a lane out of the streak of their part, and returns
// them: the lane pauses instead.
func (f *failures) take(part int, l *lane) (indexes []int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streaks[part]
	if s == nil {
		return nil
	}

	s.failed = slices.DeleteFunc(s.failed, func(one failed) bool {
		if one.lane != l {
			return false
		}
		indexes = append(indexes, one.ref.Index)
		f.missed(one)
		return true
	})
	s.n -= len(indexes)
	return indexes
}

// stop ends all streaks and returns the recipients that failed in them, by part.
// Further failures end no recipient until the run goes on.
func (f *failures) stop() map[int][]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = true
	indexes := map[int][]int{}
	for _, s := range f.streaks {
		for _, one := range s.failed {
			indexes[one.ref.Part] = append(indexes[one.ref.Part], one.ref.Index)
			f.missed(one)
		}
	}
	f.streaks = nil
	return indexes
}

// missed remembers a failure that is taken back and may be recorded only after that.
// The caller holds mu.
func (f *failures) missed(one failed) {
	if one.recorded {
		return
	}
	if f.late == nil {
		f.late = map[ledger.Ref]bool{}
	}
	f.late[one.ref] = true
}

// recorded notes that the ledger has a failure. It reports whether that was taken
// back since then.
func (f *failures) recorded(ref ledger.Ref) (takenBack bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.late[ref] {
		delete(f.late, ref)
		return true
	}
	for _, part := range []int{ref.Part, ownFault} {
		s := f.streaks[part]
		if s == nil {
			continue
		}
		for i := range s.failed {
			if s.failed[i].ref == ref {
				s.failed[i].recorded = true
			}
		}
	}
	return false
}

// resume lets failures count again: the run goes on.
func (f *failures) resume() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopped = false
}

// same says what happened to each of a streak.
func same(o ledger.Outcome) string {
	what := "failed"
	if o.State == campaign.Uncertain {
		what = "got no answer after their message"
	}

	text := address.Redact(o.Reply.Text)
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "..."
	}

	if o.Reply.Code == 0 {
		return fmt.Sprintf("%s: %s", what, text)
	}

	return fmt.Sprintf("%s: %d %s", what, o.Reply.Code, text)
}
