package main

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/internal/bench"
	"broadside/internal/testkit"
)

// sent returns a result of sending with an AOF.
func sent(recipients, connections int, perS, other float64) *bench.Result {
	s := &bench.Send{Sink: bench.SinkPostfix, Messages: recipients, PerS: perS, SinkCPU: 50, WorkerCPU: 55, RedisCPU: 40, WorkerOfSink: 1.1, RedisOfSink: 0.8, WorkerMemory: 90 << 20}
	if other > 0 {
		s.SMTPSource = &bench.SMTPSource{PerS: other, Ratio: perS / other}
	}
	return &bench.Result{Command: "broadside bench send", Recipients: recipients, Connections: connections, AOF: true, Send: s}
}

func TestFiguresStandBesideWhatTheyShouldBe(t *testing.T) {
	t.Parallel()
	million := sent(1_000_000, 50, 7000, 0)
	million.AOF, million.Expand = false, &bench.Expand{RowsPerS: 299_999, ChunkBytes: 30}
	million.Send.FirstMillis, million.Send.RedisTotal = 1500, 64*1.048576
	inStep := sent(400, 3, 14, 0)
	r := &setResult{Figures: figures(map[string]*bench.Result{
		nameLong: sent(200_000, 50, 7000, 10_000), nameShort: sent(20_000, 50, 6000, 10_000),
		nameRedis: sent(30_000, 50, 4500, 9000), nameFar: sent(600, 3, 49, 14), nameInStep: inStep, nameFarMany: sent(10_000, 50, 812.4, 0),
		nameRender: {Render: &bench.Render{Micros: 40.01, Allocs: 10}}, nameEnqueue: {Enqueue: &bench.Enqueue{PerS: 31_000}},
		nameMillion: million,
	})}
	got := map[string]string{}
	for _, row := range r.Rows() {
		key := row[0] + "; " + row[1]
		if _, ok := got[key]; ok {
			t.Errorf("%s is there twice", key)
		}
		got[key] = row[2] + "; " + row[3]
	}
	for key, want := range map[string]string{
		nameLong + "; messages":                                    "7,000 /s; ",
		nameLong + "; messages, of smtp-source's":                  "0.70; at least 0.8: missed",
		nameLong + "; CPU, worker, of the sink's":                  "1.10; at most 1.2",
		nameLong + "; CPU, Redis, of the sink's":                   "0.80; at most 0.6: missed",
		nameLong + "; worker memory, peak":                         "90 MB; at most 100",
		nameLong + "; messages/s, of those with 20,000 recipients": "1.17; ",
		nameLong + "; of smtp-source's, of the same with 20,000":   "1.17; at least 1",
		nameShort + "; smtp-source":                                "10,000 /s; ",
		nameRedis + "; messages":                                   "4,500 /s; at least 4,500",
		nameFar + "; messages":                                     "49 /s; at least 50: missed",
		nameFar + "; messages/s, of those with pipelining off":     "3.50; at least 3.5",
		nameInStep + "; messages":                                  "14 /s; ",
		nameFarMany + "; messages":                                 "812 /s; at least 800",
		nameRender + "; one message on one core":                   "40.0 us; at most 40: missed",
		nameRender + "; allocations":                               "10.0 a message; at most 10",
		nameEnqueue + "; tasks into the queue":                     "31,000 /s; ",
		nameMillion + "; import and expand":                        "299,999 rows/s; at least 300,000: missed",
		nameMillion + "; first message after the audience is in":   "1.50 s; at most 1: missed",
		nameMillion + "; Redis memory, all told, peak":             "64.0 MB; at most 64",
		nameMillion + "; messages, of which that is known":         "1,000,000; ",
		nameMillion + "; worker memory, peak":                      "90 MB; at most 100",
	} {
		if got[key] != want {
			t.Errorf("%s: got %q, want %q", key, got[key], want)
		}
	}
	if n := strings.Count(r.markdown(), "**"+nameLong+"**"); n != 1 {
		t.Errorf("%q is announced %d times", nameLong, n)
	}
	text, err := json.Marshal(r.Figures[2])
	if err != nil || !strings.Contains(string(text), `"at_least":0.8,"missed":true`) {
		t.Errorf("%s, %v", text, err)
	}
	if f := figures(nil); len(f) != 0 {
		t.Errorf("figures of nothing: %+v", f)
	}
}

func TestThousands(t *testing.T) {
	t.Parallel()
	for want, v := range map[string]float64{"0": 0, "999": 999, "1,000": 999.6, "-1,234,567": -1234567, "12,345": 12345, "-100": -100} {
		if got := thousands(v, 0); got != want {
			t.Errorf("%v is %q, want %q", v, got, want)
		}
	}
	if got := thousands(1234.567, 2); got != "1,234.57" {
		t.Errorf("got %q", got)
	}
}

func TestPointsOfPlots(t *testing.T) {
	t.Parallel()
	far, noAOF := sent(10_000, 50, 800, 0), sent(30_000, 50, 4500, 9000)
	far.RTT, noAOF.AOF = 50, false
	all := points([]*bench.Result{
		sent(200_000, 50, 7000, 9000), sent(20_000, 50, 6000, 8000), far, noAOF, sent(20_000, 10, 5000, 0), sent(4000, 1, 1000, 1100), {Render: &bench.Render{}},
	})
	var got [2][][3]float64
	for i, dots := range all {
		for _, d := range dots {
			got[i] = append(got[i], [3]float64{d.x, d.ours, d.other})
		}
	}
	want := [2][][3]float64{
		{{1, 1000, 1100}, {10, 5000, 0}, {50, 6000, 8000}},
		{{20_000, 6000, 8000}, {200_000, 7000, 9000}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestSetsCoverTheirPlots(t *testing.T) {
	t.Parallel()
	var connections, recipients []float64
	var results []*bench.Result
	for _, m := range measurements() {
		o := bench.Defaults()
		m.change(&o)
		if _, err := o.Command(); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if o.Stages[0] == bench.StageSend {
			results = append(results, &bench.Result{Recipients: o.Recipients, Connections: o.Connections, AOF: o.AOF, RTT: o.RTT.Seconds(), Send: &bench.Send{}})
		}
	}
	all := points(results)
	for _, d := range all[0] {
		connections = append(connections, d.x)
	}
	for _, d := range all[1] {
		recipients = append(recipients, d.x)
	}
	if diff := cmp.Diff([]float64{1, 3, 10, 25, 50}, connections); diff != "" {
		t.Errorf("connections: -want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]float64{20_000, 50_000, 100_000, 200_000}, recipients); diff != "" {
		t.Errorf("recipients: -want +got:\n%s", diff)
	}
}

func TestSetMeasuresAndSaysWhat(t *testing.T) {
	t.Parallel()
	testkit.NeedsServer(t)
	o := options(t)
	var said []string
	o.Say = func(text string) { said = append(said, text) }
	o.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all := []measurement{
		sends("3 connections", 60, func(o *bench.Options) { o.AOF, o.Connections = true, 3 }),
		sends(nameShort, 50, func(o *bench.Options) { o.AOF = true }),
		{nameExpand, func(o *bench.Options) { o.Stages, o.Recipients = []string{bench.StageExpand}, 100 }},
	}
	r, err := measureAll(ctx, o, setQuick, all)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Results) != 3 || len(r.points[0]) != 2 || len(r.points[1]) != 1 || len(r.Figures) != 5 {
		t.Errorf("%d results, %d and %d points, %d figures", len(r.Results), len(r.points[0]), len(r.points[1]), len(r.Figures))
	}
	for _, f := range r.Figures {
		if f.wanted() != "" || f.text() == "" {
			t.Errorf("figure of a quick set: %+v", f)
		}
	}
	if len(said) == 0 || !strings.HasPrefix(said[0], "1 of 3, after 0s: broadside bench send --recipients 60 --size 12288 --connections 3 --aof") {
		t.Errorf("said %q", said)
	}
	stopped, stop := context.WithCancel(ctx)
	stop()
	if _, err := measureAll(stopped, o, setQuick, all); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: got %v", err)
	}
}

func options(t *testing.T) bench.Options {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := bench.Defaults()
	o.Size = 12 << 10
	o.Agent = []string{self, "agent"}
	return o
}

func TestQuickIsShort(t *testing.T) {
	t.Parallel()
	for _, m := range measurements() {
		o := bench.Defaults()
		m.change(&o)
		long := o
		quick(&o)
		if o.Recipients > 5000 || o.Recipients < o.Connections || o.For > time.Second || long.For == 0 && o.For != 0 {
			t.Errorf("%s: %d recipients, %d connections, for %v", m.name, o.Recipients, o.Connections, o.For)
		}
	}
}
