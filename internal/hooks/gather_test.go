package hooks_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/hooks"
)

// A slow store takes half a second each time, as a Redis that waits for its disk, or longer,
// and takes none of what it is given together when refuse says so about one of them, or
// apart when it takes nothing but single notices.
type slow struct {
	refuse func(n campaign.Notice) error
	apart  bool
	takes  time.Duration // 0: half a second

	mu       sync.Mutex
	calls    []int // how many notices came with each
	underWay int
	most     int // calls at once
	stored   []string
}

func (s *slow) Record(ctx context.Context, notices []campaign.Notice) error {
	s.mu.Lock()
	s.calls = append(s.calls, len(notices))
	s.underWay++
	s.most = max(s.most, s.underWay)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.underWay--
	}()

	select {
	case <-time.After(cmp.Or(s.takes, 500*time.Millisecond)):
	case <-ctx.Done():
		return context.Cause(ctx)
	}

	if s.apart && len(notices) > 1 {
		return errors.New("not together")
	}
	for _, n := range notices {
		if s.refuse == nil {
			break
		}
		if err := s.refuse(n); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range notices {
		s.stored = append(s.stored, n.ID)
	}
	return nil
}

func newSlowDesk(t *testing.T, s *slow) *desk {
	t.Helper()
	return newDesk(t, hooks.Config{Recorder: s, Hooks: configs.Hooks{Generic: &configs.GenericHook{Secret: genericSecret}}})
}

// numbered is a request with one event.
func numbered(t *testing.T, i int) letter {
	t.Helper()
	return byGeneric(t, time.Now(), fmt.Sprintf(`{"id":"%d","type":"delivered"}`, i))
}

// postAll posts requests at the same time and returns the statuses of the answers. What
// panics has no answer: 0.
func (d *desk) postAll(letters []letter) []int {
	status := make([]int, len(letters))
	var all sync.WaitGroup
	for i, l := range letters {
		all.Go(func() {
			defer func() { _ = recover() }() // as net/http does
			status[i] = d.post(l).Code
		})
	}
	all.Wait()
	return status
}

// Requests that come at the same time are stored together, and none is answered before.
func TestRequestsOfTheSameTimeAreStoredTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const requests = 300
		s := &slow{}
		d := newSlowDesk(t, s)
		var letters []letter
		for i := range requests {
			letters = append(letters, numbered(t, i))
		}
		began := time.Now()
		same(t, slices.Repeat([]int{200}, requests), d.postAll(letters))
		if took := time.Since(began); took != time.Second {
			t.Errorf("took %s, want a second: those that come while the store is busy wait for it once", took)
		}
		if len(s.calls) != hooks.MaxStores+1 {
			t.Errorf("stored by calls of %v, want %d calls", s.calls, hooks.MaxStores+1)
		}
		slices.Sort(s.stored)
		same(t, requests, len(slices.Compact(s.stored)))
	})
}

// An event that cannot be stored keeps no other from being stored.
func TestOneFailureIsOnesOwn(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func() error{
		"error": func() error { return errors.New("cannot be stored") },
		"panic": func() error { panic("a panic of this test") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const requests, bad = 20, 13
				s := &slow{refuse: func(n campaign.Notice) error {
					if n.ID == fmt.Sprintf("generic:%d", bad) {
						return refuse()
					}
					return nil
				}}
				d := newSlowDesk(t, s)
				var letters []letter
				for i := range requests {
					letters = append(letters, numbered(t, i))
				}
				for range 3 { // no way to the store is lost
					failed := 0
					for i, status := range d.postAll(letters) {
						switch {
						case status != 200:
							failed++
						case i == bad:
							t.Error("what was not stored was answered with 200")
						}
					}
					// The one with whose request a panic goes up has no answer, and comes again.
					if most := map[string]int{"error": 1, "panic": 2}[name]; failed > most {
						t.Errorf("%d requests failed, want %d at most", failed, most)
					}
				}
			})
		})
	}
}

// A client that goes away takes no other with it, whether it waits or is to store what
// others wait for.
func TestAClientThatGoesAwayTakesNoOtherWithIt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{}
		d := newSlowDesk(t, s)
		ctx, goAway := context.WithCancel(t.Context())
		var all sync.WaitGroup
		post := func(ctx context.Context, i, want int) {
			l := numbered(t, i)
			all.Go(func() {
				req := httptest.NewRequestWithContext(ctx, http.MethodPost, "/hooks/generic", strings.NewReader(l.body))
				for k, v := range l.header {
					req.Header.Set(k, v)
				}
				res := httptest.NewRecorder()
				d.ServeHTTP(res, req)
				if res.Code != want {
					t.Errorf("request %d: got %d, want %d", i, res.Code, want)
				}
			})
			synctest.Wait() // they come in this order
		}

		for i := range hooks.MaxStores {
			post(t.Context(), i, 200)
		}
		gone, leave := context.WithCancel(t.Context())
		post(gone, 10, 503)
		post(t.Context(), 11, 200)
		post(ctx, 12, 200) // stores itself and 11
		leave()
		time.Sleep(600 * time.Millisecond) // in a bubble: by now 12 stores
		goAway()
		all.Wait()

		slices.Sort(s.stored)
		same(t, []string{"generic:0", "generic:1", "generic:11", "generic:12"}, s.stored)
	})
}

// What waits longest does not give its short time to those that are stored with it.
func TestTheLastHasTimeForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slow{takes: 6 * time.Second} // of 8 that a request has
		d := newSlowDesk(t, s)
		var all sync.WaitGroup
		got := make([]int, hooks.MaxStores+2)
		post := func(i int) {
			l := numbered(t, i)
			all.Go(func() { got[i] = d.post(l).Code })
			synctest.Wait()
		}

		for i := range hooks.MaxStores + 1 {
			post(i) // the last of these has to wait
		}
		time.Sleep(5 * time.Second) // in a bubble
		post(hooks.MaxStores + 1)
		all.Wait()

		want := append(slices.Repeat([]int{200}, hooks.MaxStores), 503, 200)
		same(t, want, got)
		same(t, hooks.MaxStores+2, len(s.stored)) // that of the one whose time was over as well
	})
}

// After a failure not all store what they have at once.
func TestFewAtATimeStoreByThemselves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const requests = 400
		s := &slow{apart: true}
		d := newSlowDesk(t, s)
		var letters []letter
		for i := range requests {
			letters = append(letters, numbered(t, i))
		}

		same(t, slices.Repeat([]int{200}, requests), d.postAll(letters))
		if most := hooks.MaxStores + hooks.MaxAlone; s.most > most {
			t.Errorf("%d stored at once, want %d at most", s.most, most)
		}
	})
}
