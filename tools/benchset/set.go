package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"broadside/internal/bench"
)

// The sets of measurements.
const (
	setStandard = "standard" // what docs/performance.md has; some five minutes
	setQuick    = "quick"    // the same with few messages: whether all of it works, not how fast
)

var sets = []string{setStandard, setQuick}

// A setResult is what a set of measurements found.
type setResult struct {
	Set     string          `json:"set"`
	At      time.Time       `json:"at"`
	Seconds float64         `json:"seconds"` // that all of it took
	Machine bench.Machine   `json:"machine"`
	Figures []figure        `json:"figures"`
	Results []*bench.Result `json:"results"`

	points [2][]dot // of the plots: over connections, over recipients
}

// A measurement is one of a set.
type measurement struct {
	name   string
	change func(*bench.Options)
}

// The names of measurements; those of the points of plots are numbered.
const (
	nameLong    = "200,000 recipients"
	nameShort   = "20,000 recipients"
	nameRedis   = "Redis 1 ms away"
	nameFar     = "3 connections, 50 ms"
	nameInStep  = "3 connections, 50 ms, pipelining off"
	nameFarMany = "50 connections, 50 ms"
	nameRender  = "render"
	nameEnqueue = "enqueue"
	nameExpand  = "1,000,000 recipients, 12 fields"
	nameMillion = "1,000,000 recipients, 2 fields"
)

// sends returns a measurement of sending.
func sends(name string, recipients int, change func(*bench.Options)) measurement {
	return measurement{name, func(o *bench.Options) {
		o.Stages, o.Recipients = []string{bench.StageSend}, recipients
		change(o)
	}}
}

// measurements returns those of the sets, in the order in which they are made.
func measurements() []measurement {
	withAOF := func(o *bench.Options) { o.AOF = true }
	over := func(n, recipients int) measurement {
		return sends(fmt.Sprintf("%d connections", n), recipients, func(o *bench.Options) { o.AOF, o.Connections = true, n })
	}
	far := func(connections int, pipelining string) func(*bench.Options) {
		return func(o *bench.Options) {
			o.RTT, o.Connections, o.Pipelining = 50*time.Millisecond, connections, pipelining
		}
	}
	alone := func(stage string, recipients int) func(*bench.Options) {
		return func(o *bench.Options) { o.Stages, o.Recipients = []string{stage}, recipients }
	}
	return []measurement{
		sends(nameLong, 200_000, withAOF),
		sends(nameShort, 20_000, withAOF),
		sends("50,000 recipients", 50_000, withAOF),
		sends("100,000 recipients", 100_000, withAOF),
		over(1, 4000), over(3, 8000), over(10, 20_000), over(25, 20_000),
		sends(nameRedis, 30_000, func(o *bench.Options) { o.RedisRTT = time.Millisecond }),
		sends(nameFar, 600, far(3, "auto")),
		sends(nameInStep, 400, func(o *bench.Options) { far(3, "off")(o); o.Alone = true }),
		sends(nameFarMany, 10_000, far(50, "auto")),
		{nameRender, alone(bench.StageRender, 1000)},
		{nameEnqueue, alone(bench.StageEnqueue, 100_000)},
		{nameExpand, alone(bench.StageExpand, 1_000_000)},
		sends(nameMillion, 1_000_000, func(o *bench.Options) {
			o.Stages, o.Fields, o.For, o.Alone = []string{bench.StageExpand, bench.StageSend}, 2, 30*time.Second, true
		}),
	}
}

// quick makes a measurement short.
func quick(o *bench.Options) {
	o.Recipients = max(o.Recipients/200, 40, o.Connections)
	o.For = min(o.For, time.Second)
}

// runSet makes the measurements of a set, one after another. Of o only those
// options count that say how to measure, not what.
func runSet(ctx context.Context, o bench.Options, set string) (*setResult, error) {
	all := measurements()
	switch set {
	case setStandard:
	case setQuick:
		for i, m := range all {
			all[i].change = func(o *bench.Options) { m.change(o); quick(o) }
		}
	default:
		return nil, fmt.Errorf("found the set %q, expected %s", set, strings.Join(sets, " or "))
	}
	return measureAll(ctx, o, set, all)
}

func measureAll(ctx context.Context, o bench.Options, set string, all []measurement) (*setResult, error) {
	start, say := time.Now(), o.Say
	res := &setResult{Set: set, At: start.UTC().Truncate(time.Second)}
	found := map[string]*bench.Result{}
	for i, m := range all {
		one := o
		m.change(&one)
		one.Say = func(text string) { say("  " + text) }
		command, err := one.Command()
		if err != nil {
			return nil, err
		}
		say(fmt.Sprintf("%d of %d, after %s: %s", i+1, len(all), time.Since(start).Round(time.Second), command))
		r, err := bench.Run(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		found[m.name] = r
		res.Machine = r.Machine
		res.Results = append(res.Results, r)
	}
	res.Figures, res.points = figures(found), points(res.Results)
	if set == setQuick { // of so few messages nothing is wanted but that they arrive
		res.wantNothing()
	}
	res.Seconds = time.Since(start).Seconds()
	return res, nil
}

func (r *setResult) wantNothing() {
	for i := range r.Figures {
		f := &r.Figures[i]
		f.AtLeast, f.AtMost, f.Missed = nil, nil, false
	}
}
