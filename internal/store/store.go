package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Options say where the store is and how much of it a process may use.
type Options struct {
	URL            string // redis://, rediss:// or unix://
	MaxConnections int    // of this process, all in all; default 20
	Claims         int    // of these: for the client that Claims makes; 0 where nothing is claimed
	PubSub         int    // of these: left free for subscriptions; 0 where no asynq server runs
	TLSInsecure    bool   // do not verify the certificate of rediss://
	AllowVolatile  bool   // accept a Redis without persistence elsewhere than on loopback
	Log            *slog.Logger
}

// DefaultMaxConnections is MaxConnections where none are given.
const DefaultMaxConnections = 20

// Split proposes how many of max connections a process that sends sets aside
// for claims and for subscriptions (one per asynq server, of which as many as
// can be keep the connections to mail servers in work). At least two fifths
// are left for everything else, which goes out in pipelines.
func Split(max int) (claims, pubSub int) {
	return min(6, (max+4)/5), min(12, max*2/5)
}

// A Store is the connection of this process to Redis.
type Store struct {
	client   *redis.Client
	options  func() *redis.Options // fresh every time: go-redis keeps what it is given
	claims   int
	embedded *miniredis.Miniredis // nil: a real Redis
	findings []Finding

	mu      sync.Mutex
	clients []*redis.Client // every client that was made, for Close; guarded by mu
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
	shared := o.MaxConnections - o.Claims - o.PubSub
	if shared < 1 {
		return nil, fmt.Errorf("%w: redis.max_connections is %d, expected at least %d", ErrOptions, o.MaxConnections, o.Claims+o.PubSub+1)
	}
	server, err := parseURL(o.URL, o.TLSInsecure)
	if err != nil {
		return nil, err
	}
	setLogger(o.Log)
	s := &Store{claims: o.Claims, options: func() *redis.Options { return server.options(shared) }}
	s.client = s.newClient(s.options())
	info, err := readInfo(ctx, s.client, server)
	if err == nil {
		s.findings = inspect(info, server.loopback, o.AllowVolatile)
		err = refusal(server.addr, s.findings)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Store) newClient(o *redis.Options) *redis.Client {
	c := redis.NewClient(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, c)
	return c
}

// Client returns the shared client. It belongs to the store: do not close it.
func (s *Store) Client() redis.UniversalClient { return s.client }

// Embedded reports whether the store is within the process, and forgets.
func (s *Store) Embedded() bool { return s.embedded != nil }

// Findings returns what the checks at the start found, worst first.
func (s *Store) Findings() []Finding { return s.findings }

// Close closes every connection, those of Claims too, and ends an embedded
// store.
func (s *Store) Close() error {
	s.mu.Lock()
	clients := s.clients
	s.clients = nil
	s.mu.Unlock()
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.Close())
	}
	if s.embedded != nil {
		s.embedded.Close()
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close redis client: %w", err)
	}
	return nil
}
