package sender

import (
	"context"
	"time"

	"broadside/throttle"
)

// learntEvery is how often a worker reads what others have found out about the
// limits of a server.
const learntEvery = 30 * time.Second

// shareLearnt tells the other workers what this one has found out about the limits
// of the account's server, and follows what they have.
func (a *account) shareLearnt(ctx context.Context) {
	messages, till := a.route.pool.Learnt()
	connections := a.route.refusedAt()
	if messages > 0 || connections > 0 {
		err := a.shared.Learn(ctx, a.cfg.Name, throttle.Learnt{MessagesPerConnection: messages, Connections: connections, Until: till})
		if err != nil && ctx.Err() == nil {
			a.log.Warn("limit of the server could not be written to Redis", "err", err)
			return
		}
	}

	known, err := a.shared.Learnt(ctx, a.cfg.Name)
	if err != nil {
		return // the next time will do
	}
	if known.MessagesPerConnection > 0 {
		a.route.pool.Learn(known.MessagesPerConnection, known.Until)
	}
	a.route.lower(known.Connections)
}

// refusedAt returns how many connections all processes had when the server took no
// more, once; 0 when it did not.
func (r *route) refusedAt() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := r.most
	r.most = 0
	return n
}

// tooMany notes that the server takes no more connections than those that are open.
func (r *route) tooMany(ctx context.Context) {
	counts, err := r.conns.Counts(ctx, r.account)
	if err != nil {
		return // it will say so again
	}

	n := -1 // the one that was refused is counted too
	for _, count := range counts {
		n += count
	}
	if n <= 0 {
		return
	}

	r.mu.Lock()
	r.most = n
	r.mu.Unlock()
	r.lower(n)
}

// lower sets how many connections the server takes; 0: as many as are configured.
func (r *route) lower(learnt int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.limit = r.configured
	if learnt > 0 {
		r.limit = min(r.configured, learnt)
	}
}
