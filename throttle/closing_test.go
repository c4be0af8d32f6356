package throttle

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/redis/go-redis/v9"

	"broadside/campaign/codes"
)

func TestLanesCloseAndOpen(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx := t.Context()
		w1, w2 := NewAccounts(rdb, "bs", "w1", lua), NewAccounts(rdb, "bs", "w2", lua)
		closeLane := func(a *Accounts, provider string, until time.Time, reason string, want bool) {
			t.Helper()
			first, err := a.CloseLane(ctx, "ses", provider, until, "BS-L", reason)
			if err != nil {
				t.Fatal(err)
			}
			if first != want {
				t.Errorf("close lane %s for %q: got first %v, want %v", provider, reason, first, want)
			}
		}
		check := func(want ...Closing) {
			t.Helper()
			got, err := w1.Closings(ctx, "ses", "local")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateApproxTime(30*time.Second)); diff != "" {
				t.Errorf("closings (-want +got):\n%s", diff)
			}
		}
		now := time.Now()
		check()
		closeLane(w1, "gmail", now.Add(-time.Second), "over already", false)
		check()
		closeLane(w1, "gmail", now.Add(time.Hour), "421 4.7.0\ttoo fast", true)
		closeLane(w2, "gmail", now.Add(10*time.Minute), "shorter", false)
		closeLane(w2, "gmail", now.Add(2*time.Hour), "421 4.7.28 longer", false)
		closeLane(w2, "yahoo", time.Time{}, "no time given", true)
		gmail := Closing{"ses", "gmail", State{"BS-L", "421 4.7.28 longer", "w2", now, now.Add(2 * time.Hour)}}
		yahoo := Closing{"ses", "yahoo", State{"BS-L", "no time given", "w2", now, now.Add(MaxClosed)}}
		check(gmail, yahoo)
		if ttl := rdb.PTTL(ctx, "bs:{acct:ses}:lanes").Val(); ttl < MaxClosed-time.Minute || ttl > MaxClosed {
			t.Errorf("closed lanes live for %v, want as long as the last of them", ttl)
		}
		if _, err := w1.Close(ctx, "local", now.Add(time.Hour), "BS-A", "login refused"); err != nil {
			t.Fatal(err)
		}
		local := Closing{"local", "", State{"BS-A", "login refused", "w1", now, now.Add(time.Hour)}}
		check(gmail, yahoo, local)
		if err := w1.OpenLane(ctx, "ses", "gmail"); err != nil {
			t.Fatal(err)
		}
		check(yahoo, local)
		closeLane(w1, "gmail", now.Add(time.Hour), "again", true)
	})
}

// A lane whose time has come is open, although the key of its account lives on
// for another lane; the next closing of it is a new one.
func TestLaneOpensByItself(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx := t.Context()
		a := NewAccounts(rdb, "bs", "w1", lua)
		if _, err := a.CloseLane(ctx, "ses", "yahoo", time.Time{}, "BS-L", "long"); err != nil {
			t.Fatal(err)
		}
		over := time.Now().Add(-time.Second).UnixMilli()
		value := strings.Join([]string{strconv.FormatInt(over, 10), strconv.FormatInt(over-1000, 10), "BS-L", "w1", "over"}, "\t")
		if err := rdb.HSet(ctx, "bs:{acct:ses}:lanes", "gmail", value).Err(); err != nil {
			t.Fatal(err)
		}
		got, err := a.Closings(ctx, "ses")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0].Provider != "yahoo" {
			t.Errorf("got %+v, want yahoo alone", got)
		}
		first, err := a.CloseLane(ctx, "ses", "gmail", time.Now().Add(time.Minute), "BS-L", "anew")
		if err != nil || !first {
			t.Errorf("close a lane that has opened by itself: got first %v, %v, want true", first, err)
		}
		got, err = a.Closings(ctx, "ses")
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 2 || time.Since(got[0].Since) > time.Minute/2 {
			t.Errorf("got %+v, want gmail closed since now", got)
		}
	})
}

// One damaged entry does not hide the others, and can be overcome by a new
// closing.
func TestDamagedClosingsAreNamed(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		ctx := t.Context()
		a := NewAccounts(rdb, "bs", "w1", lua)
		for _, account := range []string{"a", "e"} {
			if _, err := a.Close(ctx, account, time.Time{}, "BS-A", "login refused"); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := a.CloseLane(ctx, "e", "gmail", time.Time{}, "BS-L", "slow"); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{
			rdb.Set(ctx, "bs:{acct:b}:state", "text", 0).Err(),
			rdb.HSet(ctx, "bs:{acct:c}:state", "until", "soon").Err(),
			rdb.SAdd(ctx, "bs:{acct:d}:lanes", "gmail").Err(),
			rdb.HSet(ctx, "bs:{acct:e}:lanes", "yahoo", "nonsense", "icloud", "1\tx\tc\tw\tr").Err(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		got, err := a.Closings(ctx, "a", "b", "c", "d", "e")
		if err != nil {
			t.Fatal(err)
		}
		var shown []string
		for _, c := range got {
			shown = append(shown, c.Account+"/"+c.Provider+" "+c.Code)
			if isBroken := c.Code == string(codes.BrokenState); isBroken != c.Until.IsZero() {
				t.Errorf("%s/%s: code %s, until %v: want no times exactly where it is broken", c.Account, c.Provider, c.Code, c.Until)
			}
		}
		want := []string{
			"a/ BS-A", "b/ BS-BROKEN-STATE", "c/ BS-BROKEN-STATE", "d/ BS-BROKEN-STATE",
			"e/ BS-A", "e/gmail BS-L", "e/icloud BS-BROKEN-STATE", "e/yahoo BS-BROKEN-STATE",
		}
		if !slices.Equal(shown, want) {
			t.Errorf("closings:\ngot  %q\nwant %q", shown, want)
		}
		if first, err := a.CloseLane(ctx, "e", "yahoo", time.Time{}, "BS-L", "slow"); err != nil || !first {
			t.Errorf("close a lane with a damaged entry: got first %v, %v, want true", first, err)
		}
	})
}
