package feedback

import (
	"cmp"
	"context"
	"slices"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
)

const (
	// maxSearched is how many recipients the runs may have together that are searched
	// for an address: 16 bytes each. The newest run is searched whatever its size.
	maxSearched = 8_000_000
	// maxRunsSearched bounds their number.
	maxRunsSearched = 200
)

// An index finds the recipients of a run by address. It is made chunk by chunk, so that
// a caller that runs out of time leaves to the next what is done.
type index struct {
	entries []indexEntry // by hash, once it is complete
	part    int          // index in Sizes of the part that is read next
	first   int          // and of the recipient
	done    bool
}

type indexEntry struct {
	hash uint64
	n    uint32 // among the recipients of all parts
}

// find returns the place of an address in a run; false when it is no recipient, or the
// addresses of the run are not kept any more.
func (p *people) find(ctx context.Context, r *ledger.Run, a address.Address) (ledger.Place, bool, error) {
	select {
	case p.building <- struct{}{}:
		defer func() { <-p.building }()
	case <-ctx.Done():
		return ledger.Place{}, false, context.Cause(ctx)
	}

	x := p.indexes[r.ID]
	if x == nil {
		x = &index{}
		p.indexes[r.ID] = x
	}
	if err := p.complete(ctx, r, x); err != nil {
		return ledger.Place{}, false, err
	}

	hash := shortHash(a.Hash())
	i, found := slices.BinarySearchFunc(x.entries, hash, func(e indexEntry, hash uint64) int { return cmp.Compare(e.hash, hash) })
	if !found {
		return ledger.Place{}, false, nil
	}
	n := int(x.entries[i].n)
	for _, s := range r.Sizes {
		if n < s.Size {
			return ledger.Place{Part: s.Part, Index: n}, true, nil
		}
		n -= s.Size
	}
	return ledger.Place{}, false, nil
}

// complete reads what an index lacks.
func (p *people) complete(ctx context.Context, r *ledger.Run, x *index) error {
	for !x.done {
		if x.part == len(r.Sizes) {
			slices.SortFunc(x.entries, func(a, b indexEntry) int { return cmp.Compare(a.hash, b.hash) })
			x.done = true
			return nil
		}

		size := r.Sizes[x.part]
		if x.first >= size.Size {
			x.part++
			x.first = 0
			continue
		}
		chunk, err := p.chunk(ctx, r, ledger.Place{Part: size.Part, Index: x.first})
		if err != nil {
			return err
		}
		if chunk == nil { // the addresses have expired
			x.entries = nil
			x.done = true
			return nil
		}
		for i := range chunk.Len() {
			x.entries = append(x.entries, indexEntry{shortHash(chunk.Row(i).Address.Hash()), uint32(len(x.entries))})
		}
		x.first += audience.ChunkSize
	}
	return nil
}

// searched returns those of runs, the newest first, that are searched for an address, and
// forgets the indexes of others.
func (p *people) searched(ctx context.Context, all []*ledger.Record) ([]*ledger.Record, error) {
	var total int64
	keep := map[string]bool{}
	for i, rec := range all {
		total += rec.Total()
		if i > 0 && total > maxSearched {
			all = all[:i]
			break
		}
		keep[rec.ID] = true
	}

	select {
	case p.building <- struct{}{}:
		defer func() { <-p.building }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	for id := range p.indexes {
		if !keep[id] {
			delete(p.indexes, id)
		}
	}
	return all, nil
}
