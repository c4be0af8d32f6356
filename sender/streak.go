package sender

import (
	"context"
	"fmt"
	"sync"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/ledger"
)

// sameFailures is how many recipients in a row may come to the same bad end in
// one worker before it pauses their run: the cause is not theirs.
const sameFailures = 50

// A streak counts recipients of a run that fail one after the other in the same
// way. A single acceptance ends it. Addresses that do not exist, and what is
// only deferred, are left to the guards: a list may begin with a hundred dead
// addresses, and a server may greylist everybody.
type streak struct {
	mu   sync.Mutex
	what failure
	n    int
}

// A failure is what makes two of them the same. The text is not part of it:
// servers put times and names there.
type failure struct {
	state    campaign.State
	code     int // 0: the message could not be made, or no reply came
	enhanced string
}

// add counts an outcome and returns the length of the streak.
func (s *streak) add(o ledger.Outcome) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch o.State {
	case campaign.Accepted:
		s.n = 0
	case campaign.Failed, campaign.Uncertain:
		if f := (failure{o.State, o.Reply.Code, o.Reply.Enhanced}); f != s.what {
			s.what, s.n = f, 0
		}
		s.n++
		return s.n
	}
	return 0
}

func (s *streak) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.n = 0
}

// watch looks at the outcome of a recipient, and pauses the run when it is one
// too many of the same kind. A pause that cannot be told to Redis is tried
// again with the next failure.
func (w *Worker) watch(ctx context.Context, r *run, o ledger.Outcome) {
	n := r.failing.add(o)
	if n < sameFailures {
		return
	}
	once, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTime)
	defer cancel()
	paused, err := w.cfg.Ledger.PauseFor(once, r.handle.ID, campaign.CodeSameFailure, fmt.Sprintf("%d recipients in a row %s", n, same(o)))
	switch {
	case err != nil:
		w.cfg.Log.Warn("run cannot be paused", "run", r.handle.ID, "code", string(campaign.CodeSameFailure), "err", err)
		return
	case paused:
		w.cfg.Log.Warn("run paused by a guard", "run", r.handle.ID, "code", string(campaign.CodeSameFailure),
			"failures", n, "reply_code", o.Reply.Code, "enhanced", o.Reply.Enhanced)
	}
	r.failing.end()
	w.halt(r)
}

// halt lets go of a run that turned out to stand still, sooner than the next
// look at its state would.
func (w *Worker) halt(r *run) {
	r.running.Store(false)
	w.stopped(r)
}

// same says what happened to each of a streak.
func same(o ledger.Outcome) string {
	what := "failed"
	if o.State == campaign.Uncertain {
		what = "got no answer after their message"
	}
	text := address.Redact(o.Reply.Text)
	if r := []rune(text); len(r) > 160 {
		text = string(r[:160]) + "..."
	}
	if o.Reply.Code == 0 {
		return fmt.Sprintf("%s: %s", what, text)
	}
	return fmt.Sprintf("%s: %d %s", what, o.Reply.Code, text)
}
