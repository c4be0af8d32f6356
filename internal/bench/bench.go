package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"broadside/internal/app"
)

// The stages, in the order in which they run.
const (
	StageExpand  = "expand"
	StageEnqueue = "enqueue"
	StageRender  = "render"
	StageSend    = "send"
)

// Stages lists all stages.
var Stages = []string{StageExpand, StageEnqueue, StageRender, StageSend}

// The SMTP servers that can be started.
const (
	SinkPostfix = "smtp-sink" // Postfix's, which throws messages away
	SinkOwn     = "own"       // ours, which counts them
)

// Options of a measurement. The zero value of each, but of Agent, is usable.
type Options struct {
	Recipients  int           // default 100,000
	Fields      int           // of each recipient beside the address; default 12, which is the most
	Size        int           // bytes of one message; default 20 KiB
	Connections int           // to the SMTP server, over all workers; default 50
	Workers     int           // worker processes; default 1
	Pipelining  string        // of the account: auto (default), envelope or off
	Sink        string        // what is started: SinkPostfix or SinkOwn; default: Postfix's where it is installed
	SMTP        string        // host:port on this machine; empty: a sink is started
	RTT         time.Duration // added to the way to the sink
	Redis       string        // its URL; empty: a redis-server is started
	RedisRTT    time.Duration // added to the workers' way to the started redis-server
	AOF         bool          // the started redis-server writes an AOF, everysec
	For         time.Duration // sending is stopped after this; 0: when all is sent
	Alone       bool          // smtp-source does not send
	Stages      []string      // default: all
	ProfileDir  string        // where each worker leaves its profiles; empty: none

	// Agent is the command that runs Agent with the arguments after it.
	Agent  []string
	Stderr io.Writer    // of the children; nil discards it
	Say    func(string) // told what begins; nil: nobody
	Log    *slog.Logger // nil discards it
}

const (
	defaultRecipients  = 100_000
	defaultFields      = 12
	defaultSize        = 20 << 10
	defaultConnections = 50
	defaultWorkers     = 1
	defaultPipelining  = "auto"
)

// withDefaults fills in what was left open, and checks the rest.
func (o Options) withDefaults() (Options, error) {
	for _, d := range []struct {
		name  string
		field *int
		def   int
		limit int
	}{
		{"recipients", &o.Recipients, defaultRecipients, 50_000_000},
		{"fields", &o.Fields, defaultFields, defaultFields},
		{"size", &o.Size, defaultSize, 1 << 20},
		{"connections", &o.Connections, defaultConnections, 1000},
		{"workers", &o.Workers, defaultWorkers, 64},
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
	if o.Pipelining == "" {
		o.Pipelining = defaultPipelining
	}
	if err := o.check(); err != nil {
		return o, err
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

// check refuses values that mean nothing, alone or together.
func (o Options) check() error {
	for _, s := range o.Stages {
		if !slices.Contains(Stages, s) {
			return fmt.Errorf("%w: stage %q, expected %s", app.ErrInvalid, s, strings.Join(Stages, ", "))
		}
	}
	switch {
	case !slices.Contains([]string{"auto", "envelope", "off"}, o.Pipelining):
		return fmt.Errorf("%w: pipelining %q, expected auto, envelope or off", app.ErrInvalid, o.Pipelining)
	case o.Sink != "" && o.Sink != SinkPostfix && o.Sink != SinkOwn:
		return fmt.Errorf("%w: sink %q, expected %s or %s", app.ErrInvalid, o.Sink, SinkPostfix, SinkOwn)
	case o.Sink != "" && o.SMTP != "":
		return fmt.Errorf("%w: either a sink is started or an SMTP server is named", app.ErrInvalid)
	case o.RTT != 0 && o.SMTP != "":
		return fmt.Errorf("%w: a round-trip time is added on the way to a sink that is started, not to a named SMTP server", app.ErrInvalid)
	case o.RedisRTT != 0 && o.Redis != "":
		return fmt.Errorf("%w: a round-trip time is added on the way to a redis-server that is started, not to a named one", app.ErrInvalid)
	case o.RTT < 0 || o.RedisRTT < 0 || o.For < 0:
		return fmt.Errorf("%w: a time is below zero", app.ErrInvalid)
	}
	return nil
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
	b := &bench{Options: o, dir: dir, secret: rand.Text() + rand.Text()}
	res := &Result{
		At: time.Now().UTC().Truncate(time.Second), Machine: machine(), Command: o.command(),
		Recipients: o.Recipients, Fields: o.Fields, Connections: o.Connections, Workers: o.Workers, Pipelining: o.Pipelining,
		RTT: o.RTT.Seconds() * 1000, RedisRTT: o.RedisRTT.Seconds() * 1000, AOF: o.AOF,
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
		case StageEnqueue:
			res.Enqueue, err = b.enqueue(ctx)
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
	dir    string // of the project
	size   int    // bytes of the message that was made
	secret string // of the project
}

// within closes what a stage opened, and adds what that says to its error.
func within(err *error, close func() error) { *err = errors.Join(*err, close()) }
