package person

import (
	"context"
	"fmt"
	"slices"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
)

// Nobody is in the place of recipients who were erased. The top-level domain exists in no
// DNS (RFC 2606 section 2), and the domain is suppressed.
var nobody = address.Address{Local: "erased", Domain: "erased.invalid"}

// Erased says what an erasure did, or would do. Its JSON is that of
// `person erase --json`.
type Erased struct {
	DryRun bool     `json:"dry_run"`
	Lists  []string `json:"lists"`
	Runs   []string `json:"runs"`
	Unread []string `json:"unread"` // runs that are being made: erase again when they are made

	Subscriptions []string `json:"subscriptions"` // lists whose confirmation is forgotten
	Messages      int      `json:"messages"`      // single ones that are not known any more to be for it
	Webhooks      int      `json:"webhooks"`      // events that others were not told yet, or are dead
}

// Erase takes an address out of everything in Redis, and keeps its hash on the
// suppression list for everything. A call that was cut off can be repeated. A dry run
// changes nothing.
func (p *People) Erase(ctx context.Context, a address.Address, dryRun bool) (Erased, error) {
	e := Erased{DryRun: dryRun, Lists: []string{}, Runs: []string{}, Unread: []string{}, Subscriptions: []string{}}
	if !dryRun {
		// First, so that no run mails it from now on, whatever a worker has in memory.
		if _, err := p.Suppression.Erase(ctx, a); err != nil {
			return e, err
		}
		all := suppression.Entry{Domain: nobody.Domain, Reason: suppression.ReasonManual, Source: "erased"}
		if _, err := p.Suppression.Add(ctx, all); err != nil {
			return e, err
		}
	}

	// Before the lists: a row that waits would come to one.
	subscriptions, err := p.eraseSubscriptions(ctx, a, dryRun)
	e.Subscriptions = subscriptions
	if err != nil {
		return e, err
	}

	e.Messages, err = p.eraseMessages(ctx, a, dryRun)
	if err != nil {
		return e, err
	}

	err = p.eachList(ctx, func(name string) error {
		has := p.Lists.Erase
		if dryRun {
			has = p.Lists.Has
		}
		had, err := has(ctx, name, a)
		if had {
			e.Lists = append(e.Lists, name)
		}
		return err
	})
	if err != nil {
		return e, err
	}

	e.Unread, err = p.eachRun(ctx, func(rec *ledger.Record) error {
		had, err := p.eraseFrom(ctx, rec.Handle(), a, dryRun)
		if had {
			e.Runs = append(e.Runs, rec.ID)
		}
		return err
	})
	if err != nil || p.Webhooks == nil {
		return e, err
	}

	// After the runs, which bounces are read from until then.
	e.Webhooks, err = p.Webhooks.Erase(ctx, a, dryRun)
	return e, err
}

// eraseSubscriptions forgets the proofs of an address, and returns their lists.
func (p *People) eraseSubscriptions(ctx context.Context, a address.Address, dryRun bool) ([]string, error) {
	if !dryRun {
		return p.Subscribers.Erase(ctx, a)
	}
	lists := []string{}
	proofs, err := p.Subscribers.Of(ctx, a)
	for _, proof := range proofs {
		if !slices.Contains(lists, proof.List) {
			lists = append(lists, proof.List)
		}
	}
	return lists, err
}

// eraseMessages cancels single messages that wait for an address, forgets that the others
// were for it, and returns how many they are.
func (p *People) eraseMessages(ctx context.Context, a address.Address, dryRun bool) (int, error) {
	if p.Singles == nil {
		return 0, nil
	}
	if dryRun {
		all, err := p.Singles.Of(ctx, a)
		return len(all), err
	}
	return p.Singles.Erase(ctx, a, time.Now())
}

// eraseFrom erases an address from one run, and reports whether the run had it.
func (p *People) eraseFrom(ctx context.Context, run *ledger.Run, a address.Address, dryRun bool) (had bool, err error) {
	for _, part := range run.Sizes {
		for first := 0; first < part.Size; first += audience.ChunkSize {
			found, err := p.eraseFromChunk(ctx, ledger.Ref{Run: run, Part: part.Part, Index: first}, a, dryRun)
			had = had || found
			if err != nil {
				return had, err
			}
		}
	}
	return had, nil
}

// eraseFromChunk is eraseFrom for the chunk whose first recipient is named. Others may
// be erased from the same chunk at the same time.
func (p *People) eraseFromChunk(ctx context.Context, first ledger.Ref, a address.Address, dryRun bool) (had bool, err error) {
	for range 5 {
		data, err := p.Ledger.Chunk(ctx, first.Run, first.Part, first.Index)
		if err != nil {
			return had, err
		}
		chunk, err := audience.DecodeChunk(data)
		if err != nil {
			return had, fmt.Errorf("erase an address from run %s: %w", first.Run.ID, err)
		}

		rows, at := without(chunk, a)
		if at < 0 {
			return had, nil
		}
		had = true
		if dryRun {
			return had, nil
		}

		ref := first
		ref.Index += at
		done, err := p.Ledger.Erase(ctx, ref, first.Index, data, audience.EncodeChunk(nil, rows))
		if done || err != nil {
			return had, err
		}
	}
	return had, fmt.Errorf("erase an address from run %s: its recipients have changed five times meanwhile: try again", first.Run.ID)
}

// without returns the rows of a chunk with nobody in the place of an address, and where
// that was; -1 when it is not there.
func without(chunk *audience.Chunk, a address.Address) (rows []audience.Row, at int) {
	at = -1
	for i := range chunk.Len() {
		row := chunk.Row(i)
		if row.Address.Canonical() == a.Canonical() { // an address is in a run once
			at = i
			row.Address = nobody
			row.Values = make([]string, len(row.Values))
		}
		rows = append(rows, row)
	}
	return rows, at
}
