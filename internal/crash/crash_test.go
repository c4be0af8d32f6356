package crash_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"broadside/internal/crash"
)

func burst(v any) {
	panic(v)
}

func TestRecover(t *testing.T) {
	t.Parallel()
	var none []int
	for _, c := range []struct {
		name string
		do   func()
		want string
	}{
		{"a text", func() { burst("no such thing") }, "internal fault in internal/crash_test.burst:"},
		{"an address", func() { burst("of <ada.b@example.org>, x%40y.example, \"ada b\"＠c") }, ": of <(address)>, (address), (address)"},
		{"an error of several lines", func() { burst(fmt.Errorf("a\n\tb: %w", errors.New("c"))) }, ": a b: c"},
		{"a run-time error", func() { _ = none[len(none)+2] }, "index out of range [2] with length 0"},
		{"another value", func() { burst([]string{"ada@example.org"}) }, ": a value of type []string"},
		{"nil", func() { burst(nil) }, "panic called with nil argument"},
		{"a long text", func() { burst(strings.Repeat("é", 400)) }, strings.Repeat("é", 150) + "..."},
		{"none", func() {}, ""},
	} {
		var log bytes.Buffer
		r := crash.NewReporter(slog.New(slog.NewTextHandler(&log, nil)))
		got := ""
		for range 3 {
			func() {
				defer r.Recover(func(f *crash.Fault) { got = f.Error() }, "run", "news-1")
				c.do()
			}()
		}
		switch {
		case c.want == "" && got+log.String() != "":
			t.Errorf("%s: %q, log %s", c.name, got, &log)
		case !strings.Contains(got, c.want) || strings.ContainsAny(got, "\n@"):
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		if c.want == "" {
			continue
		}
		text := log.String()
		if n := strings.Count(text, "stack="); n != 1 {
			t.Errorf("%s: %d stacks in the log, want one:\n%s", c.name, n, text)
		}
		if !strings.Contains(text, "times=3") || strings.Count(text, "run=news-1") != 3 || !strings.Contains(text, "crash_test.go") || strings.Contains(text, "ada") {
			t.Errorf("%s: log\n%s", c.name, text)
		}
	}
}

// TestRecoverWithoutThen: what is only to be kept from ending the process.
func TestRecoverWithoutThen(t *testing.T) {
	t.Parallel()
	r := crash.NewReporter(slog.New(slog.DiscardHandler))
	defer r.Recover(nil)
	burst("x")
}
