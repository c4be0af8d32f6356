package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// findPrimary asks the sentinels of the URL, one after the other, for the
// primary, to say what is wrong while there is somebody to read it: none
// answers, the login is refused, or the name is not known.
func (s *Store) findPrimary(ctx context.Context) error {
	if s.server.kind != sentinel {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	var first error
	for _, addr := range s.server.addrs {
		err := s.askSentinel(ctx, addr)
		if err == nil || errors.Is(err, ErrOptions) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// askSentinel returns nil when the sentinel knows the primary.
func (s *Store) askSentinel(ctx context.Context, addr string) error {
	o := s.options(1)
	c := redis.NewSentinelClient(&redis.Options{
		Addr: addr, Username: s.server.sentinelUser, Password: s.server.sentinelPassword,
		Dialer: o.Dialer, DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, DialerRetries: 1, MaxRetries: -1,
		Protocol: o.Protocol, DisableIdentity: true, ContextTimeoutEnabled: true,
		PoolSize: 2, // one that fails as often as it is large goes on trying in the background
	})
	defer c.Close()
	_, err := c.GetMasterAddrByName(ctx, s.server.primary).Result()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, redis.Nil):
		return fmt.Errorf("%w: redis_url names the primary %q, which the sentinel at %s does not watch; %s", ErrOptions, s.server.primary, addr, watched(ctx, c))
	case strings.Contains(err.Error(), "unknown command"):
		return fmt.Errorf("%w: redis_url names %s as a sentinel, which it is not: expected the address of a sentinel (port 26379 as a rule), or redis:// for a server alone", ErrOptions, addr)
	}
	e := unreachable(&server{addr: addr, tls: s.server.tls}, err)
	var lost *unreachableError
	if errors.As(e, &lost) {
		if strings.Contains(lost.what, "login") {
			lost.fix = "set ?sentinel_password=... (and sentinel_username) in redis_url for the sentinels; user:password@ is for the servers"
		}
		lost.addr = "sentinel " + addr
	}
	return e
}

// watched says which names the sentinel knows.
func watched(ctx context.Context, c *redis.SentinelClient) string {
	all, err := c.Masters(ctx).Result()
	if err != nil {
		return "expected a name that it knows"
	}
	var names []string
	for _, m := range all {
		if f, ok := m.([]any); ok && len(f) > 1 {
			if name, ok := f[1].(string); ok {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		return "it watches none"
	}
	slices.Sort(names)
	return "expected " + strings.Join(names, " or ")
}

// asUnreachable gives what a client of several servers says on its way to
// them the form of the errors of one.
func (s *Store) asUnreachable(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, ErrUnreachable) || errors.Is(err, ErrOptions):
		return err
	case ctx.Err() != nil:
		return fmt.Errorf("connect to redis at %s: %w", s.server.addr, context.Cause(ctx))
	case strings.Contains(err.Error(), "cluster support disabled"):
		return fmt.Errorf("%w: redis_url is redis-cluster://, but %s is not a Redis Cluster: write redis://", ErrOptions, s.server.addr)
	}
	return unreachable(s.server, err)
}
