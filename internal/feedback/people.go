package feedback

import (
	"context"
	"encoding/binary"
	"sync"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
)

// maxChunks is how many chunks of recipients are kept as hashes, twice: 8 KB each.
const maxChunks = 2000

// people knows the recipients of runs, by place and by address, as long as the addresses
// of the run are kept. Of an address it has the first 8 bytes of the hash. It is safe
// for concurrent use.
type people struct {
	ledger Ledger

	mu    sync.Mutex
	young map[chunkName][]uint64 // hashes of the recipients of chunks
	old   map[chunkName][]uint64 // what young was before it was full

	building chan struct{} // has an entry while an index is read or made
	indexes  map[string]*index
}

type chunkName struct {
	run         string
	part, first int
}

func newPeople(l Ledger) *people {
	return &people{ledger: l, young: map[chunkName][]uint64{}, building: make(chan struct{}, 1), indexes: map[string]*index{}}
}

func shortHash(h [32]byte) uint64 { return binary.BigEndian.Uint64(h[:]) }

// is reports whether a recipient of a run has an address; known is false when the
// addresses of the run are not kept any more.
func (p *people) is(ctx context.Context, r *ledger.Run, at ledger.Place, a address.Address) (same, known bool, err error) {
	hashes, err := p.hashes(ctx, r, at)
	if err != nil || hashes == nil {
		return false, false, err
	}
	return hashes[at.Index%audience.ChunkSize] == shortHash(a.Hash()), true, nil
}

// address returns the address of a recipient; empty when the addresses of the run are
// not kept any more.
func (p *people) address(ctx context.Context, r *ledger.Run, at ledger.Place) (string, error) {
	chunk, err := p.chunk(ctx, r, at)
	if err != nil || chunk == nil {
		return "", err
	}
	i := at.Index % audience.ChunkSize
	if i >= chunk.Len() {
		return "", nil
	}
	return chunk.Row(i).Address.String(), nil
}

// hashes returns the hashes of the recipients in the chunk of a place; nil when the
// addresses of the run are not kept any more.
func (p *people) hashes(ctx context.Context, r *ledger.Run, at ledger.Place) ([]uint64, error) {
	name := chunkName{r.ID, at.Part, at.Index - at.Index%audience.ChunkSize}
	p.mu.Lock()
	hashes := p.young[name]
	if hashes == nil {
		hashes = p.old[name]
	}
	p.mu.Unlock()
	if hashes != nil {
		return hashes, nil
	}

	chunk, err := p.chunk(ctx, r, at)
	if err != nil || chunk == nil {
		return nil, err
	}
	hashes = make([]uint64, audience.ChunkSize)
	for i := range chunk.Len() {
		hashes[i] = shortHash(chunk.Row(i).Address.Hash())
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.young) >= maxChunks {
		p.old = p.young
		p.young = map[chunkName][]uint64{}
	}
	p.young[name] = hashes
	return hashes, nil
}

// chunk reads the chunk of a place; nil when the addresses of the run are not kept any
// more, or cannot be read: what comes back must not come again and again for that.
func (p *people) chunk(ctx context.Context, r *ledger.Run, at ledger.Place) (*audience.Chunk, error) {
	data, err := p.ledger.Chunk(ctx, r, at.Part, at.Index-at.Index%audience.ChunkSize)
	if ledger.Gone(err) || campaign.IsBroken(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	chunk, err := audience.DecodeChunk(data)
	if err != nil {
		return nil, nil
	}
	return chunk, nil
}
