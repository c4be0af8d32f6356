package web_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/testkit"
	"broadside/internal/web"
)

// forgetful is a suppression list that can be made to forget, fail, and call
// itself another server.
type forgetful struct {
	mu       sync.Mutex
	id       string
	err      error // of everything
	readonly error // of writes
	volatile bool  // nothing lasts
	entries  map[string]bool
	replays  int // calls of Replay
	replayed int // entries of these
}

func (f *forgetful) server(context.Context) (string, suppression.Barrier, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.id, suppression.Barrier{Replica: true}, f.err
}

func (f *forgetful) AddLasting(_ context.Context, _ suppression.Barrier, entries ...suppression.Entry) (suppression.Noted, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := cmp.Or(f.err, f.readonly); err != nil {
		return suppression.Noted{}, err
	}
	added := 0
	for _, e := range entries {
		person := strings.ToLower(e.Address)
		if !f.entries[person] {
			added++
		}
		f.entries[person] = true
	}
	return suppression.Noted{Added: added, Lasting: !f.volatile, At: time.Now()}, nil
}

func (f *forgetful) Replay(ctx context.Context, b suppression.Barrier, entries ...suppression.Entry) (suppression.Noted, error) {
	f.mu.Lock()
	f.replays++
	f.replayed += len(entries)
	f.mu.Unlock()
	for _, e := range entries {
		if e.At.IsZero() {
			return suppression.Noted{}, errors.New("an entry without its time was replayed")
		}
	}
	return f.AddLasting(ctx, b, entries...)
}

// set changes f; its entries are gone with forget.
func (f *forgetful) set(change func(*forgetful)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *forgetful) forget(id string) {
	f.set(func(f *forgetful) { f.id, f.entries = id, map[string]bool{} })
}

func (f *forgetful) has(address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.entries[address]
}

func (f *forgetful) counts() (replays, replayed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.replays, f.replayed
}

// A kept site is a server that runs in a bubble on a forgetful list.
type keptSite struct {
	list *forgetful
	keys *token.Keys
	h    http.Handler
	log  *testkit.Log
	stop func()
}

func runForgetful(t *testing.T) *keptSite {
	t.Helper()
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"})
	if err != nil {
		t.Fatalf("NewKeys: %v", err)
	}
	s := &keptSite{list: &forgetful{id: "a", entries: map[string]bool{}}, keys: keys, log: &testkit.Log{}}
	srv, err := web.New(web.Config{
		Keys: keys, Suppression: s.list, Server: s.list.server, Ready: ready, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	s.h = srv.Handler()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx, newPipes()) }()
	s.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	synctest.Wait()
	return s
}

// post presses the button of address and returns the status.
func (s *keptSite) post(address string) int {
	link := s.keys.Seal(token.Unsubscribe{Topic: "news", Run: "r-1", Address: address})
	req := httptest.NewRequest("POST", token.Path+link, strings.NewReader("List-Unsubscribe=One-Click"))
	req.Header.Set("Content-Type", form)
	rec := httptest.NewRecorder()
	s.h.ServeHTTP(rec, req)
	return rec.Code
}

// sleep lets time of the bubble pass, and all that happens in it.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func inBubble(t *testing.T, test func(t *testing.T, s *keptSite)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := runForgetful(t)
		defer s.stop()
		test(t, s)
	})
}

func TestForgottenUnsubscribesAreReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		if code := s.post(reader); code != 200 {
			t.Fatalf("POST: %d", code)
		}
		sleep(5 * time.Minute)
		if replays, _ := s.list.counts(); replays != 0 {
			t.Errorf("%d replays to a server that stayed", replays)
		}
		s.list.forget("b")
		sleep(2 * time.Second)
		if !s.list.has(reader) {
			t.Error("not there two seconds after the store went back in time")
		}
		// A connection to the old server may have taken the replay.
		s.list.set(func(f *forgetful) { clear(f.entries) })
		sleep(31 * time.Second)
		if !s.list.has(reader) {
			t.Error("not replayed once more")
		}
		if replays, _ := s.list.counts(); replays != 2 {
			t.Errorf("%d replays, want 2", replays)
		}
	})
}

// However long the store is away, what it acknowledged last is replayed when it
// comes back.
func TestReplayWaitsForTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		s.post(reader)
		s.list.set(func(f *forgetful) { f.err = errors.New("away") })
		if code := s.post("other@example.com"); code != 503 {
			t.Errorf("POST: got %d, want 503 while the store is away", code)
		}
		sleep(3 * time.Hour)
		s.list.set(func(f *forgetful) { f.err, f.readonly = nil, errors.New("READONLY") })
		s.list.forget("b")
		sleep(3 * time.Hour)
		if n := strings.Count(s.log.String(), "not replayed yet"); n != 1 {
			t.Errorf("logged %d times that the replay failed, want once", n)
		}
		s.list.set(func(f *forgetful) { f.readonly = nil })
		sleep(2 * time.Second)
		if !s.list.has(reader) {
			t.Error("forgotten while the store was away")
		}
		if s.list.has("other@example.com") {
			t.Error("replayed what was answered 503")
		}
	})
}

func TestOldUnsubscribesAreNotKept(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		s.post("old@example.com")
		sleep(10*time.Minute + 2*time.Second)
		s.post("new@example.com")
		s.list.forget("b")
		sleep(2 * time.Second)
		if _, n := s.list.counts(); n != 1 || !s.list.has("new@example.com") {
			t.Errorf("%d entries replayed, want the new one alone", n)
		}
	})
}

func TestNoMoreThanTenThousandAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		const most = 10_000
		for i := range most + 5 {
			s.post(fmt.Sprintf("r%d@example.com", i))
		}
		s.list.forget("b")
		sleep(2 * time.Second)
		if _, n := s.list.counts(); n != most || s.list.has("r4@example.com") || !s.list.has("r5@example.com") {
			t.Errorf("%d entries replayed, want the latest %d", n, most)
		}
	})
}

// One link that is used again and again takes one place, and one line of the
// log: the unsubscribes of others stay among those that are replayed.
func TestARepeatedUnsubscribePushesNobodyOut(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		s.list.set(func(f *forgetful) { f.volatile = true })
		s.post("first@example.com")
		for i := range 10_400 {
			s.post([]string{reader, "Reader@EXAMPLE.com"}[i%2])
		}

		log := s.log.String()
		if said, warned := strings.Count(log, "msg=unsubscribed"), strings.Count(log, "not confirmed to last"); said != 2 || warned != 2 {
			t.Errorf("%d unsubscribes are logged, %d as not lasting, want 2 of each", said, warned)
		}
		s.list.forget("b")
		sleep(2 * time.Second)
		if !s.list.has("first@example.com") || !s.list.has(reader) {
			t.Error("an unsubscribe was not replayed")
		}
		s.list.set(func(f *forgetful) { f.replayed = 0 })
		sleep(time.Second)
		if _, n := s.list.counts(); n != 2 {
			t.Errorf("%d entries replayed, want one for each person", n)
		}
	})
}

// While the store is away, every try is answered 503, and the log says so once.
func TestAnOutageIsLoggedOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		s.list.set(func(f *forgetful) { f.err = errors.New("away") })
		for range 100 {
			if code := s.post(reader); code != 503 {
				t.Errorf("POST: got %d, want 503", code)
			}
		}
		s.list.set(func(f *forgetful) { f.err = nil })
		sleep(time.Second)
		s.post(reader)
		log := s.log.String()
		if said := strings.Count(log, "cannot be noted"); said != 1 || !strings.Contains(log, "unsubscribes are noted again") {
			t.Errorf("logged %d times, want once, and that it is over: %s", said, log)
		}
	})
}

// What was removed in the meantime and comes again is said again.
func TestAnUnsubscribeThatIsNewAgainIsLoggedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		s.post(reader)
		s.list.set(func(f *forgetful) { clear(f.entries) }) // the operator took it off the list
		s.post(reader)
		if said := strings.Count(s.log.String(), "msg=unsubscribed"); said != 2 {
			t.Errorf("logged %d times, want 2", said)
		}
	})
}

// What is not confirmed is answered 200, logged without the address, and added
// again until it is.
func TestUnconfirmedUnsubscribesAreAddedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, s *keptSite) {
		s.list.set(func(f *forgetful) { f.volatile = true })
		if code := s.post(reader); code != 200 {
			t.Fatalf("POST: got %d, want 200: it is in force", code)
		}
		log := s.log.String()
		// printf reader@example.com | sha256sum
		const hash = "d108b279434fe1d54ac0f1da633564604b26c2e0e221d108b0fbadb87aba02c0"
		if !strings.Contains(log, "sha256="+hash) || !strings.Contains(log, "scope=topic:news") || strings.Contains(log, "reader") {
			t.Errorf("log: %s", log)
		}
		s.list.set(func(f *forgetful) { clear(f.entries) })
		sleep(5 * time.Second)
		if !s.list.has(reader) {
			t.Error("not added again")
		}
		s.list.set(func(f *forgetful) { f.volatile = false })
		sleep(2 * time.Second)
		before, _ := s.list.counts()
		sleep(5 * time.Second)
		if after, _ := s.list.counts(); after != before {
			t.Errorf("%d replays after it was confirmed", after-before)
		}
		s.list.set(func(f *forgetful) { f.volatile = true })
		s.post("never@example.com")
		sleep(time.Minute)
		before, _ = s.list.counts()
		sleep(5 * time.Second)
		if after, _ := s.list.counts(); after != before {
			t.Errorf("%d replays after a minute", after-before)
		}
	})
}
