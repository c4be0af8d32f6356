package sender

import (
	"log/slog"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/throttle"
)

// The recipients of a part are held back only while every account of the run takes
// nothing for them, until the first one does. An account that this process does not
// know says nothing.
func TestShutUntil(t *testing.T) {
	t.Parallel()
	now := time.Now()
	soon, later := now.Add(time.Minute), now.Add(90*time.Second)
	gmail := at(nil, 0, "gmail.com")
	block := func(a *account, until time.Time) {
		l := a.lanes.of(gmail)
		l.throttled = throttle.Lane{}.Slow(now, throttle.Signal{Rate: 1, Block: true, Backoff: until.Sub(now)})
	}
	for _, tt := range []struct {
		name    string
		prepare func(a, b *account)
		want    time.Time
	}{
		{"both open", func(*account, *account) {}, time.Time{}},
		{"one closed", func(a, _ *account) { a.lanes.breaker.closedUntil = soon }, time.Time{}},
		{"both closed", func(a, b *account) { a.lanes.breaker.closedUntil, b.lanes.breaker.closedUntil = later, soon }, soon},
		{"a spent quota and a paused lane", func(a, b *account) {
			a.lanes.spent = spentQuota{Spent: throttle.Spent{Until: later}, asked: now.Add(time.Hour)}
			block(b, soon)
		}, now.Add(shutReturn)},
		{"closed long ago", func(a, b *account) { a.lanes.breaker.closedUntil, b.lanes.breaker.closedUntil = now.Add(-1), soon }, time.Time{}},
	} {
		cfg := &Config{Log: slog.New(slog.DiscardHandler)}
		life := newLifetime(0, 0)
		a := newAccount(cfg, life, AccountConfig{Name: "a", Connections: 1})
		b := newAccount(cfg, life, AccountConfig{Name: "b", Connections: 1})
		tt.prepare(a, b)
		w := &Worker{accounts: map[string]*account{"a": a, "b": b}}
		part := campaign.PartOf("gmail.com")
		if got := w.ShutUntil([]string{"a", "b", "elsewhere"}, part); got.Sub(tt.want).Abs() > time.Second {
			t.Errorf("%s: until %s, want %s", tt.name, got, tt.want)
		}
	}
}
