package main

import (
	"io"
	"os"
	"slices"
	"sync"

	"golang.org/x/term"
)

// A terminal is stderr with at most one line that is redrawn in place. It is
// safe for concurrent use.
type terminal struct {
	tty   bool
	width func() int // in cells; 0: not known

	mu    sync.Mutex
	w     io.Writer
	drawn bool // the cursor stands behind a line that may be replaced
}

func newTerminal(w io.Writer, env []string) *terminal {
	t := &terminal{w: w, tty: isTerminal(w, env), width: func() int { return 0 }}
	if f, ok := w.(*os.File); ok && t.tty {
		t.width = func() int {
			width, _, _ := term.GetSize(int(f.Fd())) // 0 when it fails
			return width
		}
	}
	return t
}

// isTerminal reports whether w is a terminal that can redraw a line and show
// colours.
func isTerminal(w io.Writer, env []string) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && !slices.Contains(env, "TERM=dumb")
}

// Write writes text where the redrawn line was.
func (t *terminal) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	return t.w.Write(p)
}

func (t *terminal) clear() {
	if t.drawn {
		_, _ = io.WriteString(t.w, "\r\x1b[K") // a lost line of progress is no loss
		t.drawn = false
	}
}

// draw replaces the redrawn line. One that is too long for the terminal is cut:
// what wraps could not be taken back.
func (t *terminal) draw(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	_, _ = io.WriteString(t.w, cut(line, t.width()))
	t.drawn = line != ""
}

// cut shortens a line to less than width cells; 0 is no bound. Colours take no
// cell, and end with what is left.
func cut(line string, width int) string {
	cells := 0
	escaped := false
	for i, r := range line {
		switch {
		case r == '\x1b':
			escaped = true
		case escaped:
			escaped = r != 'm'
		default:
			cells++
		}
		if width > 0 && cells >= width {
			return line[:i] + "\x1b[0m"
		}
	}

	return line
}
