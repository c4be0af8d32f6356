package lanes

import (
	"context"
	"fmt"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/failure"
	"broadside/throttle"
)

// Pause closes a lane until somebody resumes it. One that is closed already stays as it
// is, with its reason.
func (s *Lanes) Pause(ctx context.Context, now time.Time, name Name) (Lane, error) {
	reason := codes.LaneClosed.Reason("an operator has paused the lane: `broadside lane resume %s` opens it", name)
	_, l, err := s.Learnt.Change(ctx, name.Account, name.Lane, func(l throttle.Lane) throttle.Lane {
		return l.Close(now, string(codes.LaneClosed), reason)
	})
	if err != nil {
		return Lane{}, err
	}
	return s.show(ctx, now, name, l)
}

// Resume opens a lane that an operator has closed or a server has paused; it goes on
// slowed, if it was. One that the storm guard has closed needs a decision: the error is of
// the kind failure.ErrRefused.
func (s *Lanes) Resume(ctx context.Context, now time.Time, name Name) (Lane, error) {
	_, l, err := s.Learnt.Change(ctx, name.Account, name.Lane, func(l throttle.Lane) throttle.Lane {
		if isStorm(now, l) {
			return l
		}
		l = l.Resume(now)
		if l.Code == string(codes.LaneClosed) { // of the closing, which is over
			l.Code = string(codes.LaneSlowed)
			l.Reason = codes.LaneSlowed.Reason("the server wanted mail more slowly before the lane was paused")
		}
		return l
	})
	if err != nil {
		return Lane{}, err
	}
	if isStorm(now, l) {
		return Lane{}, failure.Refused(fmt.Sprintf(`lane %s is closed because its server called too many addresses dead, and needs a decision:
  broadside lane reset %s --discard    the addresses exist: takes them off the suppression list again
  broadside lane reset %s --confirm    they do not: keeps them there`, name, name, name))
	}
	return s.show(ctx, now, name, l)
}

// Reset opens a lane and forgets what was learnt about it. Suppressions stay.
func (s *Lanes) Reset(ctx context.Context, now time.Time, name Name) (Lane, error) {
	_, l, err := s.Learnt.Change(ctx, name.Account, name.Lane, throttle.Lane.Reset)
	if err != nil {
		return Lane{}, err
	}
	return s.show(ctx, now, name, l)
}

// isStorm reports whether the storm guard has closed a lane.
func isStorm(now time.Time, l throttle.Lane) bool {
	return l.State(now) == throttle.LaneClosed && l.Code == string(codes.LaneStorm)
}
