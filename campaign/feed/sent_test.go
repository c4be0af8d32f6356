package feed

import (
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/testkit"
)

func TestSent(t *testing.T) {
	t.Parallel()
	o, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(o)
	t.Cleanup(func() { rdb.Close() })
	s := NewSent(rdb, "test")
	fresh := func(name string, ids ...string) []string {
		t.Helper()
		var items []campaign.FeedItem
		for _, id := range ids {
			items = append(items, campaign.FeedItem{ID: id})
		}
		found, err := s.New(t.Context(), name, items)
		if err != nil {
			t.Fatal(err)
		}
		var left []string
		for _, item := range found {
			left = append(left, item.ID)
		}
		return left
	}
	add := func(name string, at time.Time, ids ...string) {
		t.Helper()
		if err := s.Add(t.Context(), name, ids, at); err != nil {
			t.Fatal(err)
		}
	}

	now := time.Now()
	add("weekly", now, "b", "c")
	add("weekly", now, "c")
	add("weekly", now)
	if diff := cmp.Diff([]string{"a", "d"}, fresh("weekly", "a", "b", "c", "d")); diff != "" {
		t.Errorf("new (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"b"}, fresh("daily", "b")); diff != "" {
		t.Errorf("new in another campaign (-want +got):\n%s", diff)
	}

	// The oldest ones are forgotten.
	var many []string
	for i := range maxSent - 1 {
		many = append(many, strconv.Itoa(i))
	}
	add("weekly", now.Add(time.Hour), many...)
	if n := rdb.ZCard(t.Context(), "test:feed:weekly").Val(); n != maxSent {
		t.Errorf("%d ids are kept, want %d", n, maxSent)
	}
	if diff := cmp.Diff([]string{"b"}, fresh("weekly", "b", "c", "0", many[len(many)-1])); diff != "" {
		t.Errorf("new after many others (-want +got):\n%s", diff)
	}
}
