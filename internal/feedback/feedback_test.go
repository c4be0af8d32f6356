package feedback_test

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/feedback"
	"broadside/internal/testkit"
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

func (f *forgetful) ConfirmReturns(_ context.Context, _ []int, returns []suppression.Return) ([]bool, error) {
	return make([]bool, len(returns)), nil
}

func (f *forgetful) CountReturns(_ context.Context, _ suppression.SoftLimit, returns []suppression.Return) ([]bool, error) {
	return make([]bool, len(returns)), nil
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

// A fixture is a recorder that runs in a bubble on a forgetful list.
type fixture struct {
	*feedback.Recorder
	list *forgetful
	log  *testkit.Log
	runs counter // of each event that was counted
}

// A counter is a ledger that has every run. It counts events, or fails.
type counter struct {
	feedback.Ledger
	runs []string
	err  error
}

func (c *counter) Record(_ context.Context, id string) (*ledger.Record, error) {
	return &ledger.Record{ID: id, Attempt: "a"}, nil
}

func (c *counter) CountAfter(_ context.Context, run *ledger.Run, all []ledger.After) ([]bool, error) {
	for _, a := range all {
		c.runs = append(c.runs, run.ID+" "+string(a.Kind)+" "+hex.EncodeToString([]byte(a.Person)))
	}
	return make([]bool, len(all)), c.err
}

const reader = "reader@example.com"

// unsubscribe presses the button of an address and reports whether that is in force.
func (b *fixture) unsubscribe(t *testing.T, address string) bool {
	err := b.Apply(t.Context(), campaign.Event{
		Recipient: address, Run: "r-1", Kind: campaign.EventUnsubscribed, Topic: "news", Source: "page",
	})
	return err == nil
}

// sleep lets time of the bubble pass, and all that happens in it.
func sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func inBubble(t *testing.T, test func(t *testing.T, b *fixture)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &fixture{list: &forgetful{id: "a", entries: map[string]bool{}}, log: &testkit.Log{}}
		b.Recorder = feedback.New(feedback.Config{
			Suppression: b.list, Ledger: &b.runs, Server: b.list.server, Log: slog.New(slog.NewTextHandler(b.log, nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			b.Run(ctx)
			close(ended)
		}()
		synctest.Wait()
		test(t, b)
		cancel()
		<-ended
	})
}

func TestForgottenUnsubscribesAreReplayed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		if !b.unsubscribe(t, reader) {
			t.Fatal("not in force")
		}
		sleep(5 * time.Minute)
		if replays, _ := b.list.counts(); replays != 0 {
			t.Errorf("%d replays to a server that stayed", replays)
		}
		b.list.forget("b")
		sleep(2 * time.Second)
		if !b.list.has(reader) {
			t.Error("not there two seconds after the store went back in time")
		}
		// A connection to the old server may have taken the replay.
		b.list.set(func(f *forgetful) { clear(f.entries) })
		sleep(31 * time.Second)
		if !b.list.has(reader) {
			t.Error("not replayed once more")
		}
		if replays, _ := b.list.counts(); replays != 2 {
			t.Errorf("%d replays, want 2", replays)
		}
	})
}

// However long the store is away, what it acknowledged last is replayed when it
// comes back.
func TestReplayWaitsForTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.unsubscribe(t, reader)
		b.list.set(func(f *forgetful) { f.err = errors.New("away") })
		if b.unsubscribe(t, "other@example.com") {
			t.Error("acknowledged while the store is away")
		}
		sleep(3 * time.Hour)
		b.list.set(func(f *forgetful) { f.err, f.readonly = nil, errors.New("READONLY") })
		b.list.forget("b")
		sleep(3 * time.Hour)
		if n := strings.Count(b.log.String(), "not replayed yet"); n != 1 {
			t.Errorf("logged %d times that the replay failed, want once", n)
		}
		b.list.set(func(f *forgetful) { f.readonly = nil })
		sleep(2 * time.Second)
		if !b.list.has(reader) {
			t.Error("forgotten while the store was away")
		}
		if b.list.has("other@example.com") {
			t.Error("replayed what was not acknowledged")
		}
	})
}

func TestOldUnsubscribesAreNotKept(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.unsubscribe(t, "old@example.com")
		sleep(10*time.Minute + 2*time.Second)
		b.unsubscribe(t, "new@example.com")
		b.list.forget("b")
		sleep(2 * time.Second)
		if _, n := b.list.counts(); n != 1 || !b.list.has("new@example.com") {
			t.Errorf("%d entries replayed, want the new one alone", n)
		}
	})
}

func TestNoMoreThanTenThousandAreKept(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		const most = 10_000
		for i := range most + 5 {
			b.unsubscribe(t, fmt.Sprintf("r%d@example.com", i))
		}
		b.list.forget("b")
		sleep(2 * time.Second)
		if _, n := b.list.counts(); n != most || b.list.has("r4@example.com") || !b.list.has("r5@example.com") {
			t.Errorf("%d entries replayed, want the latest %d", n, most)
		}
	})
}

// One link that is used again and again takes one place, and one line of the
// log: the unsubscribes of others stay among those that are replayed.
func TestARepeatedUnsubscribePushesNobodyOut(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.list.set(func(f *forgetful) { f.volatile = true })
		b.unsubscribe(t, "first@example.com")
		for i := range 10_400 {
			b.unsubscribe(t, []string{reader, "Reader@EXAMPLE.com"}[i%2])
		}

		log := b.log.String()
		if said, warned := strings.Count(log, "msg=unsubscribed"), strings.Count(log, "not confirmed to last"); said != 2 || warned != 2 {
			t.Errorf("%d unsubscribes are logged, %d as not lasting, want 2 of each", said, warned)
		}
		b.list.forget("b")
		sleep(2 * time.Second)
		if !b.list.has("first@example.com") || !b.list.has(reader) {
			t.Error("an unsubscribe was not replayed")
		}
		b.list.set(func(f *forgetful) { f.replayed = 0 })
		sleep(time.Second)
		if _, n := b.list.counts(); n != 2 {
			t.Errorf("%d entries replayed, want one for each person", n)
		}
	})
}

// What was removed in the meantime and comes again is said again.
func TestAnUnsubscribeThatIsNewAgainIsLoggedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.unsubscribe(t, reader)
		b.list.set(func(f *forgetful) { clear(f.entries) }) // the operator took it off the list
		b.unsubscribe(t, reader)
		if said := strings.Count(b.log.String(), "msg=unsubscribed"); said != 2 {
			t.Errorf("logged %d times, want 2", said)
		}
	})
}

// What is not confirmed is acknowledged, logged without the address, and added
// again until it is.
func TestUnconfirmedUnsubscribesAreAddedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.list.set(func(f *forgetful) { f.volatile = true })
		if !b.unsubscribe(t, reader) {
			t.Fatal("not in force")
		}
		log := b.log.String()
		// printf reader@example.com | sha256sum
		const hash = "d108b279434fe1d54ac0f1da633564604b26c2e0e221d108b0fbadb87aba02c0"
		if !strings.Contains(log, "sha256="+hash) || !strings.Contains(log, "scope=topic:news") || strings.Contains(log, "reader") {
			t.Errorf("log: %s", log)
		}
		b.list.set(func(f *forgetful) { clear(f.entries) })
		sleep(5 * time.Second)
		if !b.list.has(reader) {
			t.Error("not added again")
		}
		b.list.set(func(f *forgetful) { f.volatile = false })
		sleep(2 * time.Second)
		before, _ := b.list.counts()
		sleep(5 * time.Second)
		if after, _ := b.list.counts(); after != before {
			t.Errorf("%d replays after it was confirmed", after-before)
		}
		b.list.set(func(f *forgetful) { f.volatile = true })
		b.unsubscribe(t, "never@example.com")
		sleep(time.Minute)
		before, _ = b.list.counts()
		sleep(5 * time.Second)
		if after, _ := b.list.counts(); after != before {
			t.Errorf("%d replays after a minute", after-before)
		}
	})
}

// An unsubscribe counts by its address, so that the ledger can tell that it came before.
func TestAnUnsubscribeCountsByItsAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, b *fixture) {
		b.runs.err = errors.New("redis is away")
		if !b.unsubscribe(t, "Reader@Example.com") {
			t.Error("an unsubscribe that cannot be counted is not in force")
		}
		// printf reader@example.com | sha256sum
		if diff := gocmp.Diff([]string{"r-1 unsubscribed d108b279434fe1d54ac0f1da63356460"}, b.runs.runs); diff != "" {
			t.Errorf("counted (-want +got):\n%s", diff)
		}
		if !strings.Contains(b.log.String(), "redis is away") {
			t.Errorf("log: %s", b.log)
		}
	})
}
