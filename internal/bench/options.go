package bench

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/configs"
)

// The SMTP servers that can be started.
const (
	SinkPostfix = "smtp-sink" // Postfix's, which throws messages away
	SinkOwn     = "own"       // ours, which counts them
)

// Options of a measurement. Defaults has those that cannot be empty; a zero in
// their place is refused.
type Options struct {
	Recipients  int           // 1 to 50,000,000
	Fields      int           // of each recipient, without the address; 1 to 12
	Size        int           // bytes of one message; at most 1 MiB
	Connections int           // to the SMTP server, over all workers; 1 to 1000
	Workers     int           // worker processes; 1 to 64
	Pipelining  string        // of the account: auto, envelope or off
	Sink        string        // what is started: SinkPostfix or SinkOwn; default: Postfix's where it is installed
	SMTP        string        // host:port on this machine; empty: a sink is started
	RTT         time.Duration // added to the way to the sink
	Redis       string        // its URL; empty: a redis-server is started
	RedisRTT    time.Duration // added to the workers' way to the started redis-server
	AOF         bool          // the started redis-server writes an AOF, everysec
	Limits      bool          // every limit is set, and none is reached
	For         time.Duration // sending is stopped after this; 0: when all is sent
	Alone       bool          // smtp-source does not send
	Stages      []string      // default: all
	ProfileDir  string        // where each worker leaves its profiles; empty: none

	// Agent is the command that runs Agent with the arguments after it.
	Agent  []string
	Stderr io.Writer    // of the children
	Say    func(string) // is called with what begins
	Log    *slog.Logger
}

// Defaults returns what is measured unless something else is asked for.
func Defaults() Options {
	return Options{Recipients: 100_000, Fields: len(columns) - 1, Size: 20 << 10, Connections: 50, Workers: 1, Pipelining: "auto"}
}

// An OptionError is an option that cannot be used, alone or together with another.
type OptionError struct {
	Flag string // of the command line, without dashes; empty: a stage
	Text string // what was found, what is expected
}

func (e *OptionError) Error() string {
	if e.Flag == "" {
		return "bench: " + e.Text
	}
	return "--" + e.Flag + ": " + e.Text
}

func wrong(flag, format string, args ...any) error {
	return &OptionError{flag, fmt.Sprintf(format, args...)}
}

// checked refuses what cannot be measured. It returns the options with all stages
// where none was named, and without what changes nothing in its stages.
func (o Options) checked() (Options, error) {
	if len(o.Stages) == 0 {
		o.Stages = Stages
	}
	if err := o.check(); err != nil {
		return o, err
	}
	return o.relevant(), nil
}

// check refuses values that make no sense, alone or together.
func (o Options) check() error {
	for _, s := range o.Stages {
		if !slices.Contains(Stages, s) {
			return wrong("", "found stage %q, expected some of: %s", s, strings.Join(Stages, ", "))
		}
	}
	if err := o.checkRanges(); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{"auto", "envelope", "off"}, o.Pipelining):
		return wrong("pipelining", "found %q, expected auto, envelope or off", o.Pipelining)
	case o.Sink != "" && o.Sink != SinkPostfix && o.Sink != SinkOwn:
		return wrong("sink", "found %q, expected %s or %s", o.Sink, SinkPostfix, SinkOwn)
	case o.Sink != "" && o.SMTP != "":
		return wrong("sink", "says what is started, but --smtp names a server that is there")
	case o.RTT != 0 && o.SMTP != "":
		return wrong("rtt", "is added on the way to a sink that is started, not to the server that --smtp names")
	case o.RedisRTT != 0 && o.Redis != "":
		return wrong("redis-rtt", "is added on the way to a redis-server that is started, not to the one that --redis names")
	case o.AOF && o.Redis != "":
		return wrong("aof", "is an option of a redis-server that is started, not of the one that --redis names")
	case o.SMTP != "":
		return checkSMTP(o.SMTP)
	}
	return nil
}

func (o Options) checkRanges() error {
	for _, n := range []struct {
		flag         string
		found, limit int
	}{
		{"recipients", o.Recipients, 50_000_000},
		{"fields", o.Fields, len(columns) - 1},
		{"size", o.Size, 1 << 20},
		{"connections", o.Connections, 1000},
		{"workers", o.Workers, 64},
	} {
		if n.found < 1 || n.found > n.limit {
			return wrong(n.flag, "found %d, expected 1 to %d", n.found, n.limit)
		}
	}
	for _, d := range []struct {
		flag  string
		found time.Duration
	}{{"rtt", o.RTT}, {"redis-rtt", o.RedisRTT}, {"for", o.For}} {
		if d.found < 0 {
			return wrong(d.flag, "found %v, expected no time below zero", d.found)
		}
	}
	return nil
}

// checkSMTP refuses an address to which workers would not speak without TLS.
func checkSMTP(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return wrong("smtp", "found %q, expected HOST:PORT", addr)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return wrong("smtp", "found the port %q, expected 1 to 65535", port)
	}
	if !configs.IsLoopback(host) {
		return wrong("smtp", "found the host %q, expected this machine (localhost, 127.0.0.1 or ::1): nothing is encrypted on the way", host)
	}
	return nil
}

// relevant returns o without the options that change nothing in its stages: the
// header would claim that they were in force.
func (o Options) relevant() Options {
	d := Defaults()
	some := func(stages ...string) bool {
		return slices.ContainsFunc(stages, func(s string) bool { return slices.Contains(o.Stages, s) })
	}
	if !some(StageSend) {
		o.Connections, o.Workers, o.Pipelining = d.Connections, d.Workers, d.Pipelining
		o.Sink, o.SMTP, o.RTT, o.For, o.Alone, o.ProfileDir = "", "", 0, 0, false, ""
	}
	if !some(StageEnqueue, StageSend) {
		o.RedisRTT = 0
	}
	if !some(StageExpand, StageEnqueue, StageSend) {
		o.Redis, o.AOF = "", false
	}
	if !some(StageExpand, StageRender, StageSend) {
		o.Fields, o.Size = d.Fields, d.Size
	}
	return o
}
