package suppression_test

import (
	"fmt"
	"testing"
	"time"

	"broadside/campaign/suppression"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// The history has what holds, what has expired, what was taken off, and what is true of
// the whole domain.
func TestHistory(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		past := time.Now().Add(-time.Hour)
		add(t, s, 5,
			suppression.Entry{Address: "ada@example.com", Reason: "complaint", Source: "hook:ses", At: at},
			suppression.Entry{Address: "ada@example.com", Scope: suppression.Topic("a"), Reason: "unsubscribe", Expires: past, At: at},
			suppression.Entry{Domain: "example.com", Scope: suppression.Topic("b"), Reason: "manual", At: at},
			suppression.Entry{Address: "bob@example.com", At: at},
			suppression.Entry{Address: "cat@example.net", At: at})
		before := time.Now().Add(-time.Second)
		if n, err := s.Rm(t.Context(), "bob@example.com"); err != nil || n != 1 {
			t.Fatalf("Rm: %d, %v", n, err)
		}

		for who, want := range map[string][]string{
			"Ada@example.com":    {"ada@example.com all complaint", "ada@example.com topic:a unsubscribe expired", "*@example.com topic:b manual"},
			"bob@example.com":    {"bob@example.com all  removed", "*@example.com topic:b manual"},
			"nobody@example.org": nil,
		} {
			all, err := s.History(t.Context(), who)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range all {
				text := fmt.Sprintf("%s %s %s", p.Entry.Shown(), p.Entry.Scope, p.Entry.Reason)
				if p.Removed {
					text += " removed"
					if p.Entry.At.Before(before) {
						t.Errorf("%s: removed at %s, before it was", who, p.Entry.At)
					}
				} else if !p.Entry.At.Equal(at) {
					t.Errorf("%s: at %s, want %s", who, p.Entry.At, at)
				}
				if p.Expired {
					text += " expired"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", who, diff)
			}
		}
		if _, err := s.History(t.Context(), "nobody"); err == nil {
			t.Error("History of no address: got no error")
		}
	})
}

func TestSigns(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		now := time.Now().UTC().Truncate(time.Millisecond)
		suppression.SetClock(s, func() time.Time { return now })
		if done, err := s.Confirm(t.Context(), "ada@example.com", 3); err != nil || done {
			t.Fatalf("Confirm: %v, %v", done, err)
		}
		for i, message := range []string{"a", "b"} {
			back := suppression.Return{Address: "ada@example.com", At: now.Add(time.Duration(i) * time.Minute), Message: message}
			if _, err := s.CountReturns(t.Context(), suppression.SoftLimit{Messages: 5, Within: time.Hour}, []suppression.Return{back}); err != nil {
				t.Fatal(err)
			}
		}

		got, err := s.Signs(t.Context(), "Ada@example.com")
		if err != nil {
			t.Fatal(err)
		}
		want := suppression.Signs{Confirmed: 1, Last: now, Returned: []time.Time{now, now.Add(time.Minute)}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("signs (-want +got):\n%s", diff)
		}
		if got, err := s.Signs(t.Context(), "bob@example.com"); err != nil || got.Confirmed != 0 || len(got.Returned) != 0 {
			t.Errorf("of nobody: %+v, %v", got, err)
		}
	})
}
