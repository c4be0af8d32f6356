// Package courier sends single messages at once, by an account, while campaigns may be
// leaving by it too.
//
// It promises that such a message keeps the limits of its account that bulk mail keeps:
// rate, quotas and warm-up, the rate of the recipient's lane in the configuration, the
// number of connections and how fast they are opened; and that nothing is sent by an account
// that is closed. How a lane stands, and its own number of connections, do not hold it
// back: one message is no pressure. Two processes that send single messages at the same
// time count as one.
//
// It does not retry, and changes nothing of an account or a lane: what a reply means is
// for the caller.
package courier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/sender/oauth"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
	"broadside/throttle"
)

const (
	// waitFor is how long one message waits for a slot, or for a connection, before it is
	// given back.
	waitFor = 15 * time.Second
	// late is how much later than its slot a body may leave.
	late = 20 * time.Millisecond
	// bodyWithin bounds the wait for the reply to a body, also while the process ends.
	bodyWithin = 20 * time.Second
	// countWithin bounds the giving back of a connection.
	countWithin = 2 * time.Second
	// askAgain is how often a connection is asked for.
	askAgain = 500 * time.Millisecond
)

// holder is who has the connections of couriers in the count of an account. There is one
// for all of them: a process that dies leaves a count that the next one puts right.
const holder = "single-messages"

// A Courier sends by the accounts of a configuration.
type Courier struct {
	Config   *configs.Config
	Pacer    *throttle.Pacer
	Conns    *throttle.Conns // its own: a worker has another one
	Accounts *throttle.Accounts
	Tokens   *oauth.Store
	// Held returns how many steps of the warm-up of an account were not taken.
	Held func(ctx context.Context, account string) (int, error)
	// Workers returns how many workers are alive and share the connections.
	Workers func(ctx context.Context) (int, error)
}

// ErrLater is in the chain of an error when the account allows no message now.
var ErrLater = errors.New("not now")

// Send sends one message and returns what the server said of it. An error says that no
// server was asked about this message, or that ctx has ended before.
func (c *Courier) Send(ctx context.Context, name, from, to string, message []byte) (reply.Reply, error) {
	acct, err := account.Find(c.Config, name)
	if err != nil {
		return reply.Reply{}, err
	}
	smtp, err := account.Impatient(acct, c.Tokens)
	if err != nil {
		return reply.Reply{}, err
	}
	limits, err := c.limits(ctx, acct, to)
	if err != nil {
		return reply.Reply{}, err
	}
	if err := c.open(ctx, acct, limits); err != nil {
		return reply.Reply{}, err
	}

	if err := c.connect(ctx, acct); err != nil {
		return reply.Reply{}, err
	}
	defer c.release(ctx, name)
	conn, err := smtppool.Dial(ctx, smtp)
	if err != nil {
		return reply.Reply{}, err
	}
	return c.transact(ctx, conn, limits, from, to, message)
}

// limits lists the limits of a message: those of the account, and of the recipient's lane
// where the configuration has one.
func (c *Courier) limits(ctx context.Context, acct configs.Account, to string) ([]throttle.Limit, error) {
	held, err := c.Held(ctx, acct.Name)
	if err != nil {
		return nil, err
	}
	zone, _ := c.Config.Location()
	all := []throttle.Limit{{Account: acct.Name, Rate: acct.Limits.Rate, Quotas: account.Quotas(acct, time.Now(), zone, held)}}

	domain := domainOf(to)
	provider := string(campaign.ProviderOf(domain))
	if lane, ok := acct.Lanes[domain]; ok && lane.Rate > 0 {
		all = append(all, throttle.Limit{Account: acct.Name, Domain: domain, Rate: lane.Rate})
	} else if lane, ok := acct.Lanes[provider]; ok && lane.Rate > 0 {
		all = append(all, throttle.Limit{Account: acct.Name, Provider: provider, Rate: lane.Rate})
	}
	return all, nil
}

func domainOf(address string) string {
	for i := len(address) - 1; i >= 0; i-- {
		if address[i] == '@' {
			return address[i+1:]
		}
	}
	return ""
}

// open reports why nothing leaves by an account now: it is closed, or a quota is spent.
func (c *Courier) open(ctx context.Context, acct configs.Account, limits []throttle.Limit) error {
	states, err := c.Accounts.States(ctx, acct.Name)
	if err != nil {
		return err
	}
	if s, ok := states[acct.Name]; ok && s.Until.After(time.Now()) {
		return fmt.Errorf("account %s is closed until %s: %s: %w", acct.Name, s.Until.UTC().Format(time.RFC3339), s.Reason, ErrLater)
	}

	used, err := c.Pacer.Used(ctx, acct.Name, limits[0].Quotas)
	if err != nil {
		return err
	}
	for _, u := range used {
		if u.Until.After(time.Now()) {
			return fmt.Errorf("account %s: the quota %s of %d messages is spent until %s: %w",
				acct.Name, u.Quota.Name, u.Quota.Messages, u.Until.UTC().Format(time.RFC3339), ErrLater)
		}
	}
	return nil
}

// connect counts a connection for the account, when it may be opened.
func (c *Courier) connect(ctx context.Context, acct configs.Account) error {
	if rate := acct.Limits.ConnectionRate; rate > 0 {
		slot, err := c.slot(ctx, []throttle.Limit{{Account: acct.Name, Opens: true, Rate: rate}})
		if err != nil {
			return err
		}
		if err := sleep(ctx, time.Until(slot)); err != nil {
			return err
		}
	}

	workers, err := c.Workers(ctx)
	if err != nil {
		return err
	}
	for latest := time.Now().Add(waitFor); ; {
		got, err := c.Conns.Acquire(ctx, acct.Name, holder, acct.Limits.Connections, workers+1)
		if got || err != nil {
			return err
		}
		if time.Now().After(latest) {
			return fmt.Errorf("account %s: all of its %d connections are in use: %w", acct.Name, acct.Limits.Connections, ErrLater)
		}
		if err := sleep(ctx, askAgain); err != nil {
			return err
		}
	}
}

func (c *Courier) release(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countWithin)
	defer cancel()
	_ = c.Conns.Release(ctx, name, holder) // else the next one puts the count right
}

// Restore writes how many connections this process has to accounts: one that was killed
// has left its own count.
func (c *Courier) Restore(ctx context.Context, accounts ...string) error {
	return c.Conns.Restore(ctx, holder, accounts...)
}

// transact sends the message over a connection, which it closes.
func (c *Courier) transact(ctx context.Context, conn *smtppool.Conn, limits []throttle.Limit, from, to string, message []byte) (reply.Reply, error) {
	if refused := conn.Envelope(ctx, from, to, len(message)); refused != nil {
		conn.Quit(ctx)
		return *refused, nil
	}

	for {
		slot, err := c.slot(ctx, limits)
		if err == nil {
			err = sleep(ctx, time.Until(slot))
		}
		if err != nil {
			c.giveBack(ctx, limits, slot)
			conn.Abort()
			return reply.Reply{}, err
		}
		if time.Since(slot) <= late {
			break
		}
		c.giveBack(ctx, limits, slot)
	}

	// From here on only the server can say whether it has the message.
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), bodyWithin)
	defer cancel()
	out := conn.Body(ending, message)
	conn.Quit(ending)
	return out.Reply, nil
}

// giveBack gives a slot back that no message took, for quotas that have counted it.
func (c *Courier) giveBack(ctx context.Context, limits []throttle.Limit, slot time.Time) {
	if slot.IsZero() || !counts(limits) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countWithin)
	defer cancel()
	c.Pacer.GiveBack(ctx, limits, []time.Time{slot})
}

// slot returns the moment at which a message may leave.
func (c *Courier) slot(ctx context.Context, limits []throttle.Limit) (time.Time, error) {
	if !counts(limits) {
		return time.Now(), nil
	}
	latest := time.Now().Add(waitFor)
	for {
		grant, err := c.Pacer.Reserve(ctx, limits, 0, 1)
		switch {
		case err != nil:
			return time.Time{}, err
		case len(grant.Slots) > 0:
			return grant.Slots[0], nil
		case grant.Spent != nil:
			return time.Time{}, fmt.Errorf("account %s: the quota %s is spent: %w", limits[0].Account, grant.Spent.Quota, ErrLater)
		case grant.Again.After(latest):
			return time.Time{}, fmt.Errorf("account %s: no slot before %s: %w", limits[0].Account, grant.Again.UTC().Format(time.RFC3339), ErrLater)
		}
		if err := sleep(ctx, time.Until(grant.Again)); err != nil {
			return time.Time{}, err
		}
	}
}

// counts reports whether one of the limits limits anything.
func counts(limits []throttle.Limit) bool {
	for _, l := range limits {
		if l.Counts() {
			return true
		}
	}
	return false
}

// sleep waits, or returns why ctx has ended.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
