package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Options say where the store is and how much of it a process may use.
type Options struct {
	URL            string // redis://, rediss://, unix://, redis-sentinel:// or redis-cluster://
	MaxConnections int    // of this process to any one server, all in all; default 20
	Claims         int    // of these: for the client that Claims makes; 0 where nothing is claimed
	TLSInsecure    bool   // do not verify certificates
	AllowVolatile  bool   // accept a Redis without persistence elsewhere than on loopback
	Unfit          bool   // return the store although it is unfit, to look at it
	Log            *slog.Logger
}

// DefaultMaxConnections is MaxConnections where none are given.
const DefaultMaxConnections = 20

// ForClaims proposes how many of all connections a process that sends sets
// aside for claims: a third. Claims that wait for a replica keep theirs so long;
// all else goes out in pipelines.
func ForClaims(all int) int { return min(10, (all+2)/3) }

// A Store is the connection of this process to Redis.
type Store struct {
	client   redis.UniversalClient
	server   *server
	ceiling  *ceiling // nil: embedded
	claims   int
	embedded *miniredis.Miniredis // nil: a real Redis
	findings []Finding

	mu      sync.Mutex
	clients []redis.UniversalClient // every client that was made, for Close; guarded by mu
}

// Open connects to Redis and checks that it is fit. It gives up after five
// seconds.
//
// Its errors: ErrOptions when the options cannot be used, ErrUnreachable when
// there is no answer or the login is refused, ErrUnfit when the server is not
// one that sending can rely on. Each says what to do.
func Open(ctx context.Context, o Options) (*Store, error) {
	if o.MaxConnections == 0 {
		o.MaxConnections = DefaultMaxConnections
	}
	shared := o.MaxConnections - o.Claims
	if shared < 1 {
		return nil, fmt.Errorf("%w: redis.max_connections is %d, expected at least %d", ErrOptions, o.MaxConnections, o.Claims+1)
	}
	server, err := parseURL(o.URL, o.TLSInsecure)
	if err != nil {
		return nil, err
	}
	setLogger(o.Log)
	s := &Store{server: server, ceiling: newCeiling(o.MaxConnections, server), claims: o.Claims}
	if err := s.findPrimary(ctx); err != nil {
		return nil, err
	}
	s.client = s.newClient(s.options(shared))
	if err := s.check(ctx, o.AllowVolatile); err != nil && !(o.Unfit && errors.Is(err, ErrUnfit)) {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// options returns those of a client with a pool of size connections.
func (s *Store) options(size int) *redis.Options {
	o := s.server.options(size)
	if s.ceiling != nil {
		o.Dialer = s.ceiling.dial
	}
	return o
}

// check looks at every primary and keeps what it finds.
func (s *Store) check(ctx context.Context, allowVolatile bool) error {
	if err := s.findNodes(ctx); err != nil {
		return s.asUnreachable(ctx, err)
	}
	var mu sync.Mutex
	var all [][]Finding
	err := s.each(ctx, func(ctx context.Context, node informer) error {
		info, err := readInfo(ctx, node, s.server)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, inspect(info, s.server.kind, s.server.loopback, allowVolatile))
		return nil
	})
	if err != nil {
		return s.asUnreachable(ctx, err)
	}
	s.findings = merge(all)
	return refusal(s.server.addr, s.findings)
}

// merge makes one list of those of several servers: what is the same of all
// is said once.
func merge(all [][]Finding) []Finding {
	var out []Finding
	for _, findings := range all {
		for _, f := range findings {
			if !slices.Contains(out, f) {
				out = append(out, f)
			}
		}
	}
	slices.SortStableFunc(out, func(a, b Finding) int { return cmp.Compare(b.Level, a.Level) })
	return out
}

// Client returns the shared client. It belongs to the store: do not close it.
func (s *Store) Client() redis.UniversalClient { return s.client }

// Embedded reports whether the store is within the process, and forgets.
func (s *Store) Embedded() bool { return s.embedded != nil }

// Findings returns what the checks at the start found, worst first.
func (s *Store) Findings() []Finding { return s.findings }

// Sever closes every connection that is open. Each is made again when it is
// needed, to the server that the name or the sentinels lead to then: for the moment at which
// another server has taken the place of the one that was, which may still be
// there for connections that it has.
func (s *Store) Sever() {
	if s.ceiling != nil {
		s.ceiling.sever()
	}
}

// Close closes every connection, those of Claims too, and ends an embedded
// store.
func (s *Store) Close() error {
	s.mu.Lock()
	clients := s.clients
	s.clients = nil
	s.mu.Unlock()
	var errs []error
	for _, c := range clients {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) { // by Sever, before
			errs = append(errs, err)
		}
	}
	if s.embedded != nil {
		s.embedded.Close()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close redis client: %w", err)
	}
	return nil
}
