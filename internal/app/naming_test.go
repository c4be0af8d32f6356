package app

import (
	"errors"
	"testing"
)

// Ids have the time to the second: a launch in the same second as the first one
// would make the very same id.
func TestLaunchAgainInTheSameSecond(t *testing.T) {
	t.Parallel()
	s := newScheduling(t)
	first, err := s.Launch(t.Context(), s.def(""), Launch{})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if second, err := s.Launch(t.Context(), s.def(""), Launch{}); !errors.Is(err, ErrRefused) {
			t.Fatalf("Launch = %+v, %v, want ErrRefused", second, err)
		}
	}
	again, err := s.Launch(t.Context(), s.def(""), Launch{Again: true})
	if err != nil {
		t.Fatal(err)
	}
	runs, err := s.Ledger.List(t.Context(), "news")
	if err != nil || len(runs) != 2 || again.Run == first.Run {
		t.Errorf("runs %v (%v) after %s and %s, want these two", runs, err, first.Run, again.Run)
	}
}
