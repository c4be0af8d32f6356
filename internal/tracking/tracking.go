// Package tracking counts what readers do with letters whose campaign asks for it: opens,
// which are requests for a picture, and clicks, which are requests for a link.
//
// What it promises:
//
//   - No one who asks waits for it: Count puts a visit into memory and returns.
//   - No address of a reader is stored, and neither is where a request came from. A reader
//     is a part and an index, and of those only sketches are kept (HyperLogLog), and for
//     ten seconds the clicks that are not judged yet.
//   - What machines do is counted apart, with the reason: see Judge, and CountHits in
//     campaign/ledger for a machine that follows every link.
//   - Counts go to Redis every second, and at the end of Run. A process that is killed
//     loses the last second. While Redis is away up to 20,000 visits wait; what comes on
//     top is not counted, and the log says so once.
//
// The numbers are about right and no more: a second whose answer from Redis was lost may be
// counted twice.
package tracking

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/token"
	"broadside/internal/outage"
)

const (
	// flushEvery is how often counts go to Redis.
	flushEvery = time.Second
	// flushWithin bounds one flush, and the last one.
	flushWithin = 3 * time.Second
	// maxWaiting is how many hits wait for Redis.
	maxWaiting = 20_000
	// unknownFor is how long a reference is remembered that belongs to no run.
	unknownFor = time.Minute
	// maxUnknown is how many of these are remembered.
	maxUnknown = 10_000
	// lookedAtFirst is how many runs may have clicks that an earlier process held.
	lookedAtFirst = 10
)

// A Ledger has the runs, and their counts; *ledger.Ledger is one.
type Ledger interface {
	List(ctx context.Context, campaign string) ([]string, error)
	Record(ctx context.Context, id string) (*ledger.Record, error)
	CountHits(ctx context.Context, r *ledger.Run, hits []ledger.Hit, now time.Time) (held int64, counted int, err error)
}

// A Counter counts visits. It is safe for concurrent use.
type Counter struct {
	ledger Ledger
	outage *outage.Notice

	mu      sync.Mutex
	waiting map[string][]ledger.Hit // by the reference of the run
	size    int                     // of waiting, in hits
	lost    bool                    // there was no room for a hit since the last flush

	// Only the goroutine of Run uses what follows.
	runs    map[string]*ledger.Run // by reference; a run that became ready does not change
	unknown map[string]time.Time   // references of no run, and when that was found
	held    map[string]bool        // references of runs with clicks that are not judged yet
}

// New returns a counter. log may be nil.
func New(l Ledger, log *slog.Logger) *Counter {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Counter{
		ledger:  l,
		outage:  outage.NewNotice(log, "opens and clicks cannot be counted, and are kept for a while", "opens and clicks are counted again"),
		waiting: map[string][]ledger.Hit{}, runs: map[string]*ledger.Run{}, unknown: map[string]time.Time{}, held: map[string]bool{},
	}
}

// Count takes in a visit.
func (c *Counter) Count(v Visit) {
	hit := ledger.Hit{
		Place: ledger.Place{Part: v.Reader.Part, Index: v.Reader.Index}, Link: v.Link, Links: v.Links,
	}
	j := Judge(v)
	hit.Proxy = j.Proxy
	hit.Alone = j.Alone
	hit.Machine = j.Machine

	c.mu.Lock()
	defer c.mu.Unlock()
	if c.size >= maxWaiting {
		c.lost = true
		return
	}
	c.waiting[v.Reader.Ref] = append(c.waiting[v.Reader.Ref], hit)
	c.size++
}

// Run counts until ctx ends, and then what is left.
func (c *Counter) Run(ctx context.Context) {
	ticker := time.NewTicker(flushEvery)
	defer ticker.Stop()

	c.lookBack(ctx)
	for {
		select {
		case <-ctx.Done():
			c.flush(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
			c.flush(ctx)
		}
	}
}

// lookBack finds the runs that may have clicks which an earlier process held. Without an
// answer they are judged with the next click.
func (c *Counter) lookBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	ids, err := c.ledger.List(ctx, "")
	if err != nil {
		return
	}
	for _, id := range ids[:min(len(ids), lookedAtFirst)] {
		c.held[token.Ref(id)] = true
	}
}

// flush counts what waits, and has clicks judged whose time has come.
func (c *Counter) flush(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()

	c.mu.Lock()
	batch := c.waiting
	lost := c.lost
	c.waiting = map[string][]ledger.Hit{}
	c.size = 0
	c.lost = false
	c.mu.Unlock()

	for ref := range c.held {
		if batch[ref] == nil {
			batch[ref] = []ledger.Hit{}
		}
	}
	if len(batch) == 0 {
		return
	}

	var failed error
	for ref, hits := range batch {
		counted := 0
		if failed == nil {
			counted, failed = c.count(ctx, ref, hits)
		}
		if failed != nil {
			c.putBack(ref, hits[counted:])
		}
	}
	if lost {
		failed = errors.Join(failed, fmt.Errorf("more than %d wait: what comes on top is not counted", maxWaiting))
	}
	c.outage.Note(failed)
}

// count counts the hits of one run, and returns how many it has counted.
func (c *Counter) count(ctx context.Context, ref string, hits []ledger.Hit) (counted int, err error) {
	run, err := c.run(ctx, ref)
	if err != nil {
		return 0, err
	}
	delete(c.held, ref)
	if run == nil {
		return 0, nil // a test copy, or the run is forgotten
	}

	held, counted, err := c.ledger.CountHits(ctx, run, hits, time.Now())
	switch {
	case err != nil:
		c.held[ref] = true
		return counted, err
	case held < 0:
		delete(c.runs, ref)
		c.forget(ref)
	case held > 0:
		c.held[ref] = true
	}
	return counted, nil
}

// putBack keeps hits for the next flush, as far as there is room.
func (c *Counter) putBack(ref string, hits []ledger.Hit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fit := min(len(hits), maxWaiting-c.size)
	if fit < len(hits) {
		c.lost = true
	}
	if fit > 0 {
		c.waiting[ref] = append(c.waiting[ref], hits[:fit]...)
		c.size += fit
	}
}

// run returns the run of a reference; nil when there is none, or not any more.
func (c *Counter) run(ctx context.Context, ref string) (*ledger.Run, error) {
	if run := c.runs[ref]; run != nil {
		return run, nil
	}
	if at, ok := c.unknown[ref]; ok && time.Since(at) < unknownFor {
		return nil, nil
	}

	ids, err := c.ledger.List(ctx, "")
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		if token.Ref(id) != ref {
			continue
		}
		rec, err := c.ledger.Record(ctx, id)
		switch {
		case errors.Is(err, ledger.ErrNoRun) || campaign.IsBroken(err):
		case err != nil:
			return nil, err
		case rec.Handle() != nil:
			c.runs[ref] = rec.Handle()
			return c.runs[ref], nil
		}
	}
	c.forget(ref)
	return nil, nil
}

// forget remembers that there is no run with a reference.
func (c *Counter) forget(ref string) {
	if len(c.unknown) >= maxUnknown {
		clear(c.unknown)
	}
	c.unknown[ref] = time.Now()
}
