package sender

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/throttle"
)

// dateOf names the day of a moment.
func dateOf(now time.Time) string { return now.UTC().Format(time.DateOnly) }

// warmedUp returns an account that is being warmed up, and where its days are counted.
func warmedUp(t *testing.T, held func(days map[string]throttle.Day, now time.Time) int) (*account, *throttle.Days) {
	t.Helper()
	cfg := &Config{Log: slog.New(slog.DiscardHandler)}
	a := newAccount(cfg, newLifetime(0, 0), AccountConfig{
		Name: "new", Connections: 1, Warming: &Warming{Date: dateOf, Held: held},
	})
	return a, throttle.NewDays(newRedis(t), "bs")
}

func never(map[string]throttle.Day, time.Time) int { return 0 }

// expectDays compares what Redis has of the account's days.
func expectDays(t *testing.T, days *throttle.Days, name string, want map[string]throttle.Day) {
	t.Helper()
	got, err := days.Read(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("days of %s (-want +got):\n%s", name, diff)
	}
}

// Every answer counts as sent; what the server wanted later, or fewer of, as deferred.
func TestAnswersCountForAWarmUp(t *testing.T) {
	t.Parallel()
	a, days := warmedUp(t, never)
	for _, state := range []campaign.State{campaign.Accepted, campaign.Deferred, campaign.Pending, campaign.Bounced, campaign.Failed} {
		a.warms(state)
	}
	for range 2 { // the second time there is nothing more to write
		if err := a.warmUp(t.Context(), days, noon); err != nil {
			t.Fatal(err)
		}
	}
	expectDays(t, days, "new", map[string]throttle.Day{"2026-03-01": {Sent: 5, Deferred: 2}})
}

// What Redis did not take is written the next time, with what was counted in the meantime.
func TestCountsOfAWarmUpOutliveAnOutage(t *testing.T) {
	t.Parallel()
	a, days := warmedUp(t, never)
	away, cut := context.WithCancel(t.Context())
	cut()

	a.warms(campaign.Accepted)
	a.warms(campaign.Deferred)
	if err := a.warmUp(away, days, noon); err == nil {
		t.Error("no error while Redis is away")
	}
	a.warms(campaign.Accepted)
	if err := a.warmUp(t.Context(), days, noon); err != nil {
		t.Fatal(err)
	}
	expectDays(t, days, "new", map[string]throttle.Day{"2026-03-01": {Sent: 3, Deferred: 1}})
}

// The steps that are not taken are looked up once a minute, and when the day changes.
func TestStepsOfAWarmUpAreLookedUp(t *testing.T) {
	t.Parallel()
	looked := 0
	a, days := warmedUp(t, func(days map[string]throttle.Day, _ time.Time) int {
		looked++
		return days["2026-03-01"].Deferred
	})
	midnight := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	a.warms(campaign.Deferred)
	for i, tt := range []struct {
		now          time.Time
		looked, held int
	}{
		{noon, 1, 1},
		{noon.Add(heldEvery - 1), 1, 1},
		{noon.Add(heldEvery), 2, 1},
		{midnight.Add(-time.Second), 3, 1},
		{midnight, 4, 1},
		{midnight.Add(time.Second), 4, 1},
	} {
		if err := a.warmUp(t.Context(), days, tt.now); err != nil {
			t.Fatal(err)
		}
		if looked != tt.looked || a.warming.held != tt.held {
			t.Errorf("step %d: looked %d times, %d steps held; want %d, %d", i, looked, a.warming.held, tt.looked, tt.held)
		}
	}
}

// Steps that are not taken stay so while the days cannot be read, and are looked up again
// at once.
func TestStepsStayHeldWhileDaysCannotBeRead(t *testing.T) {
	t.Parallel()
	rdb := newRedis(t)
	a := &account{cfg: AccountConfig{Name: "new", Warming: &Warming{Date: dateOf, Held: never}}, warming: warming{held: 2}}
	days := throttle.NewDays(rdb, "bs")
	key := "bs:{acct:new}:days"
	if err := rdb.Set(t.Context(), key, "no hash", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := a.warmUp(t.Context(), days, noon); err == nil || a.warming.held != 2 {
		t.Errorf("%d steps held, %v; want two and an error", a.warming.held, err)
	}

	if err := rdb.Del(t.Context(), key).Err(); err != nil {
		t.Fatal(err)
	}
	if err := a.warmUp(t.Context(), days, noon.Add(time.Second)); err != nil || a.warming.held != 0 {
		t.Errorf("%d steps held, %v; want none as soon as they can be read", a.warming.held, err)
	}
}

// A worker that ends writes what it has counted.
func TestCountsOfAWarmUpAreWrittenAtTheEnd(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	days := throttle.NewDays(b.rdb, "bs")
	b.alter = func(cfg *Config) {
		cfg.Days = days
		cfg.Ways[0].Warming = &Warming{Date: func(time.Time) string { return "today" }, Held: never}
	}
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == 1 })
	expectDays(t, days, "sink", map[string]throttle.Day{"today": {Sent: 1}})
}
