package suppression

import (
	"context"
	_ "embed"
	"fmt"

	"broadside/campaign/address"
)

//go:embed erase.lua
var eraseSource string

// sourceErased is the Source of the entry that stays of a person who was erased.
const sourceErased = "erased"

// Erase suppresses an address for everything, and takes it out of all its entries: they
// know only the hash from then on. It returns how many entries had the address.
func (s *Store) Erase(ctx context.Context, a address.Address) (int, error) {
	hash := a.Hash()
	if _, err := s.Add(ctx, Entry{Hash: hash, Reason: ReasonManual, Source: sourceErased}); err != nil {
		return 0, err
	}
	topics, err := s.scopes(ctx)
	if err != nil {
		return 0, fmt.Errorf("erase an address: %w", err)
	}

	key := Key(hash[:])
	args := []any{hashOnly(hash), shortHashOnly(hash)}
	for _, f := range fields(key, topics) {
		args = append(args, f)
	}
	n, err := s.erase.Run(ctx, s.rdb, []string{s.shardKey(shardOf(key))}, args...).Int()
	if err != nil {
		return 0, fmt.Errorf("erase an address: %w", err)
	}
	return n, nil
}
