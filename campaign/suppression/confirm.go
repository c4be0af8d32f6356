package suppression

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/address"
)

//go:embed confirm.lua
var confirmSource string

const (
	// confirmApart is how far signs that confirm one another lie apart: a mailbox
	// that is closed for a day is not closed for good.
	confirmApart = 24 * time.Hour
	// confirmLife is how long a sign is remembered after the last one of any
	// address: longer than a newsletter that comes once a year.
	confirmLife = 400 * 24 * time.Hour
	// signsAtOnce is how many go to Redis in one round trip.
	signsAtOnce = 100
)

// Confirm counts a reply that is a sign that a canonical address is dead, which counts
// only when it comes again: wanted times in all, a day apart or more. It reports whether
// this was the last one that it took; the caller then adds an entry.
func (s *Store) Confirm(ctx context.Context, canonical string, wanted int) (bool, error) {
	keys, args := s.sign(canonical, wanted, s.now(), "")
	confirmed, err := s.confirm.Run(ctx, s.rdb, keys, args...).Bool()
	if err != nil {
		return false, fmt.Errorf("count a sign that an address is dead: %w", err)
	}
	return confirmed, nil
}

// ConfirmReturns counts messages that came back with such replies, as Confirm does; wanted
// has the number for each. A message counts once however often it is told, and when it was
// the last one that it took that is reported each time. Rm begins the count of an address
// again. After an error it can be called again.
func (s *Store) ConfirmReturns(ctx context.Context, wanted []int, returns []Return) ([]bool, error) {
	confirmed := make([]bool, 0, len(returns))
	for first := 0; first < len(returns); first += signsAtOnce {
		pipe := s.rdb.Pipeline()
		var answers []*redis.Cmd
		for i := first; i < min(first+signsAtOnce, len(returns)); i++ {
			r := returns[i]
			a, err := address.Parse(r.Address)
			if err != nil {
				return nil, fmt.Errorf("count a sign that an address is dead: address %q: %w", r.Address, err)
			}
			keys, args := s.sign(a.Canonical(), wanted[i], r.At, r.Message)
			answers = append(answers, s.confirm.Eval(ctx, pipe, keys, args...))
		}

		_, _ = pipe.Exec(ctx) // each command has its own error
		for _, answer := range answers {
			yes, err := answer.Bool()
			if err != nil {
				return nil, fmt.Errorf("count a sign that an address is dead: %w", err)
			}
			confirmed = append(confirmed, yes)
		}
	}
	return confirmed, nil
}

// sign returns keys and arguments of confirm.lua.
func (s *Store) sign(canonical string, wanted int, at time.Time, message string) (keys []string, args []any) {
	k := KeyOf(canonical)
	return []string{s.confirmKey(shardOf(k))},
		[]any{field(k, ""), wanted, at.UnixMilli(), confirmApart.Milliseconds(), confirmLife.Milliseconds(), message}
}
