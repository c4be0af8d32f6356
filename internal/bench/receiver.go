package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"broadside/internal/failure"
)

const (
	// backlog is how many connections may wait until smtp-sink takes them.
	backlog = 1024
	// no one is the user that smtp-sink becomes when root starts it, without
	// which it refuses to run.
	nobody = "nobody"
	// tick is the unit of CPU times in /proc: USER_HZ, the same everywhere.
	tick = 10 * time.Millisecond
)

// A receiver is the SMTP server that a measurement started: our own, or
// Postfix's.
type receiver struct {
	kind    string
	addr    string
	own     *child
	postfix *daemon
}

// startReceiver starts the server that was asked for.
func (b *bench) startReceiver(ctx context.Context) (*receiver, error) {
	path := postfixTool(SinkPostfix)
	switch {
	case b.Sink == SinkPostfix && path == "":
		return nil, fmt.Errorf("%w: smtp-sink is not installed: install it (Debian: apt-get install postfix), or take our own with --sink own", failure.ErrUnreachable)
	case b.Sink == SinkOwn || path == "":
		return b.startOwn(ctx)
	}
	return b.startPostfix(ctx, path)
}

func (b *bench) startOwn(ctx context.Context) (*receiver, error) {
	c, err := b.startChild(ctx, "sink")
	if err != nil {
		return nil, err
	}
	u, err := c.ask()
	if err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return &receiver{kind: SinkOwn, addr: u.Listening, own: c}, nil
}

// startPostfix starts smtp-sink. It takes both our connections and those of
// smtp-source, while ours are still open.
func (b *bench) startPostfix(ctx context.Context, path string) (*receiver, error) {
	flags := []string{"-m", strconv.Itoa(2*b.Connections + 256)}
	if os.Geteuid() == 0 {
		flags = append(flags, "-u", nobody)
	}
	d, err := startDaemon(ctx, path, func(port string) []string {
		return append(flags, net.JoinHostPort("127.0.0.1", port), strconv.Itoa(backlog))
	})
	if err != nil {
		return nil, err
	}
	return &receiver{kind: SinkPostfix, addr: d.addr, postfix: d}, nil
}

// postfixTool returns the path of one of Postfix's programs, or "".
func postfixTool(name string) string {
	for _, place := range []string{name, filepath.Join("/usr/sbin", name)} { // that one is not in every PATH
		if path, err := exec.LookPath(place); err == nil {
			return path
		}
	}
	return ""
}

// ask returns what the server has used so far. Of Postfix's that is what the
// kernel says: CPU, and the bytes that it has read; both 0 where there is no
// /proc.
func (r *receiver) ask() (usage, error) {
	if r.own != nil {
		return r.own.ask()
	}
	select {
	case <-r.postfix.done:
		return usage{}, fmt.Errorf("ask smtp-sink: it has ended: %s", bytes.TrimSpace(r.postfix.said.Bytes()))
	default:
	}
	proc := filepath.Join("/proc", strconv.Itoa(r.postfix.cmd.Process.Pid))
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return usage{}, nil // the figures are not known here
	}
	io, _ := os.ReadFile(filepath.Join(proc, "io")) // empty: not known
	return usage{CPU: cpuOf(string(stat)), Bytes: readOf(string(io))}, nil
}

// cpuOf returns the CPU time of a process from its /proc/PID/stat: fields 14
// and 15, counted from the name in parentheses, which may have anything in it.
func cpuOf(stat string) time.Duration {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64) // 0: no number
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * tick
}

// readOf returns how many bytes a process has read, from its /proc/PID/io.
func readOf(io string) int64 {
	for line := range strings.Lines(io) {
		if text, ok := strings.CutPrefix(line, "rchar:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(text), 10, 64) // 0: no number
			return n
		}
	}
	return 0
}

// check compares what the server took between two moments with n messages of a
// size that were accepted: exactly, or at least as many.
func (r *receiver) check(before, after usage, n, size int, exactly bool) error {
	if r.own != nil {
		if got := int(after.Accepted - before.Accepted); got < n || exactly && got != n {
			return fmt.Errorf("the sink took %d messages, expected %d", got, n)
		}
		return nil
	}
	// The size is that of one letter; names are longer and shorter.
	got, least := after.Bytes-before.Bytes, int64(n)*int64(size)*9/10
	if after.Bytes > 0 && got < least {
		return fmt.Errorf("smtp-sink read %d bytes, expected at least %d", got, least)
	}
	return nil
}

// stop ends the server.
func (r *receiver) stop() error {
	if r.own != nil {
		return r.own.stop()
	}
	return r.postfix.stop()
}
