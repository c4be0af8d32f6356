package store

import (
	"context"
	"errors"
)

// OneServer calls read, which must read one and the same server from beginning to
// end: where another server takes over, an iteration over its keys misses some that
// were there throughout. The error says so when that happened.
func (s *Store) OneServer(ctx context.Context, read func() error) error {
	before, err := s.RunID(ctx)
	if err != nil {
		return err
	}
	if err := read(); err != nil {
		return err
	}
	after, err := s.RunID(ctx)
	if err == nil && after != before {
		err = errors.New("redis was restarted or replaced meanwhile, and something may be missing: do it again")
	}
	return err
}
