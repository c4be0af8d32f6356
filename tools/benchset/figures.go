package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"broadside/internal/bench"
)

// A figure is one number that a set found, and what it should be.
type figure struct {
	Of      string   `json:"of"` // the measurement
	What    string   `json:"what"`
	Value   float64  `json:"value"`
	Unit    string   `json:"unit"`
	AtLeast *float64 `json:"at_least,omitempty"`
	AtMost  *float64 `json:"at_most,omitempty"`
	Missed  bool     `json:"missed,omitempty"` // the value is not what it should be
	Command string   `json:"command"`

	decimals int
}

// text returns the value as it is printed.
func (f *figure) text() string {
	return strings.TrimSpace(thousands(f.Value, f.decimals) + " " + f.Unit)
}

// wanted says what the value should be, and whether it is not.
func (f *figure) wanted() string {
	var text string
	switch {
	case f.AtLeast != nil:
		text = "at least " + short(*f.AtLeast)
	case f.AtMost != nil:
		text = "at most " + short(*f.AtMost)
	}
	if f.Missed {
		text += ": missed"
	}
	return text
}

// short prints a limit without zeros at its end.
func short(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	_, fraction, _ := strings.Cut(text, ".")
	return thousands(v, len(fraction))
}

// thousands prints a number with a comma between groups of three digits.
func thousands(v float64, decimals int) string {
	digits, fraction, _ := strings.Cut(strconv.FormatFloat(v, 'f', decimals, 64), ".")
	digits, minus := strings.CutPrefix(digits, "-")
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if minus {
		digits = "-" + digits
	}
	if fraction != "" {
		digits += "." + fraction
	}
	return digits
}

// A figureList collects the figures of the measurements that were made.
type figureList struct {
	found map[string]*bench.Result
	list  []figure
}

// add appends a figure of the measurement of, which was made.
func (l *figureList) add(of, what string, value float64, decimals int, unit string, wanted ...func(*figure)) {
	f := figure{Of: of, What: what, Value: value, Unit: unit, decimals: decimals, Command: l.found[of].Command}
	for _, w := range wanted {
		w(&f)
	}
	f.Missed = f.AtLeast != nil && f.Value < *f.AtLeast || f.AtMost != nil && f.Value > *f.AtMost
	l.list = append(l.list, f)
}

func atLeast(limit float64) func(*figure) { return func(f *figure) { f.AtLeast = &limit } }
func atMost(limit float64) func(*figure)  { return func(f *figure) { f.AtMost = &limit } }

// figures returns the figures of the measurements that were made, each with what
// they should be.
func figures(found map[string]*bench.Result) []figure {
	l := &figureList{found: found}
	l.standard()
	l.distances()
	l.stages()
	l.million()
	return l.list
}

// sent returns what the measurement of sending found, nil if it was not made.
func (l *figureList) sent(of string) *bench.Send {
	if r := l.found[of]; r != nil {
		return r.Send
	}
	return nil
}

// speed adds the rate and its share of smtp-source's.
func (l *figureList) speed(of string, s *bench.Send, rate, share []func(*figure)) {
	l.add(of, "messages", s.PerS, 0, "/s", rate...)
	if x := s.SMTPSource; x != nil {
		l.add(of, "smtp-source", x.PerS, 0, "/s")
		l.add(of, "messages, of smtp-source's", x.Ratio, 2, "", share...)
	}
}

func (l *figureList) standard() {
	long, brief := l.sent(nameLong), l.sent(nameShort)
	if long != nil {
		l.speed(nameLong, long, nil, []func(*figure){atLeast(0.8)})
		l.add(nameLong, "CPU, worker", long.WorkerCPU, 1, "us a message")
		l.add(nameLong, "CPU, Redis", long.RedisCPU, 1, "us a message")
		if long.SinkCPU > 0 {
			l.add(nameLong, "CPU, sink ("+long.Sink+")", long.SinkCPU, 1, "us a message")
			l.add(nameLong, "CPU, worker, of the sink's", long.WorkerOfSink, 2, "", atMost(1.2))
			l.add(nameLong, "CPU, Redis, of the sink's", long.RedisOfSink, 2, "", atMost(0.6))
		}
		l.add(nameLong, "Redis commands, in scripts too", long.RedisCommands, 1, "a message")
		l.add(nameLong, "worker allocations", long.Allocs, 0, "a message")
		l.add(nameLong, "worker memory, peak", float64(long.WorkerMemory)/(1<<20), 0, "MB", atMost(100))
	}
	if long != nil && brief != nil {
		l.add(nameLong, "messages/s, of those with 20,000 recipients", long.PerS/brief.PerS, 2, "")
		if a, b := long.SMTPSource, brief.SMTPSource; a != nil && b != nil {
			l.add(nameLong, "of smtp-source's, of the same with 20,000", a.Ratio/b.Ratio, 2, "", atLeast(1))
		}
	}
	if brief != nil {
		l.speed(nameShort, brief, nil, nil)
	}
}

func (l *figureList) distances() {
	if s := l.sent(nameRedis); s != nil {
		l.speed(nameRedis, s, []func(*figure){atLeast(4500)}, nil)
	}
	few, inStep := l.sent(nameFar), l.sent(nameInStep)
	if few != nil {
		l.speed(nameFar, few, []func(*figure){atLeast(50)}, nil)
	}
	if few != nil && inStep != nil {
		l.add(nameFar, "messages/s, of those with pipelining off", few.PerS/inStep.PerS, 2, "", atLeast(3.5))
	}
	if inStep != nil {
		l.speed(nameInStep, inStep, nil, nil)
	}
	if s := l.sent(nameFarMany); s != nil {
		l.speed(nameFarMany, s, []func(*figure){atLeast(800)}, nil)
	}
}

func (l *figureList) stages() {
	if r := l.found[nameRender]; r != nil && r.Render != nil {
		l.add(nameRender, "one message on one core", r.Render.Micros, 1, "us", atMost(40))
		l.add(nameRender, "allocations", r.Render.Allocs, 1, "a message", atMost(10))
	}
	if r := l.found[nameEnqueue]; r != nil && r.Enqueue != nil {
		l.add(nameEnqueue, "tasks into the queue", r.Enqueue.PerS, 0, "/s")
		l.add(nameEnqueue, "CPU, Redis, in", r.Enqueue.RedisCPU, 1, "us a task")
		l.add(nameEnqueue, "tasks out of the queue", r.Enqueue.TakenPerS, 0, "/s")
		l.add(nameEnqueue, "CPU, Redis, out", r.Enqueue.TakenCPU, 1, "us a task")
	}
	for _, of := range []string{nameExpand, nameMillion} {
		if r := l.found[of]; r != nil && r.Expand != nil {
			l.add(of, "import and expand", r.Expand.RowsPerS, 0, "rows/s", atLeast(300_000))
			l.add(of, "chunks", r.Expand.ChunkBytes, 1, "bytes a recipient")
		}
	}
}

func (l *figureList) million() {
	s := l.sent(nameMillion)
	if s == nil {
		return
	}
	r := l.found[nameMillion]
	l.add(nameMillion, "first message after the audience is in", s.FirstMillis/1000, 2, "s", atMost(1))
	l.add(nameMillion, "Redis memory, all told, peak", s.RedisTotal*float64(r.Recipients)/(1<<20), 1, "MB", atMost(64))
	l.add(nameMillion, "the same", s.RedisTotal, 1, "bytes a recipient")
	l.add(nameMillion, "worker memory, peak", float64(s.WorkerMemory)/(1<<20), 0, "MB", atMost(100))
	l.add(nameMillion, "messages, of which that is known", float64(s.Messages), 0, "")
}

// Rows returns the figures as rows: measurement, what, value, wanted.
func (r *setResult) Rows() [][]string {
	rows := make([][]string, len(r.Figures))
	for i := range r.Figures {
		f := &r.Figures[i]
		rows[i] = []string{f.Of, f.What, f.text(), f.wanted()}
	}
	return rows
}

// A dot is one point of a plot, with what it was measured at.
type dot struct {
	x           float64
	ours, other float64 // messages a second; other is 0 where smtp-source did not send
	result      *bench.Result
}

// points returns those of the two plots, over connections and over recipients:
// of sending with nothing far away and with an AOF.
func points(results []*bench.Result) (all [2][]dot) {
	for _, r := range results {
		if r.Send == nil || !r.AOF || r.RTT > 0 || r.RedisRTT > 0 {
			continue
		}
		d := dot{ours: r.Send.PerS, result: r}
		if x := r.Send.SMTPSource; x != nil {
			d.other = x.PerS
		}
		if r.Connections != bench.Defaults().Connections {
			d.x = float64(r.Connections)
			all[0] = append(all[0], d)
			continue
		}
		d.x = float64(r.Recipients)
		all[1] = append(all[1], d)
	}
	byX := func(a, b dot) int { return cmp.Compare(a.x, b.x) }
	slices.SortFunc(all[1], byX)
	if len(all[1]) > 0 { // the shortest run is the other plot's point
		d := all[1][0]
		d.x = float64(bench.Defaults().Connections)
		all[0] = append(all[0], d)
	}
	slices.SortFunc(all[0], byX)
	return all
}

// label names where a dot was measured.
func (d dot) label() string {
	connections := "connections"
	if d.result.Connections == 1 {
		connections = "connection"
	}
	return fmt.Sprintf("%d %s, %s recipients", d.result.Connections, connections, thousands(float64(d.result.Recipients), 0))
}
