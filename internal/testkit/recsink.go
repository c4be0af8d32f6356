package testkit

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A RecSink is a recording SMTP sink in a process of its own
// (internal/testkit/recsink says what it can do).
type RecSink struct {
	t    testing.TB
	proc *Proc
	addr string
	file string
	ctrl string

	mu    sync.Mutex
	asked int // how often it was asked for its counters
}

// A Record is one event that the sink wrote down.
type Record struct {
	Kind byte // 'A' accepted, 'L' taken without a reply, 'N' not taken and without a reply, 'T' 4xx, 'P' 5xx, 'H' throttled
	At   time.Time
	Rcpt string
	ID   string // Message-ID, "" when there is none
	Size int
}

// NewRecsink starts a recording sink on a free port. args are flags of
// recsink ("-temp", "*=10").
func NewRecsink(t testing.TB, args ...string) *RecSink {
	t.Helper()
	r := &RecSink{t: t, file: filepath.Join(t.TempDir(), "records")}
	args = append([]string{"-addr", "127.0.0.1:0", "-control", "127.0.0.1:0", "-out", r.file}, args...)
	r.proc = Start(t, nil, built(t, buildRecsink), args...)
	r.addr = listening(r.proc)
	_, r.ctrl, _ = strings.Cut(r.proc.WaitLine("control on ", patience), "control on ")
	return r
}

// listening waits for "listening on ADDR" and returns ADDR.
func listening(p *Proc) string {
	p.t.Helper()
	_, addr, _ := strings.Cut(p.WaitLine("listening on ", patience), "listening on ")
	return addr
}

// Addr returns 127.0.0.1:PORT.
func (r *RecSink) Addr() string { return r.addr }

// Proc returns the process.
func (r *RecSink) Proc() *Proc { return r.proc }

// Records returns everything that the sink has written down so far.
func (r *RecSink) Records() []Record {
	r.t.Helper()
	r.Stats()
	b, err := os.ReadFile(r.file)
	if err != nil {
		r.t.Fatalf("read records: %v", err)
	}
	var all []Record
	for line := range strings.Lines(string(b)) {
		rec, err := parseRecord(line)
		if err != nil {
			r.t.Fatalf("read records: %v", err)
		}
		all = append(all, rec)
	}
	return all
}

// Accepted returns how often each recipient was accepted, lost replies
// included: in both cases the sink has the message.
func (r *RecSink) Accepted() map[string]int {
	r.t.Helper()
	n := map[string]int{}
	for _, rec := range r.Records() {
		if rec.Kind == 'A' || rec.Kind == 'L' {
			n[rec.Rcpt]++
		}
	}
	return n
}

// Fault makes the sink do action wrong at a stage of each dialogue, every nth
// time, until Clear (internal/testkit/recsink/fault.go lists both).
func (r *RecSink) Fault(stage, action string, every int) {
	r.t.Helper()
	r.order(fmt.Sprintf("fault %s %s %d", stage, action, every))
}

// Clear lifts the fault.
func (r *RecSink) Clear() {
	r.t.Helper()
	r.order("clear")
}

// Struck returns how often the fault in force has struck.
func (r *RecSink) Struck() int {
	r.t.Helper()
	return r.number("struck")
}

// Count returns how many messages were taken so far, lost replies included.
func (r *RecSink) Count() int {
	r.t.Helper()
	return r.number("count")
}

func (r *RecSink) number(order string) int {
	r.t.Helper()
	n, err := strconv.Atoi(r.order(order))
	if err != nil {
		r.t.Fatalf("ask recsink for its %s: %v", order, err)
	}
	return n
}

// order gives the sink one order and returns its answer.
func (r *RecSink) order(text string) string {
	r.t.Helper()
	c, err := net.DialTimeout("tcp", r.ctrl, patience)
	if err != nil {
		r.t.Fatalf("order recsink to %s: %v", text, err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience)) // fails only on a closed connection
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		r.t.Fatalf("order recsink to %s: %v", text, err)
	}
	answer, err := bufio.NewReader(c).ReadString('\n')
	if err != nil || strings.HasPrefix(answer, "error") {
		r.t.Fatalf("order recsink to %s: %q, %v", text, answer, err)
	}
	return strings.TrimSpace(answer)
}

// Stats asks the sink for its counters, which also flushes its file:
// accepted, temp, perm, lost, early (bodies that did not wait for 354), conns,
// open, peak_open, bytes, first, last (unixnano), secs, rate, cpu_user, cpu_sys.
func (r *RecSink) Stats() map[string]float64 {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	r.proc.Signal(syscall.SIGUSR1)
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	line, ok := r.proc.Find(ctx, "accepted=", r.asked)
	if !ok {
		r.t.Fatal("recsink did not answer with its counters")
	}
	stats := map[string]float64{}
	for f := range strings.FieldsSeq(line) {
		key, value, _ := strings.Cut(f, "=")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			r.t.Fatalf("read counters of recsink: %q", f)
		}
		stats[key] = v
	}
	return stats
}

// parseRecord reads one line of the record file.
func parseRecord(line string) (Record, error) {
	f := strings.Fields(line)
	if len(f) != 5 || len(f[0]) != 1 {
		return Record{}, fmt.Errorf("line %q, expected kind, time, recipient, id, size", line)
	}
	at, err := strconv.ParseInt(f[1], 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("line %q: %w", line, err)
	}
	size, err := strconv.Atoi(f[4])
	if err != nil {
		return Record{}, fmt.Errorf("line %q: %w", line, err)
	}
	rec := Record{Kind: f[0][0], At: time.Unix(0, at), Rcpt: f[2], ID: f[3], Size: size}
	if rec.ID == "-" {
		rec.ID = ""
	}
	return rec, nil
}
