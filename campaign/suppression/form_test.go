package suppression

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign/address"

	"github.com/alicebob/miniredis/v2"
	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
)

// formTime is when the entries of these tests are made.
var formTime = time.Date(2026, 10, 1, 7, 0, 0, 123e6, time.UTC)

func TestStoredForm(t *testing.T) {
	t.Parallel()
	const at = "\xb4\x8f\xb2\x8d\x93\xfb"
	hash := address.Hash("ada@example.com")
	ref := refOf("news-1")
	const late = "\x31\x97\xdc\x61\xfb"
	ada, ok := pack("ada@example.com")
	if !ok || len(ada) != 9 {
		t.Fatalf("packed: %q, %v, want 9 bytes for 12 tokens", ada, ok)
	}
	for _, tt := range []struct {
		name  string
		entry Entry
		want  string
	}{
		{"imported bounce", Entry{Address: "ada@example.com", Reason: "bounce", Source: "import"}, "0\tB" + at + "i" + ada},
		{"unsubscribe", Entry{Address: "ada@example.com", Reason: "unsubscribe", Source: "one-click", Run: "news-1"}, "0\tu" + at + "1ada@example.com\tnews-1"},
		{"a hash alone", Entry{Hash: hash, Reason: "imported", Source: "import"}, "0\ti" + at + "i" + shortHashOnly(hash)},
		{"a source of its own", Entry{Address: "ada@example.com", Reason: "bounce", Source: "crm"}, "0\tb" + at + ".ada@example.com\t\t\tcrm"},
		{"a reason of its own", Entry{Address: "ada@example.com", Reason: "moved", Run: "r"}, "0\t." + at + "nada@example.com\tr\tmoved"},
		{"it expires", Entry{Address: "ada@example.com", Expires: formTime.Add(time.Hour)}, "1790841600123\tN" + at + "n" + ada},
		{"other letters", Entry{Address: "zoë@example.com", Reason: "manual", Source: "operator"}, "0\tm" + at + "ozoë@example.com"},
		{"evidence", Entry{Address: "ada@example.com", Reason: "bounce", Source: "smtp", Lane: "main/gmail", Evidence: "550"}, "0\t1790838000123\tbounce\tsmtp\t\tada@example.com\tmain/gmail\t550"},
		{"a domain", Entry{Domain: "example.com", Reason: "manual", Source: "operator"}, "0\t1790838000123\tmanual\toperator\t\t*@example.com"},
		{"before 1970", Entry{Address: "ada@example.com", At: time.UnixMilli(-5)}, "0\t-5\t\t\t\tada@example.com"},
		{"after 2109", Entry{Address: "ada@example.com", At: time.UnixMilli(1 << 42)}, "0\t4398046511104\t\t\t\tada@example.com"},
		{"a reference", Entry{Address: "ada@example.com", Reason: "unsubscribe", Source: "one-click", Run: "REF"}, "0\t\xb1" + late + ref[1:] + ada},
		{"a reference, and another reason", Entry{Address: "ada@example.com", Reason: "complaint", Source: "hook:ses", Run: "REF"}, "0\tp" + at + "aada@example.com\t" + ref},
		{"a reference before 2020", Entry{Address: "ada@example.com", Reason: "unsubscribe", Source: "page", Run: "REF", At: time.UnixMilli(5)}, "0\tu\x80\x80\x80\x80\x80\x85pada@example.com\t" + ref},
		{"a reference after 2054", Entry{Address: "ada@example.com", Reason: "unsubscribe", Source: "page", Run: "REF", At: time.UnixMilli(lateBegin + 1<<40)}, "0\tu\xcd\xf5\xf3\x9b\xd0\x80pada@example.com\t" + ref},
		{"a reference without packing", Entry{Address: "zoë@example.com", Reason: "unsubscribe", Source: "page", Run: "REF"}, "0\tu" + at + "pzoë@example.com\t" + ref},
		{"a reference and a word", Entry{Address: "ada@example.com", Reason: "moved", Run: "REF"}, "0\t." + at + "nada@example.com\t" + ref + "\tmoved"},
	} {
		e, err := tt.entry.complete(formTime)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if e.Run == "REF" {
			e.Run = ref
		}
		got := e.encode()
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}

		// Both forms read back as the same entry.
		e.At = milli(e.At)
		e.Expires = milli(e.Expires)
		for _, value := range []string{got, e.encodeLong()} {
			back, err := decode(field(e.key(), e.topic()), value)
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			if diff := gocmp.Diff(e, back); diff != "" {
				t.Errorf("%s: %q (-stored +read):\n%s", tt.name, value, diff)
			}
			if back.Hash != e.Hash || !live(value, formTime) {
				t.Errorf("%s: %q is of another hash, or does not hold", tt.name, value)
			}
		}
	}
}

func TestAShortFormThatIsBroken(t *testing.T) {
	t.Parallel()
	const at = "\xb4\x8f\xb2\x8d\x93\xfb"
	k := strings.Repeat("k", 16)
	for _, value := range []string{
		"0\tB", "0\tB" + at + "i", "0\tBaaaaaaiada", "0\tz" + at + "ia@example.com", "0\tb" + at + "!a@example.com",
		"0\ti" + at + "i:AAAA", "0\t\xb1", "0\t\xb112345ab", "0\t\xb112345ab\xff", "0\t\xae12345ab\x00\x00\x0f", "0\t\xff12345ab\x00\x00\x0f", "x\tb" + at + "ia@example.com", "0\tB" + at + "i\xff", "0\tB" + at + "i\x00\x00",
	} {
		if e, err := decode(k, value); err == nil {
			t.Errorf("%q was read as %+v", value, e)
		}
		if !live(value, formTime) {
			t.Errorf("%q does not hold: doubt keeps mail back", value)
		}
	}
}

// The letters are stored: two words with one letter, or one word with two, would change
// what was said.
func TestLettersAreDistinct(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]letters{"reasons": reasonLetters, "sources": sourceLetters} {
		if len(l.letter) != len(l.word) {
			t.Errorf("%s: %d words and %d letters", name, len(l.letter), len(l.word))
		}
		for word, letter := range l.letter {
			if l.word[letter] != word || letter == fullText {
				t.Errorf("%s: %q has the letter %q, which means %q", name, word, letter, l.word[letter])
			}
		}
	}
}

func TestPack(t *testing.T) {
	t.Parallel()
	if len(tokens) > noToken {
		t.Fatalf("%d tokens, expected %d at most", len(tokens), noToken)
	}
	for _, text := range []string{
		"a", "ab", "abc", "abcd", "a@gmail.com", "first.last+tag@web.de", "x_y-z.0@sub.example.co.uk", "a.com@b.com", "a@gmail.com.example", "99999999@me.com",
	} {
		packed, ok := pack(text)
		back, err := unpack(packed)
		if !ok || err != nil || back != text {
			t.Errorf("%q became %q, %v, %v", text, back, ok, err)
		}
		if limit := (len(text)*tokenBits + 7) / 8; len(packed) > limit {
			t.Errorf("%q takes %d bytes, expected %d at most", text, len(packed), limit)
		}
	}
	for _, text := range []string{"A@example.com", "\"a b\"@example.com", "zoë@example.com"} {
		if packed, ok := pack(text); ok {
			t.Errorf("%q was packed as %q", text, packed)
		}
	}
}

// What was packed is what comes out, and nothing else is taken for packed.
func FuzzPack(f *testing.F) {
	f.Add("ada@example.com")
	f.Add("\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		if packed, ok := pack(text); ok && text != "" {
			if back, err := unpack(packed); err != nil || back != text {
				t.Fatalf("%q became %q, %v", text, back, err)
			}
		}
		if back, err := unpack(text); err == nil {
			if packed, ok := pack(back); !ok || packed != text {
				t.Fatalf("%q was read as %q, which packs as %q", text, back, packed)
			}
		}
	})
}

// Forms are three lists that differ only in the form in which they store: all of it in
// the long form, as older versions did, in the short one, or in both, by chance.
type forms struct {
	t      *testing.T
	random *rand.Rand
	now    time.Time
	stores [3]*Store
}

func newForms(t *testing.T, rdb redis.UniversalClient, lua func(string) *redis.Script, seed uint64) *forms {
	f := &forms{t: t, random: rand.New(rand.NewPCG(seed, 7)), now: formTime}
	chance := rand.New(rand.NewPCG(seed, 8))
	encoders := []func(Entry) string{Entry.encodeLong, Entry.encode, func(e Entry) string {
		if chance.IntN(2) == 0 {
			return e.encodeLong()
		}
		return e.encode()
	}}
	for i, encode := range encoders {
		f.stores[i] = New(rdb, fmt.Sprintf("form-%d", i), lua)
		f.stores[i].encode = encode
		f.stores[i].now = func() time.Time { return f.now }
	}
	return f
}

func pick[T any](f *forms, of ...T) T { return of[f.random.IntN(len(of))] }

var formPeople = []string{"ada@example.com", "Bobby@example.com", "zoë@gmail.com", "dan@gmail.com"}

const formLane = "main/gmail"

func (f *forms) entry() Entry {
	e := Entry{
		Address: pick(f, formPeople...),
		Reason:  pick(f, ReasonUnsubscribe, ReasonUnsubscribe, ReasonBounce, ReasonComplaint, "a word of its own", ""),
		Scope:   pick(f, All, All, Topic("news"), Topic("offers")),
		Source:  pick(f, "import", "one-click", sourceSMTP, "crm", ""),
		Run:     pick(f, "", "news-1", "news-2"),
		// Long before and long after whatever Redis marks as removed now.
		At:      pick(f, formTime.Add(-time.Hour), formTime.AddDate(50, 0, 0)),
		Expires: pick(f, time.Time{}, time.Time{}, f.now.Add(time.Minute), f.now.Add(time.Hour), f.now.Add(-time.Hour)),
	}
	switch f.random.IntN(6) {
	case 0:
		a, _ := address.Parse(e.Address)
		e.Hash = a.Hash()
		e.Address = ""
	case 1:
		e.Domain = pick(f, "example.com", "gmail.com")
	case 2, 3:
		e.Lane = formLane
		e.Reason = ReasonBounce
		e.Source = sourceSMTP
		e.Evidence = pick(f, "", "550 no such user")
	}
	return e
}

// step does one thing to all lists, and returns what each answered.
func (f *forms) step() (what string, answers [3]string) {
	entries := make([]Entry, 1+f.random.IntN(3))
	for i := range entries {
		entries[i] = f.entry()
	}
	who := pick(f, formPeople...)
	kind := f.random.IntN(10)
	for i, s := range f.stores {
		ctx := f.t.Context()
		var answer any
		var err error
		switch kind {
		case 0:
			what = "remove " + who
			answer, err = s.Rm(ctx, who)
		case 1:
			what = "discard"
			var recipients []Recipient
			var removed int
			recipients, removed, err = s.Discard(ctx, formLane, formTime.AddDate(-1, 0, 0))
			answer = fmt.Sprint(len(recipients), removed)
		case 2:
			what = "erase " + who
			a, _ := address.Parse(who)
			answer, err = s.Erase(ctx, a)
		case 3:
			what = fmt.Sprintf("replay %+v", entries)
			var noted Noted
			noted, err = s.Replay(ctx, Barrier{}, entries...)
			answer = noted.Added
		case 4:
			what = "undo " + who
			answer, err = undoAll(ctx, s, who)
		case 5:
			what = fmt.Sprintf("count %+v", entries)
			answer, err = s.CountNew(ctx, entries...)
		default:
			what = fmt.Sprintf("add %+v", entries)
			answer, err = s.Add(ctx, entries...)
		}
		if err != nil {
			f.t.Fatalf("%s: %v", what, err)
		}
		answers[i] = fmt.Sprint(answer)
	}
	if f.random.IntN(5) == 0 {
		f.now = f.now.Add(2 * time.Minute)
	}
	return what, answers
}

// undoAll undoes every unsubscribe of an address.
func undoAll(ctx context.Context, s *Store, who string) (undone int, err error) {
	results, err := s.Check(ctx, who)
	for _, r := range results {
		if err != nil || !r.Suppressed || r.Entry.Reason != ReasonUnsubscribe || r.Entry.Domain != "" {
			continue
		}
		var done bool
		if done, err = s.Undo(ctx, r.Entry); done {
			undone++
		}
	}
	return undone, err
}

// read returns what every reader of a list says.
func (f *forms) read(s *Store) string {
	ctx := f.t.Context()
	var b strings.Builder
	checked, err := s.Check(ctx, formPeople...)
	fmt.Fprintf(&b, "check %+v %v\n", checked, err)

	var entries []Entry
	err = s.Each(ctx, func(e Entry) error {
		entries = append(entries, e)
		return nil
	})
	slices.SortFunc(entries, func(x, y Entry) int {
		return cmp.Or(slices.Compare(x.Hash[:], y.Hash[:]), cmp.Compare(x.Scope, y.Scope))
	})
	fmt.Fprintf(&b, "each %+v %v\n", entries, err)
	stats, err := s.Stats(ctx)
	fmt.Fprintf(&b, "stats %+v %v\n", stats, err)

	people := make([]Person, len(formPeople))
	for i, text := range formPeople {
		a, _ := address.Parse(text)
		people[i] = PersonOf(a)
		past, err := s.History(ctx, text)
		for k := range past {
			if e := &past[k].Entry; past[k].Removed && e.At.Before(formTime.AddDate(40, 0, 0)) {
				e.At = time.Time{} // the time of Redis; else that of the entry, which is later
			}
		}
		fmt.Fprintf(&b, "history %+v %v\n", past, err)
	}
	for _, topic := range []string{"", "news", "offers"} {
		got, err := s.Suppressed(ctx, topic, people)
		fmt.Fprintf(&b, "suppressed %v %v\n", got, err)

		pipe := s.rdb.Pipeline()
		ask := s.Queue(ctx, pipe)
		var answers []func() (bool, error)
		for _, p := range people {
			answers = append(answers, ask(topic, p.Key, p.Domain))
		}
		_, err = pipe.Exec(ctx)
		for i, answer := range answers {
			suppressed, failed := answer()
			if suppressed != got[i] {
				f.t.Errorf("%s in %q: with the claim %v, in an expansion %v", formPeople[i], topic, suppressed, got[i])
			}
			err = errors.Join(err, failed)
		}
		fmt.Fprintf(&b, "with the claim %v\n", err)
	}
	return b.String()
}

// Whatever is done to a list, in whatever order: all who read it, and all scripts that
// look into it, see the same in the long form, in the short one, and in a mixed list.
func TestBothFormsAreTheSame(t *testing.T) {
	t.Parallel()
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		_, rdb := realStore(t)
		sameInBothForms(t, rdb, redis.NewScript, 25)
	})
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		rdb := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { rdb.Close() })
		sameInBothForms(t, rdb, func(src string) *redis.Script { return redis.NewScript("--" + src) }, 10)
	})
}

func sameInBothForms(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script, rounds int) {
	const steps = 25
	kinds := map[string]bool{}
	for seed := range uint64(rounds) {
		rdb.FlushAll(t.Context())
		f := newForms(t, rdb, lua, seed)
		for range steps {
			what, answers := f.step()
			verb, _, _ := strings.Cut(what, " ")
			if answers[0] != "0" && answers[0] != "0 0" {
				kinds[verb] = true
			}
			long := f.read(f.stores[0])
			for i, name := range []string{"the short form", "a mixed list"} {
				if answers[i+1] != answers[0] {
					t.Fatalf("seed %d: %s: the long form answers %s, %s %s", seed, what, answers[0], name, answers[i+1])
				}
				if diff := gocmp.Diff(long, f.read(f.stores[i+1])); diff != "" {
					t.Fatalf("seed %d: after %s, the long form against %s (-long +other):\n%s", seed, what, name, diff)
				}
			}
		}
	}
	for _, verb := range []string{"add", "remove", "discard", "erase", "replay", "undo", "count"} {
		if !kinds[verb] {
			t.Errorf("nothing was changed by %s: the test shows too little", verb)
		}
	}
}

// A process of an older version, which does not know the short form, shortens no entry
// and can take one off.
func TestAnOlderVersionNextToThisOne(t *testing.T) {
	t.Parallel()
	s, rdb := realStore(t)
	older := New(rdb, "bs", redis.NewScript)
	older.encode = Entry.encodeLong
	for file, script := range map[string]**redis.Script{"add.lua": &older.add, "rm.lua": &older.rm} {
		src, err := os.ReadFile("testdata/older/" + file)
		if err != nil {
			t.Fatal(err)
		}
		*script = redis.NewScript(string(src))
	}

	ada := Entry{Address: "ada@example.com", Reason: ReasonUnsubscribe, Source: "one-click", Run: "news-1", At: formTime}
	if n, err := s.Add(t.Context(), ada); n != 1 || err != nil {
		t.Fatalf("Add: %d, %v", n, err)
	}
	for _, e := range []Entry{
		{Address: "ada@example.com", Reason: ReasonManual, Expires: time.Now().Add(time.Hour)},
		{Address: "ada@example.com", Reason: ReasonComplaint},
	} {
		if n, err := older.Add(t.Context(), e); n != 0 || err != nil {
			t.Errorf("an older version added %+v: %d, %v", e, n, err)
		}
	}
	got, err := s.Check(t.Context(), "ada@example.com")
	if err != nil || len(got) != 1 || got[0].Entry.Reason != ReasonUnsubscribe || !got[0].Entry.Expires.IsZero() {
		t.Errorf("afterwards: %+v, %v", got, err)
	}

	if n, err := older.Rm(t.Context(), "ada@example.com"); n != 1 || err != nil {
		t.Errorf("an older version takes it off: %d, %v", n, err)
	}
	if _, err := s.Replay(t.Context(), Barrier{}, ada); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Check(t.Context(), "ada@example.com"); err != nil || got[0].Suppressed {
		t.Errorf("a replay brought back what an older version has taken off: %+v, %v", got, err)
	}
}
