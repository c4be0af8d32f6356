package suppression_test

import (
	"testing"
	"time"

	"broadside/campaign/suppression"

	"github.com/redis/go-redis/v9"
)

// said returns an entry of one reader, for a topic or for all.
func said(scope, reason, source string) suppression.Entry {
	return suppression.Entry{Address: "ada@example.com", Scope: scope, Reason: reason, Source: source, Run: "news-1"}
}

// scopesOf returns the reason of each scope in which the reader is suppressed.
func scopesOf(t *testing.T, s *suppression.Store) map[string]suppression.Entry {
	t.Helper()
	results, err := s.Check(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]suppression.Entry{}
	for _, r := range results {
		if r.Suppressed {
			found[r.Entry.Scope] = r.Entry
		}
	}
	return found
}

func undo(t *testing.T, s *suppression.Store, e suppression.Entry, want bool) {
	t.Helper()
	if done, err := s.Undo(t.Context(), e); done != want || err != nil {
		t.Errorf("Undo(%s): got %v, %v; want %v", e.Scope, done, err, want)
	}
}

func TestUndoTakesBackOneScope(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		news, offers := suppression.Topic("news"), suppression.Topic("offers")
		add(t, s, 2, said(news, "unsubscribe", "page"), said(offers, "unsubscribe", "page"))
		seen := scopesOf(t, s)[news]
		undo(t, s, seen, true)
		undo(t, s, seen, false) // it is not there any more
		if got := scopesOf(t, s); len(got) != 1 || got[offers].Reason == "" {
			t.Errorf("got %v, want %s alone", got, offers)
		}

		// A replay of what was undone brings nothing back; to say it again does.
		if _, err := s.Replay(t.Context(), suppression.Barrier{}, seen); err != nil {
			t.Fatal(err)
		}
		if got := scopesOf(t, s); len(got) != 1 {
			t.Errorf("after a replay: got %v", got)
		}
		add(t, s, 1, said(news, "unsubscribe", "one-click"))
		undo(t, s, seen, false) // what stands there now was said by another road
		if got := scopesOf(t, s); got[news].Source != "one-click" {
			t.Errorf("got %v, want the new entry", got)
		}
	})
}

// What a complaint, a bounce or an operator says stays, also where it came on top of an
// unsubscribe that somebody has seen before.
func TestUndoTakesBackNothingButAnUnsubscribe(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{suppression.ReasonComplaint, suppression.ReasonBounce, suppression.ReasonManual} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
				add(t, s, 1, said(suppression.All, "unsubscribe", "page"))
				seen := scopesOf(t, s)[suppression.All]
				add(t, s, 0, said(suppression.All, reason, "hook"))
				undo(t, s, seen, false)
				now := scopesOf(t, s)[suppression.All]
				if now.Reason != reason {
					t.Errorf("got %+v, want the reason %s", now, reason)
				}
				if done, err := s.Undo(t.Context(), now); done || err == nil {
					t.Errorf("Undo: got %v, %v; want an error", done, err)
				}

				add(t, s, 0, said(suppression.All, "unsubscribe", "page"))
				if got := scopesOf(t, s)[suppression.All]; got.Reason != reason {
					t.Errorf("an unsubscribe replaced it: %+v", got)
				}
			})
		})
	}
}

// A bounce that is forgotten in a month does not shorten an unsubscribe.
func TestAnEntryThatExpiresDoesNotReplaceAnUnsubscribe(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		add(t, s, 1, said(suppression.All, "unsubscribe", "page"))
		soft := said(suppression.All, suppression.ReasonBounce, "smtp")
		soft.Expires = time.Now().Add(time.Hour)
		add(t, s, 0, soft)
		if got := scopesOf(t, s)[suppression.All]; got.Reason != "unsubscribe" || !got.Expires.IsZero() {
			t.Errorf("got %+v, want the unsubscribe for ever", got)
		}
	})
}
