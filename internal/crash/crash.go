// Package crash confines a panic: the work that panicked ends with an error that
// is reported once, and the process goes on.
//
// A Reporter stands at the boundary around one recipient, run, occurrence or
// request, and around no smaller part: what was half done within it must not be
// used again. It is deferred there:
//
//	defer reporter.Recover(func(f *crash.Fault) { err = f }, "run", id)
//
// A panic on a goroutine that was started inside is not seen.
package crash

import (
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"broadside/campaign/address"
)

const (
	// maxText is how much of what a panic says is kept, in bytes.
	maxText = 300
	// maxPlaces is how many places are remembered whose stack was logged.
	maxPlaces = 100
)

// A Fault is a panic that was stopped. It holds no address: what looks like
// one in the text of the panic was taken out.
type Fault struct {
	Place string // function and line, "templates.(*Template).Render:88"
	Text  string // what the panic said, one line
}

func (f *Fault) Error() string { return "internal fault in " + f.Place + ": " + f.Text }

// A Reporter logs panics. It is safe for concurrent use.
type Reporter struct {
	log *slog.Logger

	mu   sync.Mutex
	seen map[string]int // panics by place; guarded by mu
}

// NewReporter returns a Reporter.
func NewReporter(log *slog.Logger) *Reporter {
	return &Reporter{log: log, seen: map[string]int{}}
}

// Recover is to be deferred. It stops a panic and logs it together with attrs,
// with its stack the first time that it comes from this place. Then it calls then,
// unless that is nil. Without a panic it does nothing.
func (r *Reporter) Recover(then func(*Fault), attrs ...any) {
	v := recover()
	if v == nil {
		return
	}
	f := r.Stopped(v, attrs...)
	if then != nil {
		then(f)
	}
}

// Stopped is Recover for a deferred function that has called recover itself; v is
// what that returned.
func (r *Reporter) Stopped(v any, attrs ...any) *Fault {
	f := &Fault{Place: place(), Text: textOf(v)}
	r.mu.Lock()
	if len(r.seen) < maxPlaces || r.seen[f.Place] > 0 {
		r.seen[f.Place]++
	}
	n := r.seen[f.Place]
	r.mu.Unlock()

	attrs = append([]any{"place", f.Place, "panic", f.Text}, attrs...)
	if n <= 1 {
		attrs = append(attrs, "stack", string(debug.Stack())) // places and pointers, no values
	} else {
		attrs = append(attrs, "times", n)
	}
	r.log.Error("panic stopped: this is a fault of broadside, please report it", attrs...)
	return f
}

// place returns where the panic that is being recovered began.
func place() string {
	var pcs [64]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(0, pcs[:])])
	panicking := false
	for {
		f, more := frames.Next()
		own := strings.HasPrefix(f.Function, "runtime.")
		if panicking && !own {
			return fmt.Sprintf("%s:%d", strings.TrimPrefix(f.Function, "broadside/"), f.Line)
		}
		panicking = panicking || f.Function == "runtime.gopanic"
		if !more {
			return "unknown place"
		}
	}
}

// textOf returns what a panic says, on one line. Of a value that is neither a text
// nor an error it says only the type: its contents were not meant for a log.
func textOf(v any) string {
	var text string
	switch v := v.(type) {
	case runtime.Error:
		text = v.Error()
	case error:
		text = v.Error()
	case string:
		text = v
	default:
		return fmt.Sprintf("a value of type %T", v)
	}
	text = strings.Join(strings.Fields(address.Redact(text)), " ")
	if len(text) > maxText {
		text = strings.ToValidUTF8(text[:maxText], "") + "..."
	}
	return text
}
