package store

import (
	"context"

	"github.com/redis/go-redis/v9"
)

// Claims makes a client for commands that must not be sent twice: it sends
// nothing again after a broken connection, so that an error leaves open
// whether Redis did it, but never makes it happen later.
//
// Each of its connections asks the server for its run id before it is used
// and gives it to onConnect, whose error makes the connection unusable and is
// the error of the command that wanted it: so no claim reaches a server that
// went back in time before its caller has dealt with that. onConnect is called
// by the goroutine of that command, with its context, and must not use the
// returned client.
//
// A replica is never admitted. It has Options.Claims connections (at least one;
// in a cluster to each primary), and belongs to the store.
func (s *Store) Claims(onConnect func(ctx context.Context, runID string) error) redis.UniversalClient {
	o := s.options(max(1, s.claims))
	o.MaxRetries = -1
	o.OnConnect = func(ctx context.Context, c *redis.Conn) error {
		id, err := s.identify(ctx, c)
		if err != nil || id == "" {
			return err
		}
		return onConnect(ctx, id)
	}
	return s.newClient(o)
}
