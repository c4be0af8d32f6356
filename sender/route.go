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
	// openWait is how long a process waits for its turn to open a connection.
	openWait = 2 * time.Second
)

// A route is how the mail of an account leaves: over a pool of connections for
// each host, of which there is one. It counts them over all processes.
type route struct {
	account    string
	configured int // connections, over all processes
	opens      throttle.Limit
	pacer      *throttle.Pacer
	conns      *throttle.Conns
	member     *ledger.Member
	life       *lifetime
	pool       *smtppool.Pool

	mu      sync.Mutex
	open    int       // connections under a lease
	starved time.Time // other processes have all connections; no lease before
	limit   int       // of connections, over all processes: as configured, or what the server was found to take
	most    int       // connections that the server took when it refused one more; 0: nothing new
}

func newRoute(cfg *Config, life *lifetime, way AccountConfig) *route {
	r := &route{
		account: way.Name, configured: way.Connections, limit: way.Connections, opens: throttle.Limit{Account: way.Name, Opens: true, Rate: way.OpenRate},
		pacer: cfg.Pacer, conns: cfg.Conns, member: cfg.Member, life: life,
	}
	way.SMTP.MaxConns = way.Connections
	r.pool = smtppool.New(way.SMTP, r, cfg.Log)
	return r
}

// Acquire leases a connection for the pool.
func (r *route) Acquire(ctx context.Context) (bool, error) {
	may, err := r.mayOpen(ctx)
	if err != nil || !may {
		return false, err
	}

	ok, err := r.conns.Acquire(ctx, r.account, r.member.ID(), r.budget(), r.member.Listed())
	if ok {
		r.mu.Lock()
		r.open++
		r.mu.Unlock()
	}
	return ok, err
}

// mayOpen waits until another connection may be opened, as far as the rate of these
// goes; false when that takes long.
func (r *route) mayOpen(ctx context.Context) (bool, error) {
	if r.opens.Rate <= 0 {
		return true, nil
	}

	latest := time.Now().Add(openWait)
	for {
		grant, err := r.pacer.Reserve(ctx, throttle.Request{Limits: []throttle.Limit{r.opens}, N: 1})
		if err != nil {
			return false, err
		}
		if len(grant.Slots) > 0 {
			return sleep(ctx, time.Until(grant.Slots[0])), nil
		}
		if grant.Again.After(latest) || !sleep(ctx, time.Until(grant.Again)) {
			return false, ctx.Err()
		}
	}
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
	wanted, excess, err := r.conns.Excess(ctx, r.account, r.member.ID(), r.budget())
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

// workers returns how many workers are alive, this one included.
func (r *route) workers() int { return max(1, r.member.Listed()) }

// fairShare is how many connections this process may have at any time.
func (r *route) fairShare() int { return max(1, r.budget()/r.workers()) }

// budget is how many connections all processes may have.
func (r *route) budget() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limit
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
