package sender

import (
	"context"
	"time"

	"broadside/campaign"
)

// countHard counts an outcome for the storm guard of its lane.
func (rs *recipients) countHard(rcpt *recipient, e end) end {
	if rcpt.lane == nil || e.outcome.Reply.Code == 0 {
		return e // it had no turn, or no server has answered
	}

	switch e.outcome.State {
	case campaign.Accepted, campaign.Bounced, campaign.Failed:
		storm, from := rcpt.account.counted(time.Now(), rcpt.lane, e.outcome.State == campaign.Bounced)
		if storm {
			e.storm = from
		}
	}
	return e
}

// closeForStorm closes the lane of a recipient after one dead address too many.
func (rs *recipients) closeForStorm(rcpt *recipient, e end) {
	once, cancel := rs.life.within(context.WithoutCancel(rs.life.finish), settleTime)
	defer cancel()
	now := time.Now()
	rcpt.account.closeForStorm(once, now, rcpt.lane, e.storm, e.outcome.Reply.Text)
	rs.giveBackAll(rcpt.account.drainShut(now, rcpt.lane))
}
