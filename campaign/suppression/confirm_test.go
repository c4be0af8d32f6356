package suppression

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// A message that came back is a sign once, however often it is told, and counts together
// with replies; the last one says so each time.
func TestConfirmReturnsCountsAMessageOnce(t *testing.T) {
	t.Parallel()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	s := New(rdb, "bs", redis.NewScript)
	begin := time.Now().Add(-100 * 24 * time.Hour)
	const day = 24 * time.Hour
	for i, step := range []struct {
		after   time.Duration
		message string // empty: a reply while sending
		want    bool
	}{
		{0, "aa", false},
		{2 * day, "aa", false}, // it is told again
		{2 * day, "bb", false},
		{2*day + time.Hour, "cc", false}, // too soon
		{3*day + time.Hour, "dd", true},
		{9 * day, "dd", true},
		{9 * day, "bb", false}, // the count begins again
		{11 * day, "", false},
		{13 * day, "ee", true},
		{14 * day, "", false}, // again
		{16 * day, "ff", false},
		{18 * day, "", true},
		{20 * day, "ff", false}, // again
	} {
		s.now = func() time.Time { return begin.Add(step.after) }
		var got bool
		var err error
		if step.message == "" {
			got, err = s.Confirm(t.Context(), "ada@example.org", 3)
		} else {
			var all []bool
			all, err = s.ConfirmReturns(t.Context(), []int{3}, []Return{{Address: "Ada@example.org", At: begin.Add(step.after), Message: step.message}})
			got = len(all) == 1 && all[0]
		}
		if err != nil {
			t.Fatal(err)
		}
		if got != step.want {
			t.Errorf("step %d: confirmed %v, want %v", i, got, step.want)
		}
	}
	if _, err := s.ConfirmReturns(t.Context(), []int{3}, []Return{{Address: "no address"}}); err == nil {
		t.Error("a sign for no address is counted")
	}
}

// Each sign of many is answered in its place, and those of one address count in their
// order.
func TestConfirmReturnsOfMany(t *testing.T) {
	t.Parallel()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	s := New(rdb, "bs", redis.NewScript)

	begin := time.Now().Add(-100 * 24 * time.Hour)
	var wanted []int
	var returns []Return
	var want []bool
	for sign := range 3 {
		for i := range 101 { // the signs of one address are in round trips of their own
			wanted = append(wanted, 2+i%2)
			returns = append(returns, Return{
				Address: fmt.Sprintf("a%d@example.org", i), At: begin.Add(time.Duration(sign) * 48 * time.Hour), Message: fmt.Sprintf("m%d", sign),
			})
			want = append(want, sign == 1+i%2)
		}
	}
	for range 2 { // told again, what was confirmed last is confirmed again
		got, err := s.ConfirmReturns(t.Context(), wanted, returns)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v, want %v", got, want)
		}
		wanted = wanted[:0:0]
		var last []Return
		for i, r := range returns {
			if want[i] && i >= 202 {
				last = append(last, r)
				wanted = append(wanted, 3)
			}
		}
		returns = last
		want = slices.Repeat([]bool{true}, len(last))
	}
}

// Signs of a dead address that have to be confirmed count when they lie a day
// apart, each address by itself, and begin again when they were confirmed.
func TestConfirmCountsSignsADayApart(t *testing.T) {
	t.Parallel()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}

	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	s := New(rdb, "bs", redis.NewScript)
	now := time.Now()
	s.now = func() time.Time { return now }
	for _, step := range []struct {
		after   time.Duration
		address string
		wanted  int
		want    bool
	}{
		{0, "ada@example.org", 2, false},
		{time.Minute, "ada@example.org", 2, false}, // the same campaign, or another worker
		{23 * time.Hour, "ada@example.org", 2, false},
		{0, "bob@example.org", 2, false}, // somebody else's first
		{time.Hour, "ada@example.org", 2, true},
		{25 * time.Hour, "ada@example.org", 2, false}, // again
		{25 * time.Hour, "carl@example.org", 3, false},
		{25 * time.Hour, "carl@example.org", 3, false},
		{25 * time.Hour, "carl@example.org", 3, true},
		{0, "bob@example.org", 2, true},
	} {
		now = now.Add(step.after)
		got, err := s.Confirm(t.Context(), step.address, step.wanted)
		if err != nil {
			t.Fatal(err)
		}

		if got != step.want {
			t.Errorf("%s at %s: confirmed %v, want %v", step.address, now.Format(time.RFC3339), got, step.want)
		}
	}

	if ttl := rdb.PTTL(t.Context(), "bs:supp:confirm:"+digits[shardOf(KeyOf("ada@example.org")):][:1]).Val(); ttl <= 0 {
		t.Errorf("what is counted lives for %s, want an end", ttl)
	}
}
