package suppression

import (
	"context"
	_ "embed"
	"fmt"
	"time"

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
)

// Confirm counts a reply that is a sign that a canonical address is dead, which counts
// only when it comes again: wanted times in all, a day apart or more. It reports whether
// this was the last one that it took; the caller then adds an entry.
func (s *Store) Confirm(ctx context.Context, canonical string, wanted int) (bool, error) {
	return s.countSign(ctx, canonical, wanted, s.now(), "")
}

// ConfirmReturn counts a message that came back with such a reply, as Confirm does. A
// message counts once however often it is told, and when it was the last one that it took
// that is reported each time. Rm begins the count of an address again.
func (s *Store) ConfirmReturn(ctx context.Context, wanted int, r Return) (bool, error) {
	a, err := address.Parse(r.Address)
	if err != nil {
		return false, fmt.Errorf("count a sign that an address is dead: address %q: %w", r.Address, err)
	}
	return s.countSign(ctx, a.Canonical(), wanted, r.At, r.Message)
}

func (s *Store) countSign(ctx context.Context, canonical string, wanted int, at time.Time, message string) (bool, error) {
	k := KeyOf(canonical)
	confirmed, err := s.confirm.Run(ctx, s.rdb, []string{s.confirmKey(shardOf(k))},
		field(k, ""), wanted, at.UnixMilli(), confirmApart.Milliseconds(), confirmLife.Milliseconds(), message).Bool()
	if err != nil {
		return false, fmt.Errorf("count a sign that an address is dead: %w", err)
	}
	return confirmed, nil
}
