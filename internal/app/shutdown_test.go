package app

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"broadside/configs"
	"broadside/internal/queue"
)

// Only what is left behind keeps the connections from being closed.
func TestRunBoundedNotesWhatIsLeftBehind(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		err  error
		left bool
	}{
		{"nothing", nil, false},
		{"an error", errors.New("no secrets"), false},
		{"itself", errLeftBehind, true},
		{"a part of it", errors.Join(errors.New("x"), fmt.Errorf("%w: too slow", queue.ErrLeft)), true},
	} {
		a := &App{Config: &configs.Config{}}
		if err := a.runBounded(t.Context(), func(context.Context) error { return tt.err }); !errors.Is(err, tt.err) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.err)
		}
		if got := a.left.Load(); got != tt.left {
			t.Errorf("%s: left behind %v, want %v", tt.name, got, tt.left)
		}
	}
}
