package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/internal/app"
	"broadside/internal/launch"
)

// open writes the configuration for a stage and opens the installation.
func (b *bench) open(ctx context.Context, s *server, smtp string) (*app.App, *campaign.Definition, error) {
	if err := b.configure(smtp, s.url, s.namespace); err != nil {
		return nil, nil, err
	}
	cfg, def, err := b.load(ctx)
	if err != nil {
		return nil, nil, err
	}
	a, err := app.Open(ctx, cfg, app.Options{Log: b.Log})
	return a, def, err
}

// expand launches a run that has no worker.
func (b *bench) expand(ctx context.Context) (res *Expand, err error) {
	redis, err := b.startRedis(ctx)
	if err != nil {
		return nil, err
	}
	defer within(&err, redis.stop)
	a, def, err := b.open(ctx, redis, "127.0.0.1:25")
	if err != nil {
		return nil, err
	}
	defer within(&err, a.Close)
	before, err := redis.read(ctx)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	launched, err := a.Launcher.Launch(ctx, def, launch.Options{})
	if err != nil {
		return nil, err
	}
	took := time.Since(start).Seconds()
	defer within(&err, func() error { return remove(ctx, a, launched.Run) })
	after, err := redis.read(ctx)
	if err != nil {
		return nil, err
	}
	chunks, err := chunkBytes(ctx, a, launched.Run)
	if err != nil {
		return nil, err
	}
	n := float64(b.Recipients)
	return &Expand{
		Rows: b.Recipients, Seconds: took, RowsPerS: n / took,
		ChunkBytes: chunks / n, RedisBytes: (after.memory - before.memory - chunks) / n,
	}, nil
}

// chunkBytes returns the size of the recipients of a run as they are stored.
func chunkBytes(ctx context.Context, a *app.App, id string) (float64, error) {
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return 0, err
	}
	run := rec.Handle()
	if run == nil {
		return 0, fmt.Errorf("run %s is %s", id, rec.State)
	}
	sum := 0
	for _, p := range run.Sizes {
		for first := 0; first < p.Size; first += audience.ChunkSize {
			data, err := a.Ledger.Chunk(ctx, run, p.Part, first)
			if err != nil {
				return 0, err
			}
			sum += len(data)
		}
	}
	return float64(sum), nil
}

// remove takes a run out of a Redis that stays.
func remove(ctx context.Context, a *app.App, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return err
	}
	if !rec.State.Over() {
		_, err := a.Ledger.Turn(ctx, id, campaign.RunCancelled, "measured", campaign.Running, campaign.Paused, campaign.Held)
		if run := rec.Handle(); run != nil {
			err = errors.Join(err, a.Ledger.Sweep(ctx, run))
		}
		if err != nil && !ledger.Gone(err) {
			return err
		}
	}
	return a.Ledger.Retire(ctx, rec, time.Second, time.Second)
}
