package scheduler

import (
	"context"

	"broadside/campaign/ledger"
)

// What a run takes of Redis' memory in addition to its compressed recipients,
// in bytes. docs/performance.md has the measurements.
const (
	writtenEach = 20      // per recipient: the cell, and the names of the chunks
	outcomeEach = 65      // per recipient, on average: the receipt (40), and the last reply of a recipient who was not accepted at once
	taskEach    = 800     // per recipient that is handed out: at most ledger.MaxBacklog of a part
	mostTasks   = 10_000  // and in all, unless more than that are settled in a second
	always      = 1 << 20 // connections, scripts, leases
)

const (
	// mostHeld is how many bytes of compressed recipients are kept back until
	// the audience is read: about a million people.
	mostHeld = 32 << 20
	// perWrite is how many bytes of them go out in one round trip.
	perWrite = 1 << 20
)

// A store takes what an expansion writes: ledger.Expansion.
type store interface {
	Add(ctx context.Context, chunks ...ledger.Chunk) error
	Rejects(ctx context.Context, block []byte) error
}

// An outbox keeps what an expansion is going to write until it is known that
// there is room for it: for an audience of usual size nothing is written
// before all of it has been read. Of a larger one each part is written only if
// there is room for it, and for what those before will still need.
type outbox struct {
	store store                                        // nil: only a plan
	room  func(ctx context.Context, bytes int64) error // nil: not asked
	most  int64                                        // bytes to keep back

	chunks  []ledger.Chunk
	rejects [][]byte
	held    int64 // bytes of both
	people  int64 // in chunks

	bytes int64         // of all, written ones too
	parts map[int]int64 // people of all
}

// needs returns the bytes of Redis' memory that a run needs at its peak, by the
// people in its parts, when people of them, who take bytes, are not written yet.
func needs(parts map[int]int64, people, bytes int64) int64 {
	var total, tasks int64
	for _, size := range parts {
		total += size
		tasks += min(size, ledger.MaxBacklog)
	}
	return always + bytes + people*writtenEach + total*outcomeEach + min(tasks, mostTasks)*taskEach
}

func (o *outbox) add(ctx context.Context, c ledger.Chunk) error {
	o.parts[c.Part] += int64(len(c.Suppressed))
	o.bytes += int64(len(c.Data))
	if o.store == nil {
		return nil
	}
	o.chunks = append(o.chunks, c)
	o.people += int64(len(c.Suppressed))
	return o.hold(ctx, len(c.Data))
}

func (o *outbox) reject(ctx context.Context, block []byte) error {
	o.bytes += int64(len(block))
	if o.store == nil {
		return nil
	}
	o.rejects = append(o.rejects, block)
	return o.hold(ctx, len(block))
}

func (o *outbox) hold(ctx context.Context, bytes int) error {
	o.held += int64(bytes)
	if o.held < o.most {
		return nil
	}
	return o.flush(ctx)
}

// flush writes what is held, if there is room for it.
func (o *outbox) flush(ctx context.Context) error {
	if o.held == 0 {
		return nil
	}

	if o.room != nil {
		if err := o.room(ctx, needs(o.parts, o.people, o.held)); err != nil {
			return err
		}
	}

	for from, n, size := 0, 0, 0; n < len(o.chunks); {
		size += len(o.chunks[n].Data)
		n++
		if size < perWrite && n < len(o.chunks) {
			continue
		}
		if err := o.store.Add(ctx, o.chunks[from:n]...); err != nil {
			return err
		}
		from = n
		size = 0
	}

	for _, block := range o.rejects {
		if err := o.store.Rejects(ctx, block); err != nil {
			return err
		}
	}

	o.chunks = nil
	o.rejects = nil
	o.held = 0
	o.people = 0

	return nil
}
