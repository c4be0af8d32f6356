package courier

import (
	"context"
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/throttle"
)

// A lane is that of the recipient of one message.
type lane struct {
	name        string
	limits      []throttle.Limit
	connections int // its own limit; 0: none
}

// lane returns the lane of a recipient, with the lower one of the rates that the
// configuration gives it and that it is slowed to. The error says why it takes nothing now.
func (c *Courier) lane(ctx context.Context, acct configs.Account, to string) (lane, error) {
	domain := strings.ToLower(to[strings.LastIndexByte(to, '@')+1:])
	provider := string(campaign.ProviderOf(domain))
	l := lane{name: provider}
	place := throttle.Limit{Account: acct.Name, Provider: provider}
	isTail := provider == string(campaign.Other)
	if _, own := acct.Lanes[domain]; own || isTail {
		if tail := acct.Lanes[provider]; isTail && tail.Rate > 0 { // of all small domains together
			place.Rate = tail.Rate
			l.limits = append(l.limits, place)
		}
		l.name = domain
		place = throttle.Limit{Account: acct.Name, Domain: domain}
	}

	now := time.Now()
	if isTail {
		whole, err := c.cfg.Lanes.One(ctx, acct.Name, provider)
		if err != nil {
			return l, err
		}
		if whole.State(now) == throttle.LaneClosed {
			return l, fmt.Errorf("lane %s/%s is closed: %s: %w", acct.Name, provider, whole.Reason, ErrLater)
		}
	}
	learnt, err := c.cfg.Lanes.One(ctx, acct.Name, l.name)
	if err != nil {
		return l, err
	}
	switch learnt.State(now) {
	case throttle.LaneClosed:
		return l, fmt.Errorf("lane %s/%s is closed: %s: %w", acct.Name, l.name, learnt.Reason, ErrLater)
	case throttle.LanePaused:
		if learnt.Until.After(now) {
			return l, fmt.Errorf("lane %s/%s is paused until %s: %s: %w", acct.Name, l.name, learnt.Until.UTC().Format(time.RFC3339), learnt.Reason, ErrLater)
		}
	}

	own := acct.Lanes[l.name]
	l.connections = own.Connections
	place.Rate = own.Rate
	if rate := learnt.Rate(now); rate > 0 && (place.Rate == 0 || rate < place.Rate) {
		place.Rate = rate
	}
	if place.Rate > 0 {
		l.limits = append(l.limits, place)
	}
	return l, nil
}
