package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
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

// Run measures. What it started is gone when it returns. Its error is an
// *OptionError where the options cannot be used.
func Run(ctx context.Context, o Options) (*Result, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "broadside-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the measurement: %w", err)
	}
	defer os.RemoveAll(dir)
	b := &bench{Options: o, dir: dir, secret: rand.Text() + rand.Text()}
	if err := b.reach(ctx); err != nil {
		return nil, err
	}
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
