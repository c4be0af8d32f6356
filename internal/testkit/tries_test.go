package testkit_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"broadside/internal/testkit"
)

func TestTriesEndAfterTheLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		var at []time.Duration
		for range testkit.Tries(2 * time.Second) {
			at = append(at, time.Since(start))
			<-time.After(300 * time.Millisecond) // what asking takes
		}
		want := []time.Duration{0, 800 * time.Millisecond, 1600 * time.Millisecond, 2400 * time.Millisecond} // the last one is past the limit
		if !slices.Equal(at, want) {
			t.Errorf("tried at %v, want %v", at, want)
		}
		n := 0
		for range testkit.Tries(time.Hour) {
			if n++; n == 3 {
				break
			}
		}
		if took := time.Since(start); n != 3 || took != 2720*time.Millisecond {
			t.Errorf("%d tries until %s, want three, ten milliseconds apart", n, took)
		}
	})
}
