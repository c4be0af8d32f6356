package suppression

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

func realStore(t testing.TB) (*Store, *redis.Client) {
	t.Helper()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	return New(rdb, "bs", redis.NewScript), rdb
}

// Returned messages count when they are different ones, near enough to one another,
// and none arrived after them.
func TestReturnedMessagesAddUp(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	limit := SoftLimit{Messages: 3, Within: 30 * day}
	begin := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	type step struct {
		day     int
		message string // empty: one arrived
		want    bool
	}
	for name, steps := range map[string][]step{
		"different messages":      {{1, "a", false}, {2, "b", false}, {3, "c", true}, {4, "d", true}},
		"told again":              {{1, "a", false}, {2, "b", false}, {3, "c", true}, {3, "c", true}},
		"the same message":        {{1, "a", false}, {2, "a", false}, {3, "a", false}, {4, "a", false}},
		"too far apart":           {{1, "a", false}, {20, "b", false}, {40, "c", false}, {49, "d", true}},
		"one arrived":             {{1, "a", false}, {2, "b", false}, {3, "", false}, {4, "c", false}, {5, "d", false}, {6, "e", true}},
		"one arrived before them": {{5, "a", false}, {6, "b", false}, {4, "", false}, {7, "c", true}},
		"not in their order":      {{9, "a", false}, {2, "b", false}, {5, "c", true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := realStore(t)
			for i, step := range steps {
				r := Return{Address: "Ann@example.com", At: begin.Add(time.Duration(step.day) * day), Message: step.message}
				if i%2 == 1 {
					r.Address = "ann@example.com"
				}
				other := Return{Address: "ben@example.com", At: r.At, Message: "a"}
				got, err := s.CountReturns(t.Context(), limit, []Return{other, r})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]bool{false, step.want}, got); diff != "" {
					t.Errorf("step %d (-want +got):\n%s", i, diff)
				}
			}
		})
	}
}

func TestCountOfReturnedMessagesEnds(t *testing.T) {
	t.Parallel()
	s, rdb := realStore(t)
	limit := SoftLimit{Messages: 2, Within: time.Hour}
	count := func(message string) bool {
		got, err := s.CountReturns(t.Context(), limit, []Return{{Address: "ann@example.com", At: time.Now(), Message: message}})
		if err != nil {
			t.Fatal(err)
		}
		return got[0]
	}
	count("a")
	key := s.softKey(shardOf(KeyOf("ann@example.com")))
	if ttl := rdb.PTTL(t.Context(), key).Val(); ttl <= 0 || ttl > time.Hour {
		t.Errorf("the count ends in %s", ttl)
	}

	// Taking an address off the list gives it another chance.
	if _, err := s.Rm(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	if count("b") {
		t.Error("counted on after the address was taken off the list")
	}
}

func TestEvidenceIsKept(t *testing.T) {
	t.Parallel()
	s, _ := realStore(t)
	for _, tt := range []struct{ address, lane, evidence, then, wantLane string }{
		{"no-lane@example.com", "", "550 no such\tuser", "", ""},
		{"lane@example.com", "main/gmail", "550 no such user", "main/gmail", "main/gmail"},
		{"lane-and-another-road@example.com", "main/gmail", "550 no such user", "", ""},
		{"no-evidence@example.com", "main/gmail", "", "", ""},
	} {
		entry := Entry{Address: tt.address, Reason: ReasonBounce, Source: "smtp", Lane: tt.lane, Evidence: tt.evidence}
		again := entry
		again.Lane = tt.then
		for _, e := range []Entry{entry, again} {
			if _, err := s.Add(t.Context(), e); err != nil {
				t.Fatal(err)
			}
		}
		got, err := s.Check(t.Context(), entry.Address)
		if err != nil {
			t.Fatal(err)
		}
		want := oneLine(tt.evidence)
		if got[0].Entry.Evidence != want || got[0].Entry.Lane != tt.wantLane {
			t.Errorf("%s: evidence %q, lane %q", tt.address, got[0].Entry.Evidence, got[0].Entry.Lane)
		}
	}
}
