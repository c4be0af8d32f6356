package suppression

import (
	"context"
	_ "embed"
	"fmt"
	"time"
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
)

// Confirm counts a sign that a canonical address is dead, which counts only when
// it comes again: wanted times in all, a day apart or more. It reports whether this
// was the last one that it took; the caller then adds an entry.
func (s *Store) Confirm(ctx context.Context, canonical string, wanted int) (bool, error) {
	k := KeyOf(canonical)
	confirmed, err := s.confirm.Run(ctx, s.rdb, []string{s.confirmKey(shardOf(k))},
		field(k, ""), wanted, s.now().UnixMilli(), confirmApart.Milliseconds(), confirmLife.Milliseconds()).Bool()
	if err != nil {
		return false, fmt.Errorf("count a sign that an address is dead: %w", err)
	}
	return confirmed, nil
}
