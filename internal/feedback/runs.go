package feedback

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/token"
)

const (
	// listedFor is how long the list of runs is taken for the newest.
	listedFor = time.Second
	// unknownFor is how long a reference is remembered that belongs to no run: its
	// message had left before the list was read, so that no later one has it.
	unknownFor = time.Minute
	// maxUnknown is how many of these are remembered.
	maxUnknown = 10_000
)

// runs are the runs that notices can be about. A run that became ready does not change.
// It is safe for concurrent use.
type runs struct {
	ledger Ledger

	mu      sync.Mutex // also while the list is read: others wait for that
	ids     []string   // the newest first
	readAt  time.Time
	byRef   map[string]string // id by token.Ref
	ready   map[string]*ledger.Record
	unknown map[string]time.Time // references of no run, and when that was found
}

func newRuns(l Ledger) *runs {
	return &runs{ledger: l, byRef: map[string]string{}, ready: map[string]*ledger.Record{}, unknown: map[string]time.Time{}}
}

// byReference returns the run that a message token names; nil when it is gone.
func (r *runs) byReference(ctx context.Context, ref string) (*ledger.Record, error) {
	id, err := r.idOf(ctx, ref)
	if err != nil || id == "" {
		return nil, err
	}
	return r.record(ctx, id)
}

func (r *runs) idOf(ctx context.Context, ref string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if id, ok := r.byRef[ref]; ok {
		return id, nil
	}

	now := time.Now()
	if at, ok := r.unknown[ref]; ok && now.Sub(at) < unknownFor {
		return "", nil
	}
	if err := r.read(ctx, now); err != nil {
		return "", err
	}

	id, ok := r.byRef[ref]
	if !ok {
		if len(r.unknown) >= maxUnknown {
			clear(r.unknown)
		}
		r.unknown[ref] = now
	}
	return id, nil
}

// newest returns the ids of all runs, the newest first.
func (r *runs) newest(ctx context.Context) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Sub(r.readAt) < listedFor {
		return r.ids, nil
	}
	err := r.read(ctx, now)
	return r.ids, err
}

// read reads the list of runs; r.mu is held.
func (r *runs) read(ctx context.Context, now time.Time) error {
	ids, err := r.ledger.List(ctx, "")
	if err != nil {
		return fmt.Errorf("find the run of a message: %w", err)
	}

	r.ids = ids
	r.readAt = now
	listed := make(map[string]bool, len(ids))
	for _, id := range ids {
		listed[id] = true
	}

	known := make(map[string]bool, len(r.byRef))
	for ref, id := range r.byRef {
		known[id] = true
		if !listed[id] {
			delete(r.byRef, ref)
			delete(r.ready, id)
		}
	}
	for _, id := range ids {
		if !known[id] {
			r.byRef[token.Ref(id)] = id
		}
	}
	return nil
}

// record returns a run that became ready; nil when there is none, or none that can be
// read.
func (r *runs) record(ctx context.Context, id string) (*ledger.Record, error) {
	if id == "" {
		return nil, nil
	}

	r.mu.Lock()
	known := r.ready[id]
	r.mu.Unlock()
	if known != nil {
		return known, nil
	}

	rec, err := r.ledger.Record(ctx, id)
	if errors.Is(err, ledger.ErrNoRun) || campaign.IsBroken(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find the run of a message: %w", err)
	}
	if rec.Handle() == nil {
		return nil, nil
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.ready[id] = rec
	return rec, nil
}
