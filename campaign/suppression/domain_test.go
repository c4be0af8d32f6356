package suppression_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/redis/go-redis/v9"
)

func TestParseDomain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"Example.COM", "example.com"},
		{" example.com ", "example.com"},
		{"bücher.example", "xn--bcher-kva.example"},
		{"example", ""},
		{"", ""},
		{"*@example.com", ""},
		{"ada@example.com", ""},
		{"a.example,b.example", ""},
	} {
		got, err := suppression.ParseDomain(tt.text)
		if got != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("ParseDomain(%q): got %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
}

// What Check, Suppressed and Queue say of an address agrees with what was added, removed
// and has expired, whatever the order, and whichever process did it.
func TestDomainsInAnyOrder(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		scopes := []string{suppression.All, suppression.Topic("news"), suppression.Topic("offers")}
		subjects := []suppression.Entry{{Address: "ada@a.example"}, {Address: "ada@b.example"}, {Domain: "a.example"}, {Domain: "b.example"}}
		asked := []string{"ada@a.example", "zoe@a.example", "ada@b.example", "ada@sub.a.example"}
		stores := []*suppression.Store{s, suppression.New(rdb, "bs", withoutFlags)} // two processes
		now := time.Now()
		for _, each := range stores {
			suppression.SetClock(each, func() time.Time { return now })
		}

		model := map[string]time.Time{} // "who scope" -> when it ends
		forever := now.AddDate(100, 0, 0)
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		for range 120 {
			store := stores[random.IntN(2)]
			e := subjects[random.IntN(len(subjects))]
			switch random.IntN(4) {
			case 0, 1:
				e.Scope = scopes[random.IntN(len(scopes))]
				ends := forever
				if random.IntN(2) == 0 {
					ends = now.Add(time.Hour)
					e.Expires = ends
				}
				key := e.Shown() + " " + e.Scope
				if _, err := store.Add(t.Context(), e); err != nil {
					t.Fatal(err)
				}
				if ends.After(model[key]) {
					model[key] = ends
				}
			case 2:
				if _, err := store.Rm(t.Context(), e.Shown()); err != nil {
					t.Fatal(err)
				}
				for _, scope := range scopes {
					delete(model, e.Shown()+" "+scope)
				}
			case 3:
				now = now.Add(20 * time.Minute)
			}

			want := func(address, scope string) bool {
				domain := address[len("ada"):]
				for _, who := range []string{address, "*" + domain} {
					if model[who+" "+scope].After(now) {
						return true
					}
				}
				return false
			}
			for _, store := range stores {
				agree(t, store, rdb, asked, scopes, want)
			}
		}
	})
}

// agree compares what every way of asking says with what is wanted.
func agree(t *testing.T, s *suppression.Store, rdb redis.UniversalClient, asked, scopes []string, want func(address, scope string) bool) {
	t.Helper()
	results, err := s.Check(t.Context(), asked...)
	if err != nil {
		t.Fatal(err)
	}
	checked := map[string]bool{}
	for _, r := range results {
		checked[r.Address+" "+r.Entry.Scope] = r.Suppressed
	}

	for _, topic := range []string{"news", "offers"} {
		suppressed, err := s.Suppressed(t.Context(), topic, people(asked...))
		if err != nil {
			t.Fatal(err)
		}
		pipe := rdb.Pipeline()
		ask := s.Queue(t.Context(), pipe)
		var answers []func() (bool, error)
		for _, p := range people(asked...) {
			answers = append(answers, ask(topic, p.Key, p.Domain))
		}
		_, _ = pipe.Exec(t.Context()) // each answer has its own error

		for i, address := range asked {
			want := want(address, suppression.All) || want(address, suppression.Topic(topic))
			queued, err := answers[i]()
			if err != nil {
				t.Fatal(err)
			}
			check := checked[address+" all"] || checked[address+" topic:"+topic]
			if suppressed[i] != want || queued != want || check != want {
				t.Fatalf("%s for %s: Suppressed %t, Queue %t, Check %t, want %t", address, topic, suppressed[i], queued, check, want)
			}
		}
	}
}

// A domain that is known costs no round trip and no command for each message.
func TestQueueAsksOnceForDomains(t *testing.T) {
	t.Parallel()
	rdb := client(t, testkit.Redis(t))
	s := suppression.New(rdb, "bs", redis.NewScript)
	add(t, s, 1, suppression.Entry{Domain: "a.example"})
	for round := range 2 {
		pipe := rdb.Pipeline()
		ask := s.Queue(t.Context(), pipe)
		var answers []func() (bool, error)
		for i := range 50 {
			answers = append(answers, ask("news", people(fmt.Sprintf("r%d@a.example", i))[0].Key, "a.example"))
		}
		if got := pipe.Len(); got != 51 {
			t.Errorf("round %d: %d commands for 50 messages, want 51", round, got)
		}
		if _, err := pipe.Exec(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := commands(t, rdb)
		for _, answer := range answers {
			if got, err := answer(); err != nil || !got {
				t.Fatalf("round %d: got %t, %v, want true", round, got, err)
			}
		}
		if n := commands(t, rdb) - before - 1; n != int64(1-round) {
			t.Errorf("round %d: the answers took %d more commands, want %d", round, n, 1-round)
		}
	}
}

// commands returns how many commands Redis has carried out, INFO included.
func commands(t *testing.T, rdb redis.UniversalClient) int64 {
	t.Helper()
	info, err := rdb.InfoMap(t.Context(), "stats").Result()
	if err != nil {
		t.Fatal(err)
	}
	var n int64
	if _, err := fmt.Sscan(info["Stats"]["total_commands_processed"], &n); err != nil {
		t.Fatal(err)
	}
	return n
}

// An entry of a domain that a Redis has forgotten comes back, also to a process that has
// already seen that it was gone.
func TestReplayOfADomain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		e := suppression.Entry{Domain: "a.example", Reason: suppression.ReasonManual}
		e.At = note(t, s, suppression.Barrier{}, e).At
		for _, tt := range []struct {
			name   string
			before func()
			want   bool
		}{
			{"forgotten", func() { rdb.FlushAll(t.Context()) }, true},
			{"removed", func() { removeAll("*@a.example")(t, s) }, false},
		} {
			tt.before()
			if suppressed(t, s, "ada@a.example", "news") {
				t.Errorf("%s: suppressed before the replay", tt.name)
			}
			if _, err := s.Replay(t.Context(), suppression.Barrier{}, e); err != nil {
				t.Fatal(err)
			}
			if got := suppressed(t, s, "ada@a.example", "news"); got != tt.want {
				t.Errorf("%s: after the replay: got %t, want %t", tt.name, got, tt.want)
			}
		}
	})
}

// An address with a star, which strangers can put into a form or a bounce, must not
// become the entry of everyone in its domain.
func TestAStarFromStrangersIsNoDomain(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, _ redis.UniversalClient) {
		const mailbox = "*@a.example"
		add(t, s, 1, suppression.Entry{Address: mailbox})
		if !suppressed(t, s, mailbox, "news") {
			t.Errorf("%s is not suppressed", mailbox)
		}
		var out strings.Builder
		if _, err := s.Export(t.Context(), &out, false); err != nil || strings.Contains(out.String(), "\n*@") {
			t.Errorf("Export: %v\n%s", err, out.String())
		}
		if suppressed(t, s, "ada@a.example", "news") {
			t.Error("ada@a.example is suppressed")
		}
	})
}

// An entry that cannot be read keeps mail back.
func TestADomainThatCannotBeRead(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient) {
		k := suppression.KeyOf("*@a.example")
		rdb.HSet(t.Context(), "bs:supp:domains", string(k[:]), "?", "version", "1")
		if !suppressed(t, s, "ada@a.example", "news") {
			t.Error("ada@a.example is not suppressed")
		}
		results, err := s.Check(t.Context(), "ada@a.example")
		if err != nil || len(results) != 1 || results[0].Entry.Shown() != "*@a.example" {
			t.Errorf("Check: got %+v, %v", results, err)
		}

		rdb.Del(t.Context(), "bs:supp:domains")
		rdb.Set(t.Context(), "bs:supp:domains", "not a hash", 0)
		if _, err := s.Suppressed(t.Context(), "news", people("ada@a.example")); err == nil {
			t.Error("Suppressed: no error for a key that is no hash")
		}
	})
}
