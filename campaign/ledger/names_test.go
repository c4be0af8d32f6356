package ledger

import "testing"

// A name changes only from what the caller knows.
func TestNames(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		const key = "campaign:news"
		for i, step := range []struct{ old, run, want string }{
			{"news-1", "news-2", ""}, // it stands for no one
			{"", "news-1", "news-1"},
			{"", "news-2", "news-1"},
			{"news-1", "news-2", "news-2"},
			{"news-1", "news-2", "news-2"}, // asked twice
			{"news-1", "news-3", "news-2"}, // another was faster
			{"news-3", "", "news-2"},       // not one's own
			{"news-2", "", ""},
			{"news-2", "", ""},
		} {
			if got, err := l.Rename(t.Context(), key, step.old, step.run); err != nil || got != step.want {
				t.Errorf("step %d: Rename(%q, %q) = %q, %v; want %q", i, step.old, step.run, got, err, step.want)
			}
			if got, err := l.Named(t.Context(), key); err != nil || got != step.want {
				t.Errorf("step %d: named is %q, %v; want %q", i, got, err, step.want)
			}
		}
	})
}
