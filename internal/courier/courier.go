// Package courier sends single messages at once, by an account, while campaigns may be
// leaving by it too.
//
// It promises that such a message keeps the limits of its account that bulk mail keeps:
// rate, quotas and warm-up, the rate of the recipient's lane, the number of connections of
// both and how fast they are opened; and that nothing is sent by an account that is closed,
// or in a lane that is closed or paused. A pause that is over does not hold it back: the
// message is as good a probe as any.
//
// It does not retry, and changes nothing of an account or a lane: what a reply means is
// for the caller. Only an account to which this process gets no connection is left alone
// for a while, for longer each time: repeated logins that fail lock accounts.
//
// Each courier counts its connections for itself. One whose process was killed leaves a
// count, which another takes away when it needs the connection and sees no sign of life.
package courier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

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
	// bodyWithin bounds the wait for the reply to a body once the process ends. Before
	// that the time limits of SMTP do.
	bodyWithin = 20 * time.Second
	// countWithin bounds the giving back of a slot or a connection.
	countWithin = 2 * time.Second
)

// A Courier sends by the accounts of a configuration.
type Courier struct {
	cfg   Config
	alive *alive
	rests rests
}

// Config is what a Courier needs.
type Config struct {
	Settings *configs.Config
	Pacer    *throttle.Pacer
	Conns    *throttle.Conns // its own: a worker has another one
	Lanes    *throttle.Lanes
	Accounts *throttle.Accounts
	Tokens   *oauth.Store
	// Held returns how many steps of the warm-up of an account were not taken.
	Held func(ctx context.Context, account string) (int, error)
	// Workers returns how many workers are alive and share the connections.
	Workers func(ctx context.Context) (int, error)

	// Redis has the signs of life of couriers, under keys that begin with Prefix.
	Redis  redis.UniversalClient
	Prefix string
}

// New returns a courier.
func New(cfg Config) *Courier {
	return &Courier{cfg: cfg, alive: newAlive(cfg.Redis, cfg.Prefix)}
}

// ErrLater is in the chain of an error when the account allows no message now.
var ErrLater = errors.New("not now")

// Send sends one message and returns what the server said of it. An error says that no
// server was asked about this message, or that ctx has ended before.
func (c *Courier) Send(ctx context.Context, name, from, to string, message []byte) (reply.Reply, error) {
	return c.SendClaimed(ctx, name, from, to, message, nil)
}

// SendClaimed is Send that calls claim when the server has asked for the message, and its
// slot has come: nothing of it is sent unless claim returns nil. An error of claim is
// returned as it is. Whatever happens before, the server does not have the message.
func (c *Courier) SendClaimed(ctx context.Context, name, from, to string, message []byte, claim func(context.Context) error) (reply.Reply, error) {
	acct, err := account.Find(c.cfg.Settings, name)
	if err != nil {
		return reply.Reply{}, err
	}
	smtp, err := account.Impatient(acct, c.cfg.Tokens)
	if err != nil {
		return reply.Reply{}, err
	}
	if err := c.rests.check(name, time.Now()); err != nil {
		return reply.Reply{}, err
	}
	lane, err := c.lane(ctx, acct, to)
	if err != nil {
		return reply.Reply{}, err
	}
	limits, err := c.limits(ctx, acct, lane)
	if err != nil {
		return reply.Reply{}, err
	}
	if err := c.open(ctx, acct, limits); err != nil {
		return reply.Reply{}, err
	}

	release, err := c.connect(ctx, acct, lane)
	if err != nil {
		return reply.Reply{}, err
	}
	defer release()
	conn, err := smtppool.Dial(ctx, smtp)
	if ctx.Err() == nil {
		c.rests.note(name, time.Now(), err)
	}
	if err != nil {
		return reply.Reply{}, err
	}
	return c.transact(ctx, conn, limits, from, to, message, claim)
}

// limits lists the limits of a message: those of the account, and of the recipient's lane.
func (c *Courier) limits(ctx context.Context, acct configs.Account, l lane) ([]throttle.Limit, error) {
	held, err := c.cfg.Held(ctx, acct.Name)
	if err != nil {
		return nil, err
	}
	zone, _ := c.cfg.Settings.Location()
	all := []throttle.Limit{{Account: acct.Name, Rate: acct.Limits.Rate, Quotas: account.Quotas(acct, time.Now(), zone, held)}}
	return append(all, l.limits...), nil
}

// open reports why nothing leaves by an account now: it is closed, or a quota is spent.
func (c *Courier) open(ctx context.Context, acct configs.Account, limits []throttle.Limit) error {
	states, err := c.cfg.Accounts.States(ctx, acct.Name)
	if err != nil {
		return err
	}
	if s, ok := states[acct.Name]; ok && s.Until.After(time.Now()) {
		return fmt.Errorf("account %s is closed until %s: %s: %w", acct.Name, s.Until.UTC().Format(time.RFC3339), s.Reason, ErrLater)
	}

	used, err := c.cfg.Pacer.Used(ctx, acct.Name, limits[0].Quotas)
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

// transact sends the message over a connection, which it closes.
func (c *Courier) transact(ctx context.Context, conn *smtppool.Conn, limits []throttle.Limit, from, to string, message []byte, claim func(context.Context) error) (reply.Reply, error) {
	if refused := conn.Envelope(ctx, from, to, len(message)); refused != nil {
		conn.Quit(ctx)
		return *refused, nil
	}

	slot, err := c.waitSlot(ctx, limits)
	if err == nil && claim != nil {
		err = claim(ctx)
	}
	if err == nil && time.Since(slot) > late { // the claim took long
		c.giveBack(ctx, limits, slot)
		slot, err = c.waitSlot(ctx, limits)
	}
	if err != nil {
		c.giveBack(ctx, limits, slot)
		conn.Abort() // anything else would end the message that the server waits for
		return reply.Reply{}, err
	}

	// From here on only the server can say whether it has the message.
	ending, cancel := outlive(ctx, bodyWithin)
	defer cancel()
	out := conn.Confirm(ending, conn.Body(ending, message))
	conn.Quit(ending)
	return out.Reply, nil
}

// giveBack gives a slot back that no message took, for quotas that have counted it.
// waitSlot waits for a slot at which a body may leave, and returns it.
func (c *Courier) waitSlot(ctx context.Context, limits []throttle.Limit) (time.Time, error) {
	for {
		slot, err := c.slot(ctx, limits)
		if err == nil {
			err = sleep(ctx, time.Until(slot))
		}
		if err != nil || time.Since(slot) <= late {
			return slot, err
		}
		c.giveBack(ctx, limits, slot)
	}
}

func (c *Courier) giveBack(ctx context.Context, limits []throttle.Limit, slot time.Time) {
	if slot.IsZero() || !counts(limits) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), countWithin)
	defer cancel()
	c.cfg.Pacer.GiveBack(ctx, limits, []time.Time{slot})
}

// outlive returns a context that ends a while after ctx.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-longer.Done():
		case <-time.After(by):
			cancel()
		}
	})
	return longer, func() {
		stop()
		cancel()
	}
}

// slot returns the moment at which a message may leave.
func (c *Courier) slot(ctx context.Context, limits []throttle.Limit) (time.Time, error) {
	if !counts(limits) {
		return time.Now(), nil
	}
	latest := time.Now().Add(waitFor)
	for {
		grant, err := c.cfg.Pacer.Reserve(ctx, throttle.Request{Limits: limits, N: 1, Urgent: 1})
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
