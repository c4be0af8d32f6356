package feedback

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

// How long and how much a replayer remembers. A Redis that writes to disk every
// second loses seconds when it dies; a replica that takes over lacks what was on
// its way. Ten minutes are far more than either.
const (
	askEvery     = time.Second
	askWithin    = 2 * time.Second  // for one question to the store
	replayWithin = 20 * time.Second // for one replay
	keepFor      = 10 * time.Minute // since the entry was last acknowledged
	keepMost     = 10_000           // entries, about 3 MB
	confirmFor   = time.Minute      // how long an entry is added again until it lasts
	repeatAfter  = 30 * time.Second // see replayer.repeatAt
)

// A replayer remembers the entries that were acknowledged last, and adds them
// again when the store may have forgotten them: when it is another server than
// the one that acknowledged them, or the same one after a restart. It is safe
// for concurrent use.
type replayer struct {
	suppression Suppressor
	server      func(context.Context) (string, suppression.Barrier, error)
	log         *slog.Logger

	mu       sync.Mutex
	serverID string              // of the server that was seen last; guarded by mu, like all below
	barrier  suppression.Barrier // that this server offers
	recent   *list.List          // of *acknowledged, the oldest first
	byKey    map[entryKey]*list.Element

	// repeatAt is when everything is replayed a second time after a change of
	// servers: until then a pooled connection may have led to the old one. Zero
	// means that no second replay is due.
	repeatAt time.Time

	failed bool // the last replay failed, and the log says so
	full   bool // entries were forgotten for lack of room, and the log says so
}

// An entryKey is what two entries of the same address and scope have in common.
// They take one place among those that are remembered, however often a link is
// used, so that it cannot push out the others.
type entryKey struct {
	address [32]byte
	scope   string
}

// An acknowledged entry is one that a server has promised to keep.
type acknowledged struct {
	key      entryKey
	entry    suppression.Entry
	at       time.Time
	serverID string // the server that was in charge when the entry was added or replayed last
	lasting  bool   // the entry is behind the barrier
	warned   bool   // the log says that the entry may not last
}

func newReplayer(to Suppressor, server func(context.Context) (string, suppression.Barrier, error), log *slog.Logger) *replayer {
	return &replayer{suppression: to, server: server, log: log, recent: list.New(), byKey: map[entryKey]*list.Element{}}
}

// current returns the server that was seen last and the barrier that it offers.
func (r *replayer) current() (suppression.Barrier, string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.barrier, r.serverID
}

// remember puts an entry that was acknowledged at the end of the recent ones, in
// place of an earlier one with the same key, and reports whether there was none.
func (r *replayer) remember(ctx context.Context, e suppression.Entry, serverID string, noted suppression.Noted) (first bool) {
	a := &acknowledged{key: keyOf(e), entry: e, at: time.Now(), serverID: serverID, lasting: noted.Lasting}
	r.mu.Lock()
	defer r.mu.Unlock()

	earlier, known := r.byKey[a.key]
	if known {
		a.warned = earlier.Value.(*acknowledged).warned && noted.Added == 0
		r.forget(earlier)
	}

	if r.recent.Len() >= keepMost {
		r.makeRoom(ctx)
	}

	r.byKey[a.key] = r.recent.PushBack(a)

	if !a.lasting && !a.warned {
		a.warned = true
		// Where the log is kept, this line is a second journal: suppression import
		// takes the hash.
		r.log.WarnContext(ctx, "suppression not confirmed to last", "sha256", hex.EncodeToString(a.key.address[:]),
			"scope", e.Scope, "run", e.Run, "at", e.At.UTC())
	}

	return !known
}

// makeRoom forgets the oldest entry; r.mu is held.
func (r *replayer) makeRoom(ctx context.Context) {
	if !r.full {
		r.full = true
		r.log.WarnContext(ctx, "more suppressions than can be kept to add them again: the oldest are in redis alone", "kept", keepMost)
	}
	r.forget(r.recent.Front())
}

// forget forgets an entry; r.mu is held.
func (r *replayer) forget(e *list.Element) {
	delete(r.byKey, e.Value.(*acknowledged).key)
	r.recent.Remove(e)
}

// keyOf returns the key of an entry that was added.
func keyOf(e suppression.Entry) entryKey {
	a, err := address.Parse(e.Address)
	if err != nil { // the list accepts no such entry
		return entryKey{address: address.Hash(e.Address), scope: e.Scope}
	}
	return entryKey{address: a.Hash(), scope: e.Scope}
}

// run asks about the store until ctx ends.
func (r *replayer) run(ctx context.Context) {
	if r.server == nil {
		return
	}

	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for {
		r.check(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// check asks which server is in charge, adds again what it may lack, and forgets
// entries that are old enough.
func (r *replayer) check(ctx context.Context) {
	ask, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	id, barrier, err := r.server(ask)
	if err != nil {
		r.log.DebugContext(ctx, "store not seen", "err", err)
		return
	}

	due, repeated := r.due(id, barrier, time.Now())
	if len(due) > 0 && !r.replay(ctx, id, barrier, due) {
		return // no entry is forgotten before it was replayed
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	if repeated {
		r.repeatAt = time.Time{}
	}

	old := time.Now().Add(-keepFor)
	for e := r.recent.Front(); e != nil && e.Value.(*acknowledged).at.Before(old); e = r.recent.Front() {
		r.forget(e)
		r.full = false
	}
}

// due returns the entries that are to be added again, and whether that is the
// second replay after a change of servers.
func (r *replayer) due(id string, b suppression.Barrier, now time.Time) (due []*acknowledged, repeated bool) {
	r.mu.Lock()
	defer r.mu.Unlock()

	if r.serverID != "" && r.serverID != id {
		r.log.Warn("redis was restarted or replaced: suppressions are replayed", "kept", r.recent.Len())
		r.repeatAt = now.Add(repeatAfter)
	}

	r.serverID = id
	r.barrier = b

	repeated = !r.repeatAt.IsZero() && !now.Before(r.repeatAt)
	for at := r.recent.Front(); at != nil; at = at.Next() {
		a := at.Value.(*acknowledged)
		unconfirmed := !a.lasting && now.Sub(a.at) < confirmFor
		if repeated || a.serverID != id || unconfirmed {
			due = append(due, a)
		}
	}

	return due, repeated
}

// replay adds entries again and reports whether that succeeded.
func (r *replayer) replay(ctx context.Context, id string, b suppression.Barrier, due []*acknowledged) bool {
	ctx, cancel := context.WithTimeout(ctx, replayWithin)
	defer cancel()
	entries := make([]suppression.Entry, len(due))
	for i, a := range due {
		entries[i] = a.entry // never changed after remember
	}

	noted, err := r.suppression.Replay(ctx, b, entries...)

	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		if !r.failed {
			r.log.WarnContext(ctx, "suppressions not replayed yet", "kept", len(due), "err", err)
		}
		r.failed = true
		return false
	}

	if r.failed || noted.Added > 0 {
		r.log.InfoContext(ctx, "suppressions replayed", "kept", len(due), "missing", noted.Added)
	}

	r.failed = false
	for _, a := range due {
		a.serverID = id
		a.lasting = noted.Lasting
	}

	return true
}
