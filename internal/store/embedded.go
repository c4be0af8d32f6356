package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
)

// Connections of an embedded store: they are not limited, but each costs a few
// goroutines.
const (
	embeddedShared = 64
	embeddedClaims = 8
)

// OpenEmbedded starts a store within the process. It is for trying things
// out: up to 100,000 recipients, and forgotten when the process ends. log may
// be nil.
func OpenEmbedded(ctx context.Context, log *slog.Logger) (*Store, error) {
	m := miniredis.NewMiniRedis()
	m.ClockTTL(true)       // else nothing ever expires
	first, err := m.Dial() // starts it without a listener
	if err != nil {
		return nil, fmt.Errorf("start embedded store: %w", err)
	}
	setLogger(log)
	running := m.Server()
	dial := func(context.Context, string, string) (net.Conn, error) {
		client, server := connPair()
		running.ServeConn(server)
		return client, nil
	}
	srv := &server{addr: "embedded", loopback: true, parse: func() *redis.Options {
		return &redis.Options{Addr: "embedded", Dialer: dial}
	}}
	s := &Store{
		server:   srv,
		embedded: m,
		claims:   embeddedClaims,
		findings: []Finding{{codes.RedisEmbedded, Warning, "embedded store", "it forgets everything at exit", "set redis_url (or REDIS_URL) to keep runs, lists and unsubscribes"}},
	}
	s.client = s.newClient(srv.options(embeddedShared))
	if err := errors.Join(first.Close(), s.client.Ping(ctx).Err()); err != nil {
		return nil, errors.Join(fmt.Errorf("start embedded store: %w", err), s.Close())
	}
	return s, nil
}
