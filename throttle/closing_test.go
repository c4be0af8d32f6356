package throttle

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
)

// One damaged entry does not hide the others, and can be overcome by a new
// closing.
func TestDamagedClosingsAreNamed(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx := t.Context()
		a := NewAccounts(rdb, "bs", "w1", lua)
		if _, err := a.Close(ctx, "a", time.Time{}, "BS-A", "login refused"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			rdb.Set(ctx, "bs:{acct:b}:state", "text", 0).Err(),
			rdb.HSet(ctx, "bs:{acct:c}:state", "until", "soon").Err(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		got, err := a.States(ctx, "a", "b", "c", "d")
		if err != nil {
			t.Fatal(err)
		}
		for account, want := range map[string]string{"a": "BS-A", "b": string(codes.BrokenState), "c": string(codes.BrokenState), "d": ""} {
			s := got[account]
			if s.Code != want || (want == string(codes.BrokenState)) != (s.Reason != "" && s.Until.IsZero()) {
				t.Errorf("account %s: %+v, want code %q, and no times exactly where it is broken", account, s, want)
			}
		}

		first, err := a.Close(ctx, "c", time.Time{}, "BS-A", "login refused")
		if err != nil || !first {
			t.Errorf("close an account with a damaged entry: got first %v, %v, want true", first, err)
		}
	})
}
