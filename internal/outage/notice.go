package outage

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// steady is the time without a failure after which it is taken to work again: of
// several callers some may succeed while others still fail.
const steady = 900 * time.Millisecond

// A Notice logs that something fails, and that it works again: one line for
// each change, none for each try. It is safe for concurrent use.
type Notice struct {
	log          *slog.Logger
	fails, works string

	mu    sync.Mutex
	first time.Time // failure; zero: it works; guarded by mu
	last  time.Time // failure; guarded by mu
}

// NewNotice returns a Notice that says fails, and then works.
func NewNotice(log *slog.Logger, fails, works string) *Notice {
	return &Notice{log: log, fails: fails, works: works}
}

// Note takes in how a try went; nil is a success. attrs are logged with the
// failure. The end of a context that was cancelled is neither.
func (n *Notice) Note(err error, attrs ...any) {
	if errors.Is(err, context.Canceled) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	switch {
	case err != nil:
		n.last = now
		if n.first.IsZero() {
			n.first = now
			n.log.Warn(n.fails, append(attrs, "err", err)...)
		}
	case !n.first.IsZero() && now.Sub(n.last) >= steady:
		n.log.Info(n.works, "after", now.Sub(n.first).Round(time.Millisecond).String())
		n.first = time.Time{}
	}
}
