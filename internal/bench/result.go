package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"
	"time"
)

// A Result is what was measured; a stage that did not run is nil.
type Result struct {
	At          time.Time `json:"at"`
	Machine     Machine   `json:"machine"`
	Command     string    `json:"command"` // that measures this again
	Recipients  int       `json:"recipients"`
	Fields      int       `json:"fields"` // of each, without the address
	Size        int       `json:"message_bytes"`
	Connections int       `json:"connections"`
	Workers     int       `json:"workers"`
	Pipelining  string    `json:"pipelining"`
	RTT         float64   `json:"rtt_ms"`
	RedisRTT    float64   `json:"redis_rtt_ms"`
	AOF         bool      `json:"aof"`
	Expand      *Expand   `json:"expand,omitempty"`
	Enqueue     *Enqueue  `json:"enqueue,omitempty"`
	Render      *Render   `json:"render,omitempty"`
	Send        *Send     `json:"send,omitempty"`
}

// A Machine is where it was measured.
type Machine struct {
	Cores int    `json:"cores"`
	CPU   string `json:"cpu"`
	Go    string `json:"go"`
}

// Expand is a launch from the opening of the file to the last recipient in
// Redis.
type Expand struct {
	Rows       int     `json:"rows"`
	Seconds    float64 `json:"seconds"`
	RowsPerS   float64 `json:"rows_per_s"`
	ChunkBytes float64 `json:"chunk_bytes_per_recipient"` // addresses and merge fields, compressed
	RedisBytes float64 `json:"redis_bytes_per_recipient"` // used_memory without those
}

// Enqueue is recipients that go into the queue as tasks, and out again to
// handlers that do nothing.
type Enqueue struct {
	Tasks     int     `json:"tasks"`
	PerS      float64 `json:"tasks_per_s"`
	RedisCPU  float64 `json:"redis_cpu_us_per_task"`
	TakenPerS float64 `json:"taken_per_s"`
	TakenCPU  float64 `json:"taken_redis_cpu_us_per_task"`
}

// Render is one goroutine that makes messages.
type Render struct {
	Messages   int     `json:"messages"`
	Micros     float64 `json:"us_per_message"`
	Allocs     float64 `json:"allocs_per_message"`
	AllocBytes float64 `json:"alloc_bytes_per_message"`
}

// Send is a run from the moment at which its audience is in to the last 250.
// What is per message is divided by the number of messages.
type Send struct {
	Sink          string      `json:"sink"`     // smtp-sink, own, or named: the SMTP server is not ours
	Messages      int         `json:"messages"` // fewer than recipients where sending was stopped
	Seconds       float64     `json:"seconds"`
	PerS          float64     `json:"messages_per_s"`
	FirstMillis   float64     `json:"first_message_ms"`
	WorkerCPU     float64     `json:"worker_cpu_us_per_message"`
	SinkCPU       float64     `json:"sink_cpu_us_per_message"` // 0 where it is not known
	RedisCPU      float64     `json:"redis_cpu_us_per_message"`
	WorkerOfSink  float64     `json:"worker_cpu_of_sink"` // the CPU of the workers in that of the sink; 0 where it is not known
	RedisOfSink   float64     `json:"redis_cpu_of_sink"`
	RedisCommands float64     `json:"redis_commands_per_message"` // those within scripts included
	RedisBytes    float64     `json:"redis_network_bytes_per_message"`
	RedisPeak     float64     `json:"redis_peak_bytes_per_recipient"`       // used_memory without the chunks, at its highest
	RedisTotal    float64     `json:"redis_peak_total_bytes_per_recipient"` // with them
	Allocs        float64     `json:"allocs_per_message"`
	AllocBytes    float64     `json:"alloc_bytes_per_message"`
	WorkerMemory  int64       `json:"worker_memory_bytes"` // resident, of the largest worker, at its highest
	Commands      []Command   `json:"redis_top_commands"`
	SMTPSource    *SMTPSource `json:"smtp_source"` // nil where it is not installed
}

// A Command is what one kind of Redis command cost, with those that it called.
type Command struct {
	Name   string  `json:"name"`
	Calls  float64 `json:"calls_per_message"`
	Micros float64 `json:"us_per_message"`
}

// SMTPSource is what Postfix's load generator did with the same server.
type SMTPSource struct {
	Messages int     `json:"messages"`
	PerS     float64 `json:"messages_per_s"`
	SinkCPU  float64 `json:"sink_cpu_us_per_message"` // 0 where it is not known
	Ratio    float64 `json:"ratio"`                   // ours of its
}

func machine() Machine {
	m := Machine{Cores: runtime.NumCPU(), CPU: runtime.GOARCH, Go: runtime.Version()}
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return m // not Linux
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if key, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			m.CPU = strings.TrimSpace(value)
			break
		}
	}
	return m
}
