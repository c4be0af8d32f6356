package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/feed"
	"broadside/campaign/sources"
	"broadside/internal/testkit"
)

// keepers runs a test on the embedded kind of Redis and on a real one.
func keepers(t *testing.T, f func(t *testing.T, s *Schedules)) {
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		m := miniredis.RunT(t)
		rdb := redis.NewClient(&redis.Options{Addr: m.Addr()})
		t.Cleanup(func() { rdb.Close() })
		f(t, NewSchedules(rdb, "bs", func(src string) *redis.Script {
			return redis.NewScript(strings.Replace(src, "#!", "--#!", 1))
		}))
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		opts, err := redis.ParseURL(testkit.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		rdb := redis.NewClient(opts)
		t.Cleanup(func() { rdb.Close() })
		f(t, NewSchedules(rdb, "bs", redis.NewScript))
	})
}

// put stores a schedule without files.
func put(t *testing.T, s *Schedules, id string, timing Timing) *Schedule {
	t.Helper()
	if timing.Zone == "" {
		timing.Zone = "UTC"
	}

	if timing.MaxLateness == 0 {
		timing.MaxLateness = time.Hour
	}

	sc := Schedule{ID: id, Topic: "newsletter", Timing: timing, Version: NewVersion()}
	if _, err := s.Put(t.Context(), sc); err != nil {
		t.Fatal(err)
	}

	return &sc
}

// soon is the whole second after the next one.
func soon(t *testing.T, s *Schedules) time.Time {
	t.Helper()
	now, err := s.Now(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now.Truncate(time.Second).Add(2 * time.Second)
}

type makeFunc = func(context.Context, Firing, func(context.Context) error) (Made, error)

// firing runs a Firer until the test ends, or stop is called.
func firing(t *testing.T, s *Schedules, makeRun makeFunc) (stop func()) {
	t.Helper()
	f := NewFirer(s, FirerConfig{Log: slog.New(slog.DiscardHandler)})
	f.makeRun = makeRun
	f.pause = 50 * time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)

	return stop
}

// until looks at a schedule until ok, for 20 s.
func until(t *testing.T, s *Schedules, id string, ok func(*Entry) bool) *Entry {
	t.Helper()
	var e *Entry
	for range testkit.Tries(20 * time.Second) {
		var err error
		if e, err = s.Get(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if ok(e) {
			return e
		}
	}

	t.Fatalf("schedule %s did not come to it: %+v", id, e)
	return nil
}

func history(t *testing.T, s *Schedules, id string) []Occurrence {
	t.Helper()
	all, err := s.History(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A ledger that makes runs once, as that of campaign/ledger does.
type runs struct {
	mu   sync.Mutex
	made map[string]int // run -> how many times Make made it ready
}

func (r *runs) make(ctx context.Context, f Firing, renewClaim func(context.Context) error) (Made, error) {
	id := fmt.Sprint(f.ID, "-", f.Occurrence.Unix())
	if err := renewClaim(ctx); err != nil {
		return Made{}, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.made[id]++
	return Made{Run: id}, nil
}

func TestEachOccurrenceIsFiredOnceByTwoFirers(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		put(t, s, "tick", Timing{Cron: "@every 1s"})
		put(t, s, "tock", Timing{Cron: "@every 1s"})
		r := &runs{made: map[string]int{}}
		stop1 := firing(t, s, r.make)
		stop2 := firing(t, s, r.make)
		until(t, s, "tick", func(e *Entry) bool { return e.Fired >= 4 })
		until(t, s, "tock", func(e *Entry) bool { return e.Fired >= 4 })
		stop1()
		stop2()
		for _, id := range []string{"tick", "tock"} {
			all := history(t, s, id)
			for i, o := range all {
				if o.Outcome != Fired || r.made[o.Run] != 1 {
					t.Errorf("%v: %s, made %d times", o.At, o.Outcome, r.made[o.Run])
				}
				if i > 0 && all[i-1].At.Sub(o.At) != time.Second {
					t.Errorf("after %v came %v", o.At, all[i-1].At)
				}
			}

			e, err := s.Get(t.Context(), id)
			if err != nil || e.LastRun != all[0].Run || !e.Next.Equal(all[0].At.Add(time.Second)) || !e.Firing.IsZero() {
				t.Errorf("%s: last run %s, next %v, at %v, error %v", id, e.LastRun, e.Next, e.Firing, err)
			}
		}
	})
}

// A process that dies at an occurrence leaves its claim behind.
func TestWhoDiesAtAnOccurrenceIsMadeUpFor(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		s.lease = 400 * time.Millisecond
		at := soon(t, s)
		put(t, s, "once", Timing{At: at})
		var dead *Firing
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for dead == nil {
			<-tick.C
			var err error
			if dead, err = s.next(t.Context(), "dead"); err != nil {
				t.Fatal(err)
			}
		}

		r := &runs{made: map[string]int{}}
		stop := firing(t, s, r.make)
		e := until(t, s, "once", (*Entry).Done)
		stop()
		if e.Fired != 1 || len(r.made) != 1 {
			t.Errorf("fired %d, made %v", e.Fired, r.made)
		}
		// It was not dead, only slow: what it does now changes nothing.
		if err := s.renewClaim(t.Context(), *dead); !errors.Is(err, ErrTaken) {
			t.Errorf("renewClaim: got %v, want ErrTaken", err)
		}
		if kept, err := s.record(t.Context(), *dead, Occurrence{At: at, Outcome: Failed}, time.Time{}); kept || err != nil {
			t.Errorf("record: got %v, %v; want false", kept, err)
		}
		if n := len(history(t, s, "once")); n != 1 {
			t.Errorf("%d occurrences are recorded, want 1", n)
		}
	})
}

// A firer that is told to stop in the middle leaves the occurrence to the
// next one at once.
func TestWhoStopsAtAnOccurrenceGivesItBack(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		s.lease = time.Hour // the claim is given back, it does not end
		put(t, s, "once", Timing{At: soon(t, s)})
		begun := make(chan struct{})
		stop := firing(t, s, func(ctx context.Context, _ Firing, _ func(context.Context) error) (Made, error) {
			close(begun)
			<-ctx.Done()
			return Made{}, context.Cause(ctx)
		})
		<-begun
		stop()
		if e := until(t, s, "once", func(e *Entry) bool { return e.Firing.IsZero() }); e.Trouble != "" {
			t.Errorf("trouble is %q, want none", e.Trouble)
		}

		r := &runs{made: map[string]int{}}
		firing(t, s, r.make)
		if e := until(t, s, "once", (*Entry).Done); e.Fired != 1 {
			t.Errorf("fired %d times", e.Fired)
		}
	})
}

func TestWhatIsTooLateIsRecordedAndNotSent(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		at := soon(t, s)
		put(t, s, "late", Timing{At: at, MaxLateness: time.Second})
		put(t, s, "slow", Timing{At: at, MaxLateness: time.Second})
		firing(t, s, func(ctx context.Context, f Firing, renewClaim func(context.Context) error) (Made, error) {
			if f.ID == "late" {
				if f.Late() {
					return Made{}, ErrLate
				}
				return Made{}, errors.New("the way is blocked")
			}

			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for ; ; <-tick.C { // the audience is long
				if err := renewClaim(ctx); err != nil {
					return Made{}, err
				}
			}
		})
		for _, id := range []string{"late", "slow"} {
			e := until(t, s, id, (*Entry).Done)
			got := history(t, s, id)
			want := []Occurrence{{At: at, Outcome: Missed, Count: 1}}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Occurrence{}, "Reason", "Recorded")); diff != "" || e.Missed != 1 || e.Fired != 0 {
				t.Errorf("%s: missed %d, fired %d (-want +got):\n%s", id, e.Missed, e.Fired, diff)
			}
			if id == "late" && !strings.Contains(got[0].Reason, "the way is blocked") {
				t.Errorf("reason %q does not say what was in the way", got[0].Reason)
			}
		}
	})
}

// A missed occurrence is on the list of those to be told of together with its record, and
// only where others are told.
func TestMissedOccurrencesAreToBeTold(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		ctx := t.Context()
		at := soon(t, s)
		for _, id := range []string{"told", "silent", "fired", "lost"} {
			put(t, s, id, Timing{At: at, MaxLateness: time.Second})
		}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		claimed := map[string]*Firing{}
		for len(claimed) < 4 {
			<-tick.C
			o, err := s.next(ctx, "holder")
			if err != nil {
				t.Fatal(err)
			}
			if o == nil {
				continue
			}
			if err := s.rdb.HSet(ctx, s.of(o.ID), "holder", "holder of "+o.ID).Err(); err != nil {
				t.Fatal(err)
			}
			o.holder = "holder of " + o.ID
			o.told = o.ID != "silent"
			claimed[o.ID] = o
		}
		claimed["lost"].holder = "somebody else"

		for id, o := range claimed {
			entry := Occurrence{At: at, Count: 3, Until: at.Add(2 * time.Second), Outcome: Missed, Reason: "BS-MISSED: late"}
			if id == "fired" {
				entry.Outcome = Fired
			}
			if kept, err := s.record(ctx, *o, entry, time.Time{}); err != nil || kept != (id != "lost") {
				t.Errorf("%s: record: %v, %v", id, kept, err)
			}
		}

		all, err := s.Untold(ctx)
		if err != nil || len(all) != 1 {
			t.Fatalf("to be told of are %+v, error %v; want one", all, err)
		}
		want := campaign.MissedOccurrence{Campaign: "told", Topic: "newsletter", At: at, Until: at.Add(2 * time.Second), Times: 3, Reason: "BS-MISSED: late"}
		if diff := cmp.Diff(want, all[0], cmpopts.IgnoreFields(campaign.MissedOccurrence{}, "Recorded", "Stored")); diff != "" || all[0].Recorded.IsZero() {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if err := s.NoteTold(ctx, all[0]); err != nil {
			t.Fatal(err)
		}
		if all, err := s.Untold(ctx); err != nil || len(all) != 0 {
			t.Errorf("still to be told of are %+v, error %v", all, err)
		}
	})
}

// An occurrence whose audience could not be read waits for longer, but not for longer
// than it may be late.
func TestPauseAfterTrouble(t *testing.T) {
	t.Parallel()
	f := NewFirer(nil, FirerConfig{Log: slog.New(slog.DiscardHandler)})
	at := time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)
	source := fmt.Errorf("open: %w", &sources.Trouble{})
	_, ofFeed := feed.Read(t.Context(), &campaign.Definition{Content: campaign.Content{Feed: "%"}}, time.UTC)
	for _, tc := range []struct {
		name  string
		late  time.Duration // when it was claimed
		tried time.Duration
		err   error
		want  time.Duration
	}{
		{"of any other kind", 0, time.Second, errors.New("connection refused"), troublePause},
		{"of a source", 0, time.Second, source, sourcePause},
		{"of room", 0, time.Second, ErrNoRoom, roomPause},
		{"of a source, near the end", 50 * time.Second, 5 * time.Second, source, 5 * time.Second},
		{"of a source, at the end", 50 * time.Second, 9 * time.Second, source, troublePause},
		{"of a source, after the end", 50 * time.Second, time.Minute, source, troublePause},
		{"of a feed", 0, time.Second, ofFeed, sourcePause},
	} {
		o := Firing{Schedule: Schedule{Timing: Timing{MaxLateness: time.Minute}}, Occurrence: at, now: at.Add(tc.late)}
		if got := f.pauseAfter(o, tc.tried, tc.err); got != tc.want {
			t.Errorf("%s: got %v, want %v", tc.name, got, tc.want)
		}

		// By recipients' own clocks an occurrence is not late before it has come everywhere.
		o.Timing.Recipient = true
		o.now = o.Timing.LastMoment(at).Add(tc.late)
		if got := f.pauseAfter(o, tc.tried, tc.err); got != tc.want {
			t.Errorf("%s, recipients' own time: got %v, want %v", tc.name, got, tc.want)
		}
	}
}

func TestTroubleIsTriedAgainAndFailureIsNot(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		at := soon(t, s)
		put(t, s, "trouble", Timing{At: at})
		put(t, s, "failure", Timing{At: at})
		var mu sync.Mutex
		var calls []string
		firing(t, s, func(_ context.Context, f Firing, _ func(context.Context) error) (Made, error) {
			mu.Lock()
			defer mu.Unlock()
			calls = append(calls, f.ID)
			switch {
			case f.ID == "failure":
				return Made{Run: "r", Failure: "no such list"}, nil
			case count(calls, "trouble") < 3:
				return Made{}, errors.New("connection refused")
			}

			return Made{Run: "t"}, nil
		})
		if e := until(t, s, "failure", (*Entry).Done); e.Failed != 1 || e.LastRun != "" {
			t.Errorf("failed %d times, last run %q", e.Failed, e.LastRun)
		}
		if got := history(t, s, "failure")[0]; got.Outcome != Failed || got.Reason != "no such list" || got.Run != "r" {
			t.Errorf("recorded is %+v", got)
		}
		if e := until(t, s, "trouble", (*Entry).Done); e.Fired != 1 || e.Trouble != "" || e.LastRun != "t" {
			t.Errorf("got %+v", e)
		}

		mu.Lock()
		defer mu.Unlock()
		if count(calls, "failure") != 1 || count(calls, "trouble") != 3 {
			t.Errorf("calls were %v", calls)
		}
	})
}

func count(all []string, s string) (n int) {
	for _, a := range all {
		if a == s {
			n++
		}
	}
	return n
}

func TestUnscheduledWhileItIsFired(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		s.lease = 200 * time.Millisecond // is renewed
		at := soon(t, s)
		put(t, s, "gone", Timing{At: at})
		begun := make(chan struct{})
		cause := make(chan error, 1)
		firing(t, s, func(ctx context.Context, _ Firing, renewClaim func(context.Context) error) (Made, error) {
			close(begun)
			<-ctx.Done()
			cause <- context.Cause(ctx)
			return Made{}, ctx.Err()
		})
		<-begun
		if got, err := s.Remove(t.Context(), "gone"); err != nil || !got.Equal(at) {
			t.Errorf("Remove: got %v, %v; want %v", got, err, at)
		}
		if err := <-cause; !errors.Is(err, ErrGone) {
			t.Errorf("it was stopped by %v, want ErrGone", err)
		}
		if _, err := s.Remove(t.Context(), "gone"); !errors.Is(err, ErrNoSchedule) {
			t.Errorf("Remove once more: got %v, want ErrNoSchedule", err)
		}
	})
}

func TestReplacedWhileItIsFired(t *testing.T) {
	t.Parallel()
	keepers(t, func(t *testing.T, s *Schedules) {
		at := soon(t, s)
		put(t, s, "news", Timing{At: at})
		begun := make(chan struct{})
		on := make(chan struct{})
		firing(t, s, func(ctx context.Context, f Firing, renewClaim func(context.Context) error) (Made, error) {
			close(begun)
			<-on
			return Made{Run: "first"}, renewClaim(ctx)
		})
		<-begun
		later := at.Add(24 * time.Hour)
		put(t, s, "news", Timing{At: later})
		close(on)
		e := until(t, s, "news", func(e *Entry) bool { return e.Fired == 1 })
		if !e.Next.Equal(later) || e.LastRun != "first" {
			t.Errorf("next is %v, want %v; last run %q", e.Next, later, e.LastRun)
		}
	})
}

// A schedule that cannot be read keeps no other from being listed and fired, and
// can be taken off.
func TestBrokenScheduleIsNamed(t *testing.T) {
	keepers(t, func(t *testing.T, s *Schedules) {
		ctx := t.Context()
		at := soon(t, s)
		for _, id := range []string{"a", "b", "c"} {
			put(t, s, id, Timing{At: at})
		}

		if err := s.rdb.Del(ctx, s.of("a")).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.rdb.Set(ctx, s.of("a"), "text", 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := s.rdb.HSet(ctx, s.of("b"), "schedule", "{").Err(); err != nil {
			t.Fatal(err)
		}

		all, err := s.List(ctx)
		if err != nil || len(all) != 3 {
			t.Fatalf("got %d schedules, %v, want 3", len(all), err)
		}

		for i, broken := range []bool{true, true, false} {
			if campaign.IsBroken(all[i].Broken) != broken {
				t.Errorf("schedule %s: %v, want broken: %v", all[i].ID, all[i].Broken, broken)
			}
		}

		stop := firing(t, s, func(_ context.Context, f Firing, _ func(context.Context) error) (Made, error) {
			return Made{Run: campaign.RunID(f.ID, f.Occurrence)}, nil
		})
		until(t, s, "c", func(e *Entry) bool { return e.Fired == 1 })
		stop()
		for _, id := range []string{"a", "b"} {
			if _, err := s.Remove(ctx, id); err != nil {
				t.Errorf("remove %s: %v", id, err)
			}
		}

		if all, err := s.List(ctx); err != nil || len(all) != 1 {
			t.Errorf("after removal: %d schedules, %v, want 1", len(all), err)
		}
	})
}
