package bench

import (
	"context"
	"fmt"
	"time"
)

// The sets of measurements.
const (
	SetStandard = "standard" // what docs/performance.md has; some five minutes
	SetQuick    = "quick"    // the same with few messages: whether all of it works, not how fast
)

// Sets lists all sets.
var Sets = []string{SetStandard, SetQuick}

// A SetResult is what a set of measurements found.
type SetResult struct {
	Set     string    `json:"set"`
	At      time.Time `json:"at"`
	Seconds float64   `json:"seconds"` // that all of it took
	Machine Machine   `json:"machine"`
	Figures []Figure  `json:"figures"`
	Results []*Result `json:"results"`

	points [2][]dot // of the plots: over connections, over recipients
}

// A measurement is one of a set.
type measurement struct {
	name   string
	change func(*Options)
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
func sends(name string, recipients int, change func(*Options)) measurement {
	return measurement{name, func(o *Options) {
		o.Stages, o.Recipients = []string{StageSend}, recipients
		change(o)
	}}
}

// measurements returns those of the sets, in the order in which they are made.
func measurements() []measurement {
	withAOF := func(o *Options) { o.AOF = true }
	over := func(n, recipients int) measurement {
		return sends(fmt.Sprintf("%d connections", n), recipients, func(o *Options) { o.AOF, o.Connections = true, n })
	}
	far := func(connections int, pipelining string) func(*Options) {
		return func(o *Options) { o.RTT, o.Connections, o.Pipelining = 50*time.Millisecond, connections, pipelining }
	}
	alone := func(stage string, recipients int) func(*Options) {
		return func(o *Options) { o.Stages, o.Recipients = []string{stage}, recipients }
	}
	return []measurement{
		sends(nameLong, 200_000, withAOF),
		sends(nameShort, 20_000, withAOF),
		sends("50,000 recipients", 50_000, withAOF),
		sends("100,000 recipients", 100_000, withAOF),
		over(1, 4000), over(3, 8000), over(10, 20_000), over(25, 20_000),
		sends(nameRedis, 30_000, func(o *Options) { o.RedisRTT = time.Millisecond }),
		sends(nameFar, 600, far(3, "auto")),
		sends(nameInStep, 400, func(o *Options) { far(3, "off")(o); o.Alone = true }),
		sends(nameFarMany, 10_000, far(50, "auto")),
		{nameRender, alone(StageRender, 1000)},
		{nameEnqueue, alone(StageEnqueue, maxTasks)},
		{nameExpand, alone(StageExpand, 1_000_000)},
		sends(nameMillion, 1_000_000, func(o *Options) {
			o.Stages, o.Fields, o.For, o.Alone = []string{StageExpand, StageSend}, 2, 30*time.Second, true
		}),
	}
}

// quick makes a measurement short.
func quick(o *Options) {
	o.Recipients = max(o.Recipients/200, 40, o.Connections)
	o.For = min(o.For, time.Second)
}

// RunSet makes the measurements of a set, one after another. Of o only those
// options count that say how to measure, not what.
func RunSet(ctx context.Context, o Options, set string) (*SetResult, error) {
	all := measurements()
	switch set {
	case SetStandard:
	case SetQuick:
		for i, m := range all {
			all[i].change = func(o *Options) { m.change(o); quick(o) }
		}
	default:
		return nil, wrong("set", "found %q, expected %s or %s", set, SetStandard, SetQuick)
	}
	return runSet(ctx, o, set, all)
}

func runSet(ctx context.Context, o Options, set string, all []measurement) (*SetResult, error) {
	start, say := time.Now(), o.Say
	if say == nil {
		say = func(string) {}
	}
	res := &SetResult{Set: set, At: start.UTC().Truncate(time.Second), Machine: machine()}
	found := map[string]*Result{}
	for i, m := range all {
		one := o
		m.change(&one)
		one, err := one.checked()
		if err != nil {
			return nil, err
		}
		say(fmt.Sprintf("%d of %d, after %s: %s", i+1, len(all), time.Since(start).Round(time.Second), one.command()))
		one.Say = func(text string) { say("  " + text) }
		r, err := Run(ctx, one)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", m.name, err)
		}
		found[m.name] = r
		res.Results = append(res.Results, r)
	}
	res.Figures, res.points = figures(found), points(res.Results)
	if set == SetQuick { // of so few messages nothing is wanted but that they arrive
		for i := range res.Figures {
			f := &res.Figures[i]
			f.AtLeast, f.AtMost, f.Missed = nil, nil, false
		}
	}
	res.Seconds = time.Since(start).Seconds()
	return res, nil
}
