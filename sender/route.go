package sender

import (
	"context"
	"errors"
	"sync"
	"time"

	"broadside/campaign/ledger"
	"broadside/sender/smtppool"
	"broadside/throttle"
)

const (
	// leaseRest is how long a process that got no connection waits.
	leaseRest = 500 * time.Millisecond
	// firstLease is how long a process that has none at all asks for one, every
	// tenth of it, before it gives its recipients back: others share theirs.
	firstLease = time.Second
)

// A route is how the mail of an account leaves: over a pool of connections for
// each host, of which there is one. It counts them over all processes.
type route struct {
	account string
	limit   int // of connections, over all processes
	conns   *throttle.Conns
	member  *ledger.Member
	life    *lifetime
	pool    *smtppool.Pool

	mu      sync.Mutex
	open    int       // connections under a lease
	starved time.Time // other processes have all connections; no lease before
}

func newRoute(cfg *Config, life *lifetime, way AccountConfig) *route {
	r := &route{account: way.Name, limit: way.Connections, conns: cfg.Conns, member: cfg.Member, life: life}
	way.SMTP.MaxConns = way.Connections
	r.pool = smtppool.New(way.SMTP, r, cfg.Log)
	return r
}

// Acquire leases a connection for the pool.
func (r *route) Acquire(ctx context.Context) (bool, error) {
	ok, err := r.conns.Acquire(ctx, r.account, r.member.ID(), r.limit, r.member.Listed())
	if ok {
		r.mu.Lock()
		r.open++
		r.mu.Unlock()
	}
	return ok, err
}

// Release ends a lease of the pool.
func (r *route) Release(ctx context.Context) error {
	r.mu.Lock()
	r.open--
	r.mu.Unlock()
	ctx, cancel := r.life.within(ctx, settleTime)
	defer cancel()
	return r.conns.Release(ctx, r.account, r.member.ID())
}

// Excess returns how many connections other processes need of this one.
func (r *route) Excess(ctx context.Context) (wanted bool, excess int) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	wanted, excess, err := r.conns.Excess(ctx, r.account, r.member.ID(), r.limit)
	return wanted && err == nil, excess
}

// connect gets a connection. A process that has none asks for its first lease
// for a while.
func (r *route) connect(ctx context.Context) (*smtppool.Conn, error) {
	until := time.Now().Add(firstLease)
	conn, err := r.pool.Get(ctx)
	for errors.Is(err, smtppool.ErrNoLease) && r.connections() == 0 && time.Now().Before(until) {
		sleep(ctx, firstLease/10)
		conn, err = r.pool.Get(ctx)
	}
	return conn, err
}

// connections returns how many connections this process has.
func (r *route) connections() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

// starve notes that other processes have all connections, and reports whether this
// one is left without any.
func (r *route) starve(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.starved = now.Add(time.Second)
	return r.open == 0
}

// closedUntil returns until when there is no connection to be had.
func (r *route) closedUntil() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open > 0 {
		return time.Time{}
	}
	return r.starved
}
