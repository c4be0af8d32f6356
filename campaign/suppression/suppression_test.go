package suppression_test

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

var at = time.Date(2026, 10, 1, 7, 0, 0, 123e6, time.UTC)

func add(t *testing.T, s *suppression.Store, want int, entries ...suppression.Entry) {
	t.Helper()
	got, err := s.Add(t.Context(), entries...)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	if got != want {
		t.Errorf("Add: got %d added, want %d", got, want)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		add(t, s, 3,
			suppression.Entry{Address: "Gone@Example.com", Reason: "bounce"},
			suppression.Entry{Address: "left@example.com", Scope: suppression.Topic("news")},
			suppression.Entry{Address: "all@example.com", Scope: suppression.Topic("all")})

		addresses := []string{"gone@example.com", "left@example.com", "all@example.com", "fine@example.com"}
		asked := people(addresses...)

		for topic, want := range map[string][]bool{
			"":      {true, false, false, false},
			"news":  {true, true, false, false},
			"all":   {true, false, true, false},
			"other": {true, false, false, false},
		} {
			got, err := s.Suppressed(t.Context(), topic, asked)
			if err != nil {
				t.Fatalf("Suppressed: %v", err)
			}

			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("topic %q: suppressed (-want +got):\n%s", topic, diff)
			}

			pipe := rdb.Pipeline()
			var read []func() (bool, error)
			ask := s.Queue(t.Context(), pipe)
			for _, p := range asked {
				read = append(read, ask(topic, p.Key, p.Domain))
			}
			if _, err := read[0](); err == nil {
				t.Error("Queue: an answer before the pipeline was executed")
			}
			if _, err := pipe.Exec(t.Context()); err != nil {
				t.Fatalf("Exec: %v", err)
			}
			for i, f := range read {
				if got, err := f(); err != nil || got != want[i] {
					t.Errorf("Queue(%q, %s): got %v, %v, want %v", topic, addresses[i], got, err, want[i])
				}
			}
		}
	})
}

func TestSuppressedKeepsTheOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		const n = 2500 // more than two batches
		var entries []suppression.Entry
		keys := make([]suppression.Person, n)
		want := make([]bool, n)
		for i := range n {
			a := fmt.Sprintf("reader%d@example.com", i)
			keys[i].Key = suppression.KeyOf(a)
			if want[i] = i%3 == 0; want[i] {
				entries = append(entries, suppression.Entry{Address: a, Scope: suppression.Topic("news")})
			}
		}

		add(t, s, len(entries), entries...)
		got, err := s.Suppressed(t.Context(), "news", keys)
		if err != nil {
			t.Fatalf("Suppressed: %v", err)
		}

		if !slices.Equal(got, want) {
			t.Error("the answers are not those of the keys, in their order")
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		expires := time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond)
		add(t, s, 4,
			suppression.Entry{Address: "two@example.com", Reason: "unsubscribe", Scope: suppression.Topic("b"), Source: "page", Run: "r-1", At: at, Expires: expires},
			suppression.Entry{Address: "two@example.com", Reason: "unsubscribe", Scope: suppression.Topic("a"), Source: "one-click", At: at},
			suppression.Entry{Address: "two@example.com", Reason: "bounce", Source: "smtp", Run: "r-2", At: at},
			suppression.Entry{Hash: sha256.Sum256([]byte("hashed@example.com")), Reason: "imported", At: at})

		got, err := s.Check(t.Context(), "Two@example.com", "none@example.com", "hashed@example.com")
		if err != nil {
			t.Fatalf("Check: %v", err)
		}

		text, err := json.Marshal(got)
		if err != nil {
			t.Fatalf("Marshal: %v", err)
		}

		want := `[` +
			`{"address":"two@example.com","suppressed":true,"reason":"bounce","scope":"all","source":"smtp","run":"r-2","at":"2026-10-01T07:00:00.123Z"},` +
			`{"address":"two@example.com","suppressed":true,"reason":"unsubscribe","scope":"topic:a","source":"one-click","at":"2026-10-01T07:00:00.123Z"},` +
			`{"address":"two@example.com","suppressed":true,"reason":"unsubscribe","scope":"topic:b","source":"page","run":"r-1","at":"2026-10-01T07:00:00.123Z","expires":"` + expires.Format("2006-01-02T15:04:05.000Z") + `"},` +
			`{"address":"none@example.com","suppressed":false},` +
			`{"address":"hashed@example.com","suppressed":true,"reason":"imported","scope":"all","at":"2026-10-01T07:00:00.123Z"}]`
		if diff := cmp.Diff(want, string(text)); diff != "" {
			t.Errorf("JSON (-want +got):\n%s", diff)
		}
		if _, err := s.Check(t.Context(), "not an address"); err == nil || !strings.Contains(err.Error(), "not an address") {
			t.Errorf("Check of no address: got %v, want an error that names it", err)
		}
	})
}

func TestTheFirstEntryStays(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		soon := time.Now().Add(time.Hour)
		later := time.Now().Add(2 * time.Hour)
		past := time.Now().Add(-time.Hour)
		for _, tt := range []struct {
			name          string
			first, second time.Time // when they expire
			added         int
			want          string // whose reason stands afterwards
		}{
			{"both for ever", time.Time{}, time.Time{}, 0, "first"},
			{"a shorter one", time.Time{}, soon, 0, "first"},
			{"a longer one", soon, later, 0, "second"},
			{"for ever after a limited one", soon, time.Time{}, 0, "second"},
			{"a limited one that ends earlier", later, soon, 0, "first"},
			{"after an expired one", past, soon, 1, "second"},
		} {
			a := strings.ReplaceAll(tt.name, " ", "-") + "@example.com"
			if _, err := s.Add(t.Context(), suppression.Entry{Address: a, Reason: "first", Expires: tt.first}); err != nil {
				t.Fatalf("%s: Add: %v", tt.name, err)
			}
			n, err := s.Add(t.Context(), suppression.Entry{Address: a, Reason: "second", Expires: tt.second})
			if err != nil || n != tt.added {
				t.Errorf("%s: Add: got %d, %v, want %d", tt.name, n, err, tt.added)
			}

			got, err := s.Check(t.Context(), a)
			if err != nil {
				t.Fatalf("%s: Check: %v", tt.name, err)
			}

			if len(got) != 1 || got[0].Entry.Reason != tt.want {
				t.Errorf("%s: got %+v, want the %s", tt.name, got, tt.want)
			}
		}
	})
}

func TestExpiredCountsAsAbsent(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		past := suppression.Entry{Address: "past@example.com", Expires: time.Now().Add(-time.Second)}
		add(t, s, 1, past)
		got, err := s.Suppressed(t.Context(), "news", people("past@example.com"))
		if err != nil || got[0] {
			t.Errorf("Suppressed: got %v, %v, want false", got, err)
		}

		results, err := s.Check(t.Context(), "past@example.com")
		if err != nil || len(results) != 1 || results[0].Suppressed {
			t.Errorf("Check: got %+v, %v, want not suppressed", results, err)
		}

		var out strings.Builder
		if n, err := s.Export(t.Context(), &out, false); err != nil || n != 0 {
			t.Errorf("Export: got %d, %v, want nothing", n, err)
		}

		st, err := s.Stats(t.Context())
		if err != nil || st.Total != 0 || st.Expired != 1 {
			t.Errorf("Stats: got %+v, %v, want one expired", st, err)
		}
	})
}

func TestRmTakesEveryScope(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		add(t, s, 4,
			suppression.Entry{Address: "back@example.com"},
			suppression.Entry{Address: "back@example.com", Scope: suppression.Topic("a")},
			suppression.Entry{Address: "stays@example.com"},
			suppression.Entry{Hash: sha256.Sum256([]byte("hashed@example.com"))})
		n, err := s.Rm(t.Context(), "BACK@example.com", "hashed@example.com", "never@example.com")
		if err != nil || n != 3 {
			t.Errorf("Rm: got %d, %v, want 3", n, err)
		}

		st, err := s.Stats(t.Context())
		if err != nil || st.Total != 1 {
			t.Errorf("Stats: got %+v, %v, want one left", st, err)
		}

		if _, err := s.Rm(t.Context(), "back@"); err == nil {
			t.Error("Rm of no address: got no error")
		}
	})
}

func TestAddRefusesTheWholeCall(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		for _, tt := range []struct {
			name string
			bad  suppression.Entry
			want string
		}{
			{"no address", suppression.Entry{}, "neither an address nor a hash"},
			{"bad address", suppression.Entry{Address: "x"}, `address "x"`},
			{"bad scope", suppression.Entry{Address: "a@example.com", Scope: "news"}, `scope "news", expected "all" or "topic:NAME"`},
			{"empty topic", suppression.Entry{Address: "a@example.com", Scope: "topic:"}, `scope "topic:"`},
			{"tab in topic", suppression.Entry{Address: "a@example.com", Scope: "topic:a\tb"}, `scope "topic:a\tb"`},
		} {
			_, err := s.Add(t.Context(), suppression.Entry{Address: "good@example.com"}, tt.bad)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
			}
		}

		st, err := s.Stats(t.Context())
		if err != nil || st.Total != 0 {
			t.Errorf("Stats: got %+v, %v, want nothing added", st, err)
		}
	})
}

// Text from a server's reply must not break the stored form.
func TestTextIsKeptOnOneLine(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		add(t, s, 2,
			suppression.Entry{Address: "#0011@example.com", Reason: "550\tno\r\nsuch user \xff", Source: strings.Repeat("ü", 400)},
			suppression.Entry{Address: "b@example.com", Reason: "x"})
		got, err := s.Check(t.Context(), "#0011@example.com")
		if err != nil {
			t.Fatalf("Check: %v", err)
		}

		e := got[0].Entry
		if e.Address != "#0011@example.com" || e.Reason != "550 no  such user \uFFFD" || e.Source != strings.Repeat("ü", 150) {
			t.Errorf("got %+v", e)
		}
	})
}

func TestConcurrentAddsCountOnce(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		const writers, each = 8, 200
		var entries []suppression.Entry
		for i := range each {
			entries = append(entries, suppression.Entry{Address: fmt.Sprintf("r%d@example.com", i)})
		}

		var wg sync.WaitGroup
		counts := make([]int, writers)
		for w := range writers {
			wg.Go(func() {
				n, err := s.Add(t.Context(), entries...)
				if err != nil {
					t.Errorf("Add: %v", err)
				}
				counts[w] = n
			})
		}

		wg.Wait()
		sum := 0
		for _, n := range counts {
			sum += n
		}

		if sum != each {
			t.Errorf("%d writers added %d, want each entry counted once: %d", writers, sum, each)
		}
	})
}

// A full Redis stops new work, but never an unsubscribe.
func TestAddWhenRedisIsFull(t *testing.T) {
	t.Parallel()
	rdb := client(t, testkit.Redis(t, "--maxmemory", "4mb", "--maxmemory-policy", "noeviction"))
	s := suppression.New(rdb, "bs", redis.NewScript)
	if err := rdb.SetRange(t.Context(), "filler", 4<<20, "x").Err(); err != nil {
		t.Fatalf("SETRANGE: %v", err)
	}
	if err := rdb.Set(t.Context(), "more", "x", 0).Err(); err == nil || !strings.Contains(err.Error(), "OOM") {
		t.Fatalf("SET: got %v, want the server to be out of memory", err)
	}

	add(t, s, 1, suppression.Entry{Address: "left@example.com", Scope: suppression.Topic("news")})
	got, err := s.Suppressed(t.Context(), "news", people("left@example.com"))
	if err != nil || !got[0] {
		t.Errorf("Suppressed: got %v, %v, want true", got, err)
	}

	if n, err := s.Rm(t.Context(), "left@example.com"); err != nil || n != 1 {
		t.Errorf("Rm: got %d, %v, want 1", n, err)
	}
}

// Doubt keeps mail back: an entry that cannot be read suppresses.
func TestUnreadableEntrySuppresses(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		k := suppression.KeyOf("odd@example.com")
		if err := rdb.HSet(t.Context(), "bs:supp:"+fmt.Sprintf("%x", k[0]%16), string(k[:]), "garbage").Err(); err != nil {
			t.Fatalf("HSET: %v", err)
		}

		got, err := s.Suppressed(t.Context(), "news", []suppression.Person{{Key: k}})
		if err != nil || !got[0] {
			t.Errorf("Suppressed: got %v, %v, want true", got, err)
		}

		add(t, s, 1, suppression.Entry{Address: "good@example.com", Reason: "asked"})
		found, err := s.Check(t.Context(), "odd@example.com", "good@example.com")
		if err != nil || len(found) != 2 || !found[0].Suppressed || found[0].Entry.Reason != "unreadable entry" || found[1].Entry.Reason != "asked" {
			t.Errorf("Check: got %+v, %v, want that both are suppressed", found, err)
		}

		st, err := s.Stats(t.Context())
		if err != nil || st.Total != 2 || st.Unreadable != 1 {
			t.Errorf("Stats: got %+v, %v, want 2, of which 1 is unreadable", st, err)
		}

		var out strings.Builder
		n, err := s.Export(t.Context(), &out, false)
		if n != 1 || !strings.Contains(out.String(), "good@example.com") {
			t.Errorf("Export: got %d entries, %q, want the one that can be read", n, out.String())
		}

		if _, ok := errors.AsType[*suppression.UnreadableError](err); !ok || !strings.Contains(err.Error(), "1 suppressions cannot be read") {
			t.Errorf("Export: got %v, want an error that counts what was left out", err)
		}

		add(t, s, 1, suppression.Entry{Address: "odd@example.com", Reason: "repaired"})
	})
}

func TestUnreachableIsAnErrorNotAnAnswer(t *testing.T) {
	t.Parallel()
	rdb := client(t, "redis://127.0.0.1:1?max_retries=-1")
	s := suppression.New(rdb, "bs", redis.NewScript)
	k := suppression.KeyOf("a@example.com")
	if got, err := s.Suppressed(t.Context(), "news", []suppression.Person{{Key: k}}); err == nil {
		t.Errorf("Suppressed: got %v without an error", got)
	}

	pipe := rdb.Pipeline()
	read := s.Queue(t.Context(), pipe)("news", k, "example.com")
	if _, err := pipe.Exec(t.Context()); err == nil {
		t.Error("Exec: got no error")
	}
	if _, err := read(); err == nil {
		t.Error("Queue: got an answer from a store that is away")
	}
	if _, err := s.Add(t.Context(), suppression.Entry{Address: "a@example.com"}); err == nil {
		t.Error("Add: acknowledged by a store that is away")
	}
}
