package throttle

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestStorm(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		hard   func(i int) bool
		n      int
		stormy int // the outcome that makes it a storm; -1: none
	}{
		{"one in ten is none", func(i int) bool { return i%10 == 9 }, 2000, -1},
		{"all are refused from the beginning", func(int) bool { return true }, 100, 10}, // more than 10 % of 100
		{"all are refused after a thousand", func(i int) bool { return i >= 1000 }, 2000, 1020},
		{"ten of the first twenty", func(i int) bool { return i < 20 && i%2 == 0 }, 2000, -1},
	}
	for _, test := range tests {
		s := Storm{Share: 0.1, Of: 200, AtLeast: 10}
		got := -1
		for i := range test.n {
			storm, from := s.Add(noon.Add(time.Duration(i)*time.Second), test.hard(i))
			if storm {
				got = i
				if want := noon.Add(time.Duration(max(0, i-199)) * time.Second); !from.Equal(want) {
					t.Errorf("%s: got from %v, want the oldest of the last 200, %v", test.name, from, want)
				}
				break
			}
		}
		if got != test.stormy {
			t.Errorf("%s: got a storm at %d, want at %d", test.name, got, test.stormy)
		}
	}
	few := Storm{Share: 0.01, Of: 200, AtLeast: 10}
	for i := range 9 {
		if storm, _ := few.Add(noon, true); storm {
			t.Errorf("got a storm after %d, want at least 10", i+1)
		}
	}
	few.Reset()
	if storm, _ := few.Add(noon, true); storm {
		t.Error("got a storm after a reset")
	}
}

// The ring counts what a list of all outcomes would.
func TestStormCountsTheLast(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	s := Storm{Share: 0.3, Of: 7, AtLeast: 2}
	var all []bool
	for range 5000 {
		hard := rnd.IntN(3) == 0
		all = append(all, hard)
		last := all[max(0, len(all)-7):]
		n := 0
		for _, h := range last {
			if h {
				n++
			}
		}
		want := hard && n >= 2 && float64(n) > 0.3*float64(max(len(last), 4))
		if got, _ := s.Add(noon, hard); got != want {
			t.Fatalf("after %d: got storm %v, want %v of %v", len(all), got, want, last)
		}
	}
}
