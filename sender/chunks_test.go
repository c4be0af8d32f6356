package sender

import (
	"fmt"
	"log/slog"
	"testing"

	"broadside/campaign"
	"broadside/campaign/audience"
)

// Runs that go on at the same time, each to all providers, have their recipients in memory
// as one has. What is not used any more goes first, and all that is kept is bounded.
func TestChunksOfRunsAtTheSameTime(t *testing.T) {
	t.Parallel()
	key := func(run, part, first int) string { return fmt.Sprintf("run-%d %d %d", run, part, first) }
	parts := len(campaign.Providers)
	for _, n := range []int{1, 2, 3, 40} {
		c := newRuns(nil, nil, slog.New(slog.DiscardHandler))
		for r := range n {
			c.known[fmt.Sprintf("run-%d", r)] = &run{}
		}
		loads := 0
		read := func(first int) {
			for r := range min(n, 3) {
				for part := range parts {
					if c.kept(key(r, part, first)) == nil {
						c.keep(key(r, part, first), &audience.Chunk{})
						loads++
					}
				}
			}
		}
		for range 5 {
			read(0)
		}
		for range 5 {
			read(audience.ChunkSize)
		}
		if want := 2 * min(n, 3) * parts; loads != want {
			t.Errorf("%d runs: chunks are loaded %d times, want each once: %d", n, loads, want)
		}
		if len(c.chunks) > maxChunks {
			t.Errorf("%d runs: %d chunks are kept", n, len(c.chunks))
		}

		c.forget("run-0")
		if c.known["run-0"] != nil || c.kept(key(0, 0, audience.ChunkSize)) != nil {
			t.Errorf("%d runs: something of a run that is over is kept", n)
		}
	}
}
