package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"broadside/internal/app"
)

// The stages, in the order in which they run.
const (
	StageExpand = "expand"
	StageRender = "render"
	StageSend   = "send"
)

// Stages lists all stages.
var Stages = []string{StageExpand, StageRender, StageSend}

// Options of a measurement. The zero value of each, but of Agent, is usable.
type Options struct {
	Recipients  int           // default 100,000
	Size        int           // bytes of one message; default 20 KiB
	Connections int           // to the SMTP server, over all workers; default 50
	Workers     int           // worker processes; default 1
	SMTP        string        // host:port on this machine; empty: a sink is started
	RTT         time.Duration // added to the way to the sink
	Redis       string        // its URL; empty: a redis-server is started
	AOF         bool          // the started redis-server writes an AOF, everysec
	Stages      []string      // default: all
	ProfileDir  string        // where each worker leaves its profiles; empty: none

	// Agent is the command that runs Agent with the arguments after it.
	Agent  []string
	Stderr io.Writer    // of the children; nil discards it
	Say    func(string) // told what begins; nil: nobody
	Log    *slog.Logger // nil discards it
}

func (o Options) withDefaults() (Options, error) {
	for _, d := range []struct {
		name  string
		field *int
		def   int
		limit int
	}{
		{"recipients", &o.Recipients, 100_000, 50_000_000},
		{"size", &o.Size, 20 << 10, 1 << 20},
		{"connections", &o.Connections, 50, 1000},
		{"workers", &o.Workers, 1, 64},
	} {
		if *d.field == 0 {
			*d.field = d.def
		}
		if *d.field < 1 || *d.field > d.limit {
			return o, fmt.Errorf("%w: %s is %d, expected 1 to %d", app.ErrInvalid, d.name, *d.field, d.limit)
		}
	}
	if len(o.Stages) == 0 {
		o.Stages = Stages
	}
	for _, s := range o.Stages {
		if !slices.Contains(Stages, s) {
			return o, fmt.Errorf("%w: stage %q, expected expand, render or send", app.ErrInvalid, s)
		}
	}
	if o.RTT != 0 && o.SMTP != "" {
		return o, fmt.Errorf("%w: a round-trip time is added on the way to the built-in sink only", app.ErrInvalid)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Stderr == nil {
		o.Stderr = io.Discard
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	return o, nil
}

// Run measures. What it started is gone when it returns.
func Run(ctx context.Context, o Options) (*Result, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "broadside-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the measurement: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{Options: o, dir: dir}
	res := &Result{
		Machine: machine(), Recipients: o.Recipients, Connections: o.Connections, Workers: o.Workers,
		RTT: o.RTT.Seconds() * 1000, AOF: o.AOF, At: time.Now().UTC().Truncate(time.Second),
	}
	o.Say(fmt.Sprintf("making a list of %d people and a letter of %d bytes", o.Recipients, o.Size))
	if err := b.write(ctx); err != nil {
		return nil, err
	}
	res.Size = b.size
	for _, stage := range Stages {
		if !slices.Contains(o.Stages, stage) {
			continue
		}
		o.Say(stage)
		switch stage {
		case StageExpand:
			res.Expand, err = b.expand(ctx)
		case StageRender:
			res.Render, err = b.render(ctx)
		case StageSend:
			res.Send, err = b.send(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("measure %s: %w", stage, err)
		}
	}
	return res, nil
}

// A bench is one measurement.
type bench struct {
	Options
	dir  string // of the project
	size int    // bytes of the message that was made
}

// within closes what a stage opened, and adds what that says to its error.
func within(err *error, close func() error) { *err = errors.Join(*err, close()) }
