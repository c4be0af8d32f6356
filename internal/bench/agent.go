package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"

	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/sink"
	"broadside/internal/wire"
)

// A usage is what an agent answers: what its process has used so far.
type usage struct {
	Listening string        `json:"listening,omitempty"` // the address of a sink or a distance
	CPU       time.Duration `json:"cpu"`
	Memory    int64         `json:"memory"` // resident, at its highest
	Mallocs   uint64        `json:"mallocs"`
	Allocated uint64        `json:"allocated"`
	Accepted  int64         `json:"accepted"` // messages, by the sink
	Bytes     int64         `json:"bytes"`    // of these
}

// Agent is a child of a measurement:
//
//	worker DIR [PROFILE]   sends as `broadside worker` does, configured by DIR/broadside.yaml
//	sink                   takes all mail
//	distance ADDR RTT      leads to the server at ADDR as if it were RTT away
//
// For each line that it reads it writes what it has used so far, as one line of
// JSON; it ends when there is nothing more to read, or with ctx.
func Agent(ctx context.Context, args []string, in io.Reader, out io.Writer, log *slog.Logger) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	switch {
	case len(args) >= 2 && args[0] == "worker":
		return workerAgent(ctx, stop, args[1:], in, out, log)
	case len(args) == 1 && args[0] == "sink":
		return sinkAgent(ctx, stop, in, out, log)
	case len(args) == 3 && args[0] == "distance":
		return distanceAgent(ctx, stop, args[1], args[2], in, out)
	}
	return fmt.Errorf("agent of a measurement: found %q, expected worker DIR, sink or distance ADDR RTT", args)
}

func workerAgent(ctx context.Context, stop func(), args []string, in io.Reader, out io.Writer, log *slog.Logger) (err error) {
	cfg, err := configs.Load(ctx, configs.Options{Dir: args[0]})
	if err != nil {
		return err
	}
	a, err := app.Open(ctx, cfg, app.Options{Log: log, Sends: true})
	if err != nil {
		return err
	}
	defer within(&err, a.Close)
	if len(args) > 1 {
		finish, err := profile(args[1])
		if err != nil {
			return err
		}
		defer within(&err, finish)
	}
	return serve(ctx, stop, in, out, a.Work, func(*usage) {})
}

func sinkAgent(ctx context.Context, stop func(), in io.Reader, out io.Writer, log *slog.Logger) error {
	s, err := sink.Listen("127.0.0.1:0", sink.Config{Logger: log})
	if err != nil {
		return err
	}
	work := func(ctx context.Context) error {
		s.Serve(ctx)
		return nil
	}
	return serve(ctx, stop, in, out, work, func(u *usage) {
		n := s.Counts()
		u.Listening, u.Accepted, u.Bytes = s.Addr().String(), n.Accepted, n.Bytes
	})
}

func distanceAgent(ctx context.Context, stop func(), to, rtt string, in io.Reader, out io.Writer) error {
	away, err := time.ParseDuration(rtt)
	if err != nil {
		return fmt.Errorf("agent of a measurement: round-trip time: %w", err)
	}
	w, err := wire.Listen(to, away)
	if err != nil {
		return err
	}
	return serve(ctx, stop, in, out, w.Serve, func(u *usage) { u.Listening = w.Addr() })
}

// serve runs the agent's work and answers questions at the same time.
func serve(ctx context.Context, stop func(), in io.Reader, out io.Writer, work func(context.Context) error, add func(*usage)) error {
	asked := make(chan error, 1)
	// It ends with its input: that of a child is a pipe, which its parent closes.
	go func() {
		asked <- answer(in, out, add)
		stop()
	}()
	err := work(ctx)
	if ctx.Err() == nil {
		return err // by itself: the parent sees the pipe closed
	}
	select {
	case e := <-asked:
		return errors.Join(err, e)
	default: // ctx ended before the input
		return err
	}
}

func answer(in io.Reader, out io.Writer, add func(*usage)) error {
	enc := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u := usage{Mallocs: m.Mallocs, Allocated: m.TotalAlloc}
		u.CPU, u.Memory = consumed()
		add(&u)
		if err := enc.Encode(u); err != nil {
			return fmt.Errorf("answer the measurement: %w", err)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the question of the measurement: %w", err)
	}
	return nil
}

// profile begins a CPU profile. finish ends it, and writes the allocation profile
// next to it.
func profile(file string) (finish func() error, err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, fmt.Errorf("write the profile: %w", err)
	}
	cpu, err := os.Create(file + ".cpu.pprof")
	if err != nil {
		return nil, fmt.Errorf("write the profile: %w", err)
	}
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return nil, errors.Join(fmt.Errorf("profile: %w", err), cpu.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		allocs, err := os.Create(file + ".allocs.pprof")
		if err == nil {
			err = errors.Join(pprof.Lookup("allocs").WriteTo(allocs, 0), allocs.Close())
		}
		return errors.Join(err, cpu.Close())
	}, nil
}
