package app

import (
	"context"
	"io"

	"broadside/campaign/sources"
	"broadside/scheduler"
)

// Sources are where a campaign is read from. stored has its files when it is scheduled,
// and is nil when they are on disk.
func (a *App) Sources(stored *scheduler.Schedule) sources.Sources {
	s := sources.Sources{Lists: a.Lists, Runs: a.Runs}
	if stored != nil {
		s.Stored = func(ctx context.Context, key string) (io.ReadCloser, error) {
			return a.schedules.Open(ctx, stored, key)
		}
	}
	return s
}
