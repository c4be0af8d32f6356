package web

import (
	"container/list"
	"context"
	"encoding/hex"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/suppression"
)

// How long and how much a keeper keeps. A Redis that writes to disk every
// second loses seconds when it dies, a replica that takes over lacks what was
// on its way: ten minutes are far more than either.
const (
	lookEvery    = time.Second
	lookWithin   = 2 * time.Second  // for one question to the store
	replayWithin = 20 * time.Second // for one replay
	keepFor      = 10 * time.Minute // after the store was last seen with it
	keepMost     = 10_000           // entries, about 3 MB
	confirmFor   = time.Minute      // how long one is added again until it lasts
	againAfter   = 30 * time.Second // see keeper.again
)

// A keeper notes unsubscribes, remembers those that were acknowledged, and
// adds them again when the store may have forgotten them: when it is another
// server than the one that acknowledged them, or the same one started anew.
// It is safe for concurrent use.
type keeper struct {
	suppressor Suppressor
	server     func(context.Context) (string, suppression.Barrier, error)
	log        *slog.Logger

	mu      sync.Mutex
	id      string              // of the server that was seen last; guarded by mu, like all below
	barrier suppression.Barrier // that it offers
	kept    *list.List          // of *kept, in the order of their last request, oldest first
	byKey   map[entryKey]*list.Element
	// again is when everything is added once more after a change of servers:
	// until then a pooled connection may have led to the old one. Zero: not due.
	again  time.Time
	failed bool // the last replay, which was logged
	full   bool // some were dropped, which was logged
}

// entryKey tells unsubscribes apart. However often a link is used, it takes one
// place among those that are kept, so that it cannot push out the others.
type entryKey struct {
	address [32]byte
	scope   string
}

// kept is one acknowledged unsubscribe.
type kept struct {
	key     entryKey
	entry   suppression.Entry
	noted   time.Time
	id      string // the server that was in charge when it was noted or replayed last
	lasting bool   // it is behind the barrier
	warned  bool   // the log says that it may not last
}

func newKeeper(to Suppressor, server func(context.Context) (string, suppression.Barrier, error), log *slog.Logger) *keeper {
	return &keeper{suppressor: to, server: server, log: log, kept: list.New(), byKey: map[entryKey]*list.Element{}}
}

// An outcome says what noting an unsubscribe came to.
type outcome struct {
	added bool // it was not in the list
	first bool // it was not kept before, so that the log does not have it yet
}

// note adds an entry to the list and keeps it. Without an error it is in force,
// and will be.
func (k *keeper) note(ctx context.Context, e suppression.Entry) (outcome, error) {
	k.mu.Lock()
	id, barrier := k.id, k.barrier
	k.mu.Unlock()

	noted, err := k.suppressor.AddLasting(ctx, barrier, e)
	if err != nil {
		return outcome{}, err
	}

	e.At = noted.At
	added := noted.Added > 0
	fresh := &kept{key: keyOf(e), entry: e, noted: time.Now(), id: id, lasting: noted.Lasting}
	return outcome{added: added, first: k.keep(ctx, fresh, added)}, nil
}

// keep puts an unsubscribe at the end of those that are kept, in place of an
// earlier one of the same address and scope, and reports whether there was none.
func (k *keeper) keep(ctx context.Context, fresh *kept, added bool) (first bool) {
	k.mu.Lock()
	defer k.mu.Unlock()

	earlier, ok := k.byKey[fresh.key]
	if ok {
		fresh.warned = earlier.Value.(*kept).warned && !added
		k.drop(earlier)
	}
	if k.kept.Len() >= keepMost {
		k.makeRoom(ctx)
	}
	k.byKey[fresh.key] = k.kept.PushBack(fresh)

	if !fresh.lasting && !fresh.warned {
		fresh.warned = true
		// With a log that is kept, this line is a second journal: suppression
		// import takes the hash.
		k.log.WarnContext(ctx, "unsubscribe not confirmed to last", "sha256", hex.EncodeToString(fresh.key.address[:]),
			"scope", fresh.entry.Scope, "run", fresh.entry.Run, "at", fresh.entry.At.UTC())
	}
	return !ok
}

// makeRoom drops the oldest unsubscribe; k.mu is held.
func (k *keeper) makeRoom(ctx context.Context) {
	if !k.full {
		k.full = true
		k.log.WarnContext(ctx, "more unsubscribes than can be kept to add them again: the oldest are in redis alone", "kept", keepMost)
	}
	k.drop(k.kept.Front())
}

// drop forgets an unsubscribe; k.mu is held.
func (k *keeper) drop(e *list.Element) {
	delete(k.byKey, e.Value.(*kept).key)
	k.kept.Remove(e)
}

// keyOf returns the key of an entry that was added.
func keyOf(e suppression.Entry) entryKey {
	a, err := address.Parse(e.Address)
	if err != nil { // a list takes nothing else
		return entryKey{address: address.Hash(e.Address), scope: e.Scope}
	}
	return entryKey{address: a.Hash(), scope: e.Scope}
}

// run looks after the store until ctx ends.
func (k *keeper) run(ctx context.Context) {
	if k.server == nil {
		return
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		k.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// look asks which server is in charge, and adds again what it may lack.
func (k *keeper) look(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	id, barrier, err := k.server(ask)
	if err != nil {
		k.log.DebugContext(ctx, "store not seen", "err", err)
		return
	}
	due, again := k.due(id, barrier, time.Now())
	if len(due) > 0 && !k.replay(ctx, id, barrier, due) {
		return // and nothing ends its time before it was replayed
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if again {
		k.again = time.Time{}
	}
	old := time.Now().Add(-keepFor)
	for oldest := k.kept.Front(); oldest != nil && oldest.Value.(*kept).noted.Before(old); oldest = k.kept.Front() {
		k.drop(oldest)
		k.full = false
	}
}

// due returns what is to be added again; again: this is the second time after
// a change of servers.
func (k *keeper) due(id string, b suppression.Barrier, now time.Time) (due []*kept, again bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.id != "" && k.id != id {
		k.log.Warn("redis was restarted or replaced: unsubscribes are replayed", "kept", k.kept.Len())
		k.again = now.Add(againAfter)
	}
	k.id, k.barrier = id, b
	again = !k.again.IsZero() && !now.Before(k.again)
	for at := k.kept.Front(); at != nil; at = at.Next() {
		e := at.Value.(*kept)
		if again || e.id != id || !e.lasting && now.Sub(e.noted) < confirmFor {
			due = append(due, e)
		}
	}
	return due, again
}

// replay adds entries again and reports whether that went well.
func (k *keeper) replay(ctx context.Context, id string, b suppression.Barrier, due []*kept) bool {
	ctx, cancel := context.WithTimeout(ctx, replayWithin)
	defer cancel()
	entries := make([]suppression.Entry, len(due))
	for i, e := range due {
		entries[i] = e.entry // which nobody changes
	}
	noted, err := k.suppressor.Replay(ctx, b, entries...)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		if !k.failed {
			k.log.WarnContext(ctx, "unsubscribes not replayed yet", "kept", len(due), "err", err)
		}
		k.failed = true
		return false
	}
	if k.failed || noted.Added > 0 {
		k.log.InfoContext(ctx, "unsubscribes replayed", "kept", len(due), "missing", noted.Added)
	}
	k.failed = false
	for _, e := range due {
		e.id, e.lasting = id, noted.Lasting
	}
	return true
}
