package throttle

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"
)

func TestAccountsCloseAndOpen(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx := t.Context()
		w1, w2 := NewAccounts(rdb, "bs", "w1", lua), NewAccounts(rdb, "bs", "w2", lua)
		shut := func(a *Accounts, until time.Time, reason string, want bool) {
			t.Helper()
			first, err := a.Close(ctx, "ses", until, "BS-A1", reason)
			if err != nil {
				t.Fatal(err)
			}
			if first != want {
				t.Errorf("close for %q: got first %v, want %v", reason, first, want)
			}
		}
		check := func(want map[string]State) {
			t.Helper()
			got, err := w1.States(ctx, "ses", "local")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(time.Minute)); diff != "" {
				t.Errorf("states (-want +got):\n%s", diff)
			}
		}
		now := time.Now()
		check(map[string]State{})
		shut(w1, now.Add(-time.Second), "over already", false)
		check(map[string]State{})
		shut(w1, now.Add(time.Hour), "login refused", true)
		shut(w2, now.Add(10*time.Minute), "shorter", false)
		check(map[string]State{"ses": {"BS-A1", "login refused", "w1", now, now.Add(time.Hour)}})
		shut(w2, now.Add(365*24*time.Hour), "certificate expired", false)
		check(map[string]State{"ses": {"BS-A1", "certificate expired", "w2", now, now.Add(MaxClosed)}})
		if ttl := rdb.PTTL(ctx, "bs:{acct:ses}:state").Val(); ttl <= 0 || ttl > MaxClosed {
			t.Errorf("the state lives for %v, want it to end by itself", ttl)
		}
		if err := w2.Open(ctx, "ses"); err != nil {
			t.Fatal(err)
		}
		check(map[string]State{})
		shut(w1, time.Time{}, "no time given", true)
		check(map[string]State{"ses": {"BS-A1", "no time given", "w1", now, now.Add(MaxClosed)}})
	})
}
