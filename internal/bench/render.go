package bench

import (
	"context"
	"runtime"
	"time"

	"broadside/templates/compose"
)

// renderTime is how long messages are made.
const renderTime = 2 * time.Second

// render makes the messages of the first recipients, again and again, on one
// goroutine.
func (b *bench) render(ctx context.Context) (*Render, error) {
	c, rows, err := b.composer(ctx, 1000)
	if err != nil {
		return nil, err
	}
	var d compose.Draft
	for i, row := range rows { // buffers grow, pools fill
		if err := c.Compose(&d, recipient(i, row)); err != nil {
			return nil, err
		}
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n, start := 0, time.Now()
	for time.Since(start) < renderTime {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		for i, row := range rows {
			if err := c.Compose(&d, recipient(i, row)); err != nil {
				return nil, err
			}
		}
		n += len(rows)
	}
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	per := 1 / float64(n)
	return &Render{
		Messages: n, Micros: float64(took.Microseconds()) * per,
		Allocs: float64(after.Mallocs-before.Mallocs) * per, AllocBytes: float64(after.TotalAlloc-before.TotalAlloc) * per,
	}, nil
}
