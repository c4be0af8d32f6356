package smtppool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"broadside/internal/outage"
)

// Errors of Get.
var (
	// ErrNoLease: the account has as many connections as it may have, over all
	// processes, and none of them is idle here.
	ErrNoLease = errors.New("no connection left for the account")
	// ErrClosed: the Pool was closed.
	ErrClosed = errors.New("the connection pool is closed")
)

const (
	maxIdle         = 10 * time.Second
	contendedIdle   = time.Second     // the same while other processes wait for a lease
	restBeforeCheck = time.Second     // a connection that rested longer is looked at before use
	releaseTime     = 5 * time.Second // for giving a lease back
)

// Leases says whether the account may open one more connection, over all
// processes. A connection holds one lease from before it is dialled until
// after it is closed.
type Leases interface {
	Acquire(ctx context.Context) (bool, error)
	Release(ctx context.Context) error
	// Excess reports whether other processes wait for a lease, and how many of
	// its connections this one should end at once because they are below their
	// share and it is above its own.
	Excess(ctx context.Context) (wanted bool, excess int)
}

// A Pool keeps the connections of one account in this process: never more
// than Config.MaxConns, in use, idle and closing together, each under a lease.
type Pool struct {
	cfg    Config
	leases Leases
	log    *slog.Logger
	giving *outage.Notice // of leases that are given back

	// slots has one entry for every connection that is not idle. Only its
	// owner may dial, and only when none is idle: so idle and not idle
	// together stay within the channel's capacity.
	slots chan struct{}

	excess  atomic.Int64 // so many of the connections are for other processes
	closing atomic.Int64 // so many are being closed, and still hold their leases

	steps steps

	mu     sync.Mutex
	idle   []*Conn // oldest first; guarded by mu
	closed bool    // guarded by mu
}

// New returns an empty Pool.
func New(cfg Config, leases Leases, log *slog.Logger) *Pool {
	cfg = cfg.withDefaults()
	log = log.With("account", cfg.Account)
	return &Pool{
		cfg: cfg, leases: leases, log: log, slots: make(chan struct{}, cfg.MaxConns), steps: steps{log: log},
		giving: outage.NewNotice(log, "closed connections cannot be taken off the account's count now", "closed connections are taken off the count again"),
	}
}

// Get returns a connection that is ready for a message: the one that was used
// last among the idle ones, else a new one. While MaxConns are in use here it
// waits for one to come back or for ctx to end. ErrNoLease: other processes
// have all that the account may have; ask again later. An error of dialling
// is an *Error. Put or Discard must follow.
func (p *Pool) Get(ctx context.Context) (*Conn, error) {
	select {
	case p.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for a connection of account %s: %w", p.cfg.Account, ctx.Err())
	}

	c, err := p.get(ctx)
	if err != nil {
		<-p.slots
		return nil, err
	}

	return c, nil
}

func (p *Pool) get(ctx context.Context) (*Conn, error) {
	leased := false // by a connection that was found dead
	for {
		c, err := p.newest()
		if err != nil {
			p.giveBack(leased)
			return nil, err
		}

		if c == nil {
			break
		}
		rest := time.Since(c.idleSince)
		if rest < maxIdle && c.Usable() && (rest < restBeforeCheck || c.quiet()) {
			p.giveBack(leased)
			return c, nil
		}

		c.Abort() // it is outside a transaction, and the server is gone or does not wait for QUIT
		p.giveBack(leased)
		leased = true
	}

	if !leased {
		if err := p.acquire(ctx); err != nil {
			return nil, err
		}
	}

	cfg := p.cfg
	cfg.Pipelining = p.steps.cap(cfg.Pipelining)
	c, err := Dial(ctx, cfg)
	if err != nil {
		p.giveBack(true)
		return nil, err
	}

	c.steps = &p.steps
	p.log.Debug("connection opened", "tls", c.info.TLSVersion, "auth", c.info.AuthUsed, "pipelining", c.pipelines())

	return c, nil
}

// newest takes the connection that was used last; nil when none is idle.
func (p *Pool) newest() (*Conn, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}

	n := len(p.idle)
	if n == 0 {
		return nil, nil
	}

	c := p.idle[n-1]
	p.idle = p.idle[:n-1]

	return c, nil
}

// Ahead reports whether the envelope of another message may go with the body
// of the one that c has open: c overlaps, the server has been seen to follow
// (or c is the connection that finds out), and no other process waits for c.
func (p *Pool) Ahead(c *Conn) bool {
	return c.Overlaps() && p.excess.Load() == 0 && p.steps.may(c)
}

// Goes reports whether c may carry another message when the one under way is
// done: no other process waits for it.
func (p *Pool) Goes(c *Conn) bool { return c.Goes() && p.excess.Load() == 0 }

// Learn takes over, until till, how many messages a connection may carry, as other
// processes have found out.
func (p *Pool) Learn(messages int, till time.Time) { p.steps.learn(messages, till) }

// Learnt returns how many messages a connection of the server was found to carry,
// and until when this counts; 0 when it is not known.
func (p *Pool) Learnt() (messages int, till time.Time) { return p.steps.learnt() }

// Put returns a connection after use. One that is no longer Usable is closed,
// politely if it can be; that takes up to Timeouts.Quit. So are as many as this
// process has beyond its share, while another has less.
func (p *Pool) Put(c *Conn) {
	p.steps.rest(c)
	if !c.Usable() || p.spare() || !p.keep(c) {
		p.end(context.Background(), c)
	}
	<-p.slots
}

// spare reports whether the connection that is put back is for another process.
func (p *Pool) spare() bool {
	for n := p.excess.Load(); n > 0; n = p.excess.Load() {
		if p.excess.CompareAndSwap(n, n-1) {
			return true
		}
	}
	return false
}

// keep makes the connection idle, unless the Pool was closed.
func (p *Pool) keep(c *Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	c.idleSince = time.Now()
	p.idle = append(p.idle, c)
	return true
}

// Discard closes a connection hard and gives its lease back.
func (p *Pool) Discard(c *Conn) {
	c.Abort()
	p.end(context.Background(), c)
	<-p.slots
}

// end closes a connection and gives its lease back. The caller owns a slot.
func (p *Pool) end(ctx context.Context, c *Conn) {
	p.closing.Add(1)
	defer p.closing.Add(-1)
	p.steps.rest(c)
	if c.pipeliningFault != "" && c.pipelines() {
		p.steps.demote(c.cfg.Pipelining, c.pipeliningFault)
	}
	c.Quit(ctx)
	p.log.Debug("connection closed", "transactions", c.transactions, "age", time.Since(c.born).Round(time.Millisecond).String())
	p.giveBack(true)
}

func (p *Pool) acquire(ctx context.Context) error {
	ok, err := p.leases.Acquire(ctx)
	if err != nil {
		return fmt.Errorf("lease a connection of account %s: %w", p.cfg.Account, err)
	}
	if !ok {
		return ErrNoLease
	}
	return nil
}

// giveBack releases a lease, if one is held. What it cannot release ends by
// the lease's own expiry.
func (p *Pool) giveBack(leased bool) {
	if !leased {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	p.giving.Note(p.leases.Release(ctx))
}

// Run ends idle connections in time: after ten seconds, after one second while
// other processes wait for a lease, and at once those beyond this process's share
// that others need. It returns when ctx ends.
func (p *Pool) Run(ctx context.Context) error {
	tick := time.NewTicker(contendedIdle / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			limit := maxIdle
			if p.share(ctx) {
				limit = contendedIdle
			}
			p.reap(ctx, limit)
		}
	}
}

// share finds out how many connections other processes need of this one, and
// reports whether they wait for any. Connections that are being closed are
// counted until then: they are not asked for twice.
func (p *Pool) share(ctx context.Context) (wanted bool) {
	closing := p.closing.Load() // before the question: rather one too few than one too many
	wanted, excess := p.leases.Excess(ctx)
	p.excess.Store(max(0, int64(excess)-closing))
	return wanted
}

// reap ends the connections that have been idle for longer than limit, and idle
// ones that are for other processes.
func (p *Pool) reap(ctx context.Context, limit time.Duration) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		select {
		case p.slots <- struct{}{}: // see slots: what is closing counts
		default:
			return
		}

		c := p.surplus()
		if c == nil {
			c = p.oldest(limit)
		}

		if c == nil {
			<-p.slots
			return
		}

		wg.Go(func() {
			p.end(ctx, c)
			<-p.slots
		})
	}
}

// surplus takes an idle connection that is for another process.
func (p *Pool) surplus() *Conn {
	if !p.spare() {
		return nil
	}
	c := p.oldest(0)
	if c == nil {
		p.excess.Add(1) // then one that is in use
	}
	return c
}

// oldest takes the connection that has been idle longest, if that is longer
// than limit.
func (p *Pool) oldest(limit time.Duration) *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 || time.Since(p.idle[0].idleSince) < limit {
		return nil
	}
	c := p.idle[0]
	p.idle = append(p.idle[:0], p.idle[1:]...)
	return c
}

// Close ends the idle connections and waits until those in use have come back
// (Put closes them) or ctx ends. Get returns ErrClosed from now on.
func (p *Pool) Close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.reap(ctx, 0)
	held := 0
	defer func() {
		for range held {
			<-p.slots // Get must not hang on a closed pool
		}
	}()
	for held < cap(p.slots) {
		select {
		case p.slots <- struct{}{}:
			held++
		case <-ctx.Done():
			return fmt.Errorf("close the connections of account %s: some are still in use: %w", p.cfg.Account, ctx.Err())
		}
	}

	for c := p.oldest(0); c != nil; c = p.oldest(0) {
		p.end(ctx, c) // Get had a slot when reap wanted it
	}

	return nil
}
