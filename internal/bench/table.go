package bench

import (
	"fmt"
	"strconv"
	"time"
)

// Title says what was measured where.
func (r *Result) Title() string {
	title := fmt.Sprintf("%d recipients", r.Recipients)
	if r.Expand != nil || r.Render != nil || r.Send != nil { // a task has no message
		title += fmt.Sprintf(", messages of %d bytes", r.Size)
	}
	if r.Send != nil {
		title += fmt.Sprintf(", %d connections, %d worker(s)", r.Connections, r.Workers)
	}
	if r.RTT > 0 {
		title += fmt.Sprintf(", the server %g ms away", r.RTT)
	}
	if r.RedisRTT > 0 {
		title += fmt.Sprintf(", Redis %g ms away", r.RedisRTT)
	}
	if r.Pipelining != Defaults().Pipelining {
		title += ", pipelining " + r.Pipelining
	}
	if r.AOF {
		title += ", AOF everysec"
	}
	return title + "\n" + r.Machine.String() + ", " + r.At.Format(time.DateOnly)
}

// String names the machine.
func (m Machine) String() string { return fmt.Sprintf("%s, %d core(s), %s", m.CPU, m.Cores, m.Go) }

// Rows returns what was measured as rows: stage, what, value, unit.
func (r *Result) Rows() [][]string {
	var t table
	if e := r.Expand; e != nil {
		t.stage = StageExpand
		t.add("import and expand", e.RowsPerS, 0, "rows/s")
		t.add("chunks (addresses, fields)", e.ChunkBytes, 1, "bytes/recipient")
		t.add("Redis memory without them", e.RedisBytes, 1, "bytes/recipient")
	}
	if e := r.Enqueue; e != nil {
		t.stage = StageEnqueue
		t.add("tasks into the queue", e.PerS, 0, "/s")
		t.add("CPU, Redis", e.RedisCPU, 1, "us/task")
		t.add("tasks out of the queue", e.TakenPerS, 0, "/s")
		t.add("CPU, Redis, out", e.TakenCPU, 1, "us/task")
	}
	if m := r.Render; m != nil {
		t.stage = StageRender
		t.add("one message on one core", m.Micros, 1, "us")
		t.add("allocations", m.Allocs, 1, "/message")
		t.add("allocated", m.AllocBytes, 0, "bytes/message")
	}
	if s := r.Send; s != nil {
		t.stage = StageSend
		t.send(s)
	}
	return t.rows
}

type table struct {
	stage string
	rows  [][]string
}

func (t *table) add(what string, value float64, decimals int, unit string) {
	t.rows = append(t.rows, []string{t.stage, what, strconv.FormatFloat(value, 'f', decimals, 64), unit})
}

func (t *table) send(s *Send) {
	t.add("messages", s.PerS, 0, "/s")
	if x := s.SMTPSource; x != nil {
		t.add("smtp-source", x.PerS, 0, "/s")
		t.add("messages, of smtp-source's", x.Ratio, 2, "")
	}
	t.add("first message after the audience", s.FirstMillis, 0, "ms")
	t.add("CPU, workers", s.WorkerCPU, 1, "us/message")
	t.add("CPU, Redis", s.RedisCPU, 1, "us/message")
	if s.SinkCPU > 0 {
		t.add("CPU, sink ("+s.Sink+")", s.SinkCPU, 1, "us/message")
		t.add("CPU, workers, of the sink's", s.WorkerOfSink, 2, "")
		t.add("CPU, Redis, of the sink's", s.RedisOfSink, 2, "")
	}
	t.add("Redis commands, in scripts too", s.RedisCommands, 1, "/message")
	t.add("Redis network", s.RedisBytes, 0, "bytes/message")
	t.add("Redis memory without chunks, peak", s.RedisPeak, 1, "bytes/recipient")
	t.add("Redis memory, all told, peak", s.RedisTotal, 1, "bytes/recipient")
	t.add("worker allocations", s.Allocs, 1, "/message")
	t.add("worker allocated", s.AllocBytes, 0, "bytes/message")
	t.add("worker memory, peak", float64(s.WorkerMemory)/(1<<20), 1, "MB")
	for _, c := range s.Commands {
		t.add("Redis "+c.Name, c.Micros, 2, fmt.Sprintf("us/message (%.2f calls)", c.Calls))
	}
}
