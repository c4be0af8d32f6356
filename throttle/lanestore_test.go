package throttle

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

// change must succeed.
func change(t *testing.T, s *Lanes, account, lane string, f func(Lane) Lane) Lane {
	t.Helper()
	_, after, err := s.Change(t.Context(), account, lane, f)
	if err != nil {
		t.Fatal(err)
	}
	return after
}

func read(t *testing.T, s *Lanes, accounts ...string) map[string]map[string]Lane {
	t.Helper()
	all, err := s.Read(t.Context(), accounts...)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What one process writes another one reads, and as long as a lane is closed its key
// stays.
func TestLanesAreKept(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		w1, w2 := NewLanes(rdb, "bs", lua), NewLanes(rdb, "bs", lua)
		now := time.Now().Truncate(time.Millisecond).UTC()
		slow := func(l Lane) Lane {
			return l.Slow(now, Signal{Rate: 14.5, Ceiling: 20, Block: true, Code: "BS-S", Reason: "421\ttoo\nfast"})
		}
		shut := func(l Lane) Lane {
			l = l.Close(now, "BS-STORM", "x")
			l.From = now.Add(-time.Minute)
			return l
		}
		gmail := change(t, w1, "ses", "gmail", slow)
		gmail.Reason = "421 too fast"
		small := change(t, w2, "ses", "slow.example", shut)
		change(t, w1, "ses", "yahoo", func(l Lane) Lane { return l })
		want := map[string]map[string]Lane{"ses": {"gmail": gmail, "slow.example": small}, "other": {}}
		if diff := cmp.Diff(want, read(t, w2, "ses", "other"), cmp.AllowUnexported(Lane{})); diff != "" {
			t.Errorf("lanes (-want +got):\n%s", diff)
		}

		life := func() time.Duration { return rdb.PTTL(t.Context(), "bs:{acct:ses}:pace").Val() }
		if got := life(); got >= 0 {
			t.Errorf("with a closed lane the key lives for %v, want for ever", got)
		}
		change(t, w1, "ses", "gmail", Lane.Reset)
		change(t, w1, "ses", "icloud", slow)
		if got := life(); got >= 0 {
			t.Errorf("with a closed lane the key lives for %v, want for ever", got)
		}
		change(t, w1, "ses", "slow.example", Lane.Reset)
		if got := life(); got <= 47*time.Hour || got > laneLife {
			t.Errorf("without a closed lane the key lives for %v, want for %v", got, laneLife)
		}
		change(t, w1, "ses", "icloud", Lane.Reset)
		if n := rdb.Exists(t.Context(), "bs:{acct:ses}:pace").Val(); n != 0 {
			t.Error("the key is there, want nothing left")
		}
	})
}

// Many workers change one lane: no change is lost.
func TestLaneChangesAreNotLost(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		var all sync.WaitGroup
		for range 4 {
			s := NewLanes(rdb, "bs", lua)
			all.Go(func() {
				for range 10 {
					_, _, err := s.Change(t.Context(), "a", "gmail", func(l Lane) Lane {
						l.Level++
						l.Ceiling = 1000
						l.anchor = time.Now()
						return l
					})
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		if got := read(t, NewLanes(rdb, "bs", lua), "a")["a"]["gmail"].Level; got != 40 {
			t.Errorf("got %v changes, want 40", got)
		}
	})
}

// A change that is made by another each time ends with an error.
func TestLaneThatAlwaysChanges(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		s := NewLanes(rdb, "bs", lua)
		calls := 0
		_, _, err := s.Change(t.Context(), "a", "gmail", func(l Lane) Lane {
			calls++
			other := Lane{Level: float64(calls), Ceiling: 1000, anchor: time.Now()}
			if err := rdb.HSet(context.Background(), "bs:{acct:a}:pace", "gmail", other.text()).Err(); err != nil {
				t.Error(err)
			}
			return l.Close(time.Now(), "BS-X", "x")
		})
		if err == nil || !strings.Contains(err.Error(), "lane a/gmail") || calls != changes {
			t.Errorf("got error %v after %d tries, want one that names the lane after %d", err, calls, changes)
		}
	})
}

func TestDamagedLanesAreNamed(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		s := NewLanes(rdb, "bs", lua)
		change(t, s, "a", "gmail", func(l Lane) Lane { return l.Slow(time.Now(), Signal{Rate: 4}) })
		for _, err := range []error{
			rdb.HSet(t.Context(), "bs:{acct:a}:pace", "yahoo", "2\tx", "icloud", "nonsense").Err(),
			rdb.Set(t.Context(), "bs:{acct:b}:pace", "text", 0).Err(),
			rdb.HSet(t.Context(), "bs:{acct:b}:learnt", "connections", "many").Err(),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		var broken []string
		for account, lanes := range read(t, s, "a", "b") {
			for name, l := range lanes {
				if l.Code == string(codes.BrokenState) && l.State(time.Now()) == LaneOpen {
					broken = append(broken, account+"/"+name)
				}
			}
		}
		if len(broken) != 3 {
			t.Errorf("got %q broken, want a/yahoo, a/icloud and all of b", broken)
		}
		if l := change(t, s, "a", "yahoo", func(l Lane) Lane { return l.Slow(time.Now(), Signal{Rate: 4, Code: "BS-S"}) }); l.Code != "BS-S" {
			t.Errorf("got %+v, want the broken lane overwritten", l)
		}
		if _, _, err := s.Change(t.Context(), "b", "gmail", Lane.Reset); !campaign.IsBroken(err) {
			t.Errorf("got error %v, want one that names the broken key", err)
		}
		if _, err := s.Learnt(t.Context(), "b"); !campaign.IsBroken(err) {
			t.Errorf("got error %v, want one that names the broken key", err)
		}
	})
}

// There is room for so many lanes: then the open ones that nothing has happened to for
// longest go.
func TestOldLanesMakeRoom(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		s := NewLanes(rdb, "bs", lua)
		s.most = 20
		now := time.Now()
		for i := range 20 {
			change(t, s, "a", fmt.Sprintf("%d.example", i), func(l Lane) Lane {
				if i == 0 {
					return l.Close(now, "BS-X", "x")
				}
				return l.Slow(now.Add(time.Duration(i)*time.Second), Signal{Rate: 9, Block: i == 1})
			})
		}
		change(t, s, "a", "new.example", func(l Lane) Lane { return l.Slow(now, Signal{Rate: 9}) })
		lanes := read(t, s, "a")["a"]
		for name, want := range map[string]bool{"0.example": true, "1.example": true, "2.example": false, "3.example": false, "4.example": true, "new.example": true} {
			if _, got := lanes[name]; got != want {
				t.Errorf("lane %s: got it kept %v, want %v", name, got, want)
			}
		}
	})
}

func TestLearntIsKeptForADay(t *testing.T) {
	t.Parallel()
	eachPlace(t, func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script) {
		s := NewLanes(rdb, "bs", lua)
		for _, l := range []Learnt{{Connections: 5}, {MessagesPerConnection: 20, Until: time.Now().Add(900 * time.Hour)}, {Connections: 4}} {
			if err := s.Learn(t.Context(), "a", l); err != nil {
				t.Fatal(err)
			}
		}
		got, err := NewLanes(rdb, "bs", lua).Learnt(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		if got.Connections != 4 || got.MessagesPerConnection != 20 || time.Until(got.Until) > learntLife || time.Until(got.Until) < 23*time.Hour {
			t.Errorf("got %+v, want 4 connections and 20 messages, for a day", got)
		}
		if ttl := rdb.PTTL(t.Context(), "bs:{acct:a}:learnt").Val(); ttl <= 0 || ttl > learntLife {
			t.Errorf("it lives for %v, want for a day", ttl)
		}
		if got, err := s.Learnt(t.Context(), "b"); err != nil || got != (Learnt{}) {
			t.Errorf("got %+v, error %v, want nothing", got, err)
		}
	})
}

// Whatever stands in Redis is read or refused, and what is read is written the same.
func FuzzParseLane(f *testing.F) {
	f.Add((Lane{}).text())
	f.Add(Lane{}.Slow(noon, Signal{Rate: 3, Ceiling: 4, Block: true, Code: "BS-X", Reason: "a\tb"}).text())
	f.Add(Lane{}.Close(noon, "BS-X", "x").text())
	f.Add("1\t9\t-1\tNaN\tInf")
	f.Fuzz(func(t *testing.T, text string) {
		l, err := parseLane(text)
		if err != nil {
			return
		}
		again, err := parseLane(l.text())
		if err != nil {
			t.Fatalf("%q is read, and written as %q: %v", text, l.text(), err)
		}
		if again.text() != l.text() {
			t.Errorf("%q: got %q, then %q", text, l.text(), again.text())
		}
		l.Rate(noon)
		l.Slow(noon, Signal{Rate: 1})
	})
}
