package launch_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
	"broadside/internal/launch"
)

// hangups is a client's hook that cuts the line at the script that makes a run
// ready, and at those that come after it.
type hangups struct {
	redis.Hook
	carriedOut bool                        // before the line is cut
	after      func(keys []any) (cut bool) // of a script that comes later; nil: none
	ready      bool                        // the script was called
}

func (h *hangups) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h *hangups) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (h *hangups) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		a := cmd.Args()
		if !strings.HasPrefix(cmd.Name(), "eval") {
			return next(ctx, cmd)
		}
		keys := a[3:]
		switch {
		case !h.ready && len(keys) > 5 && ends(keys[1], ":counts") && ends(keys[2], ":content"):
			if h.carriedOut {
				if err := next(ctx, cmd); err != nil { // NOSCRIPT: it comes again
					return err
				}
			}
			h.ready = true
		case h.ready && h.after != nil && h.after(keys):
		default:
			return next(ctx, cmd)
		}
		cmd.SetErr(io.EOF)
		return io.EOF
	}
}

func ends(key any, suffix string) bool {
	text, _ := key.(string)
	return strings.HasSuffix(text, suffix)
}

// The answer that a run is ready may be lost. Whatever a launch then says, it
// does not say that nothing was sent of a run that is.
func TestALaunchWhoseAnswerIsLost(t *testing.T) {
	t.Parallel()
	discard := func(keys []any) bool { return ends(keys[0], ":record") && ends(keys[1], ":content") }
	all := func([]any) bool { return true }
	for _, tt := range []struct {
		name   string
		cut    hangups
		err    error
		unsure bool
		state  campaign.RunState // empty: no run
	}{
		{"and it is ready", hangups{carriedOut: true}, nil, false, campaign.Running},
		{"with the question", hangups{}, io.EOF, false, ""},
		{"then it cannot be asked", hangups{carriedOut: true, after: all}, io.EOF, true, campaign.Running},
		{"then only its record can be asked", hangups{carriedOut: true, after: discard}, ledger.ErrReady, false, campaign.Running},
		{"with the question, then only its record can be asked", hangups{after: discard}, io.EOF, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newProject(t)
			def := s.def("")
			s.Launcher.Store.Client().AddHook(&tt.cut)
			launched, err := s.Launcher.Launch(t.Context(), def, launch.Options{})
			if _, unsure := errors.AsType[*ledger.UnsureError](err); !errors.Is(err, tt.err) || unsure != tt.unsure {
				t.Errorf("got %+v, %v; want %v, unsure %v", launched, err, tt.err, tt.unsure)
			}
			runs, err := s.Ledger.List(t.Context(), "news")
			if err != nil || (len(runs) == 1) != (tt.state != "") {
				t.Fatalf("runs %v, %v; want one that is %q", runs, err, tt.state)
			}
			if tt.state == "" {
				return
			}
			if rec, err := s.Ledger.Record(t.Context(), runs[0]); err != nil || rec.State != tt.state {
				t.Errorf("run is %+v, %v; want it %s", rec, err, tt.state)
			}
			tt.cut.after = nil
			if _, err := s.Launcher.Launch(t.Context(), def, launch.Options{}); !errors.Is(err, failure.ErrRefused) {
				t.Errorf("launched again: %v, want ErrRefused", err)
			}
		})
	}
}
