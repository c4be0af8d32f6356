package ledger

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// said is how providers accept message n.
var said = []struct {
	provider string
	reply    func(n int) Reply
	want     func(n int) string // empty: the text of reply
}{
	{provider: "postfix", reply: func(n int) Reply {
		return Reply{250, "2.0.0", "relay", "2.0.0 Ok: queued as 4B" + word(n, "bcdfghjklmnpqrstvwxyzBCDFGHJKLMNPQRSTVWXYZ0123456789", 12)}
	}},
	{provider: "postfix, short ids", reply: func(n int) Reply {
		return Reply{250, "2.0.0", "relay", "2.0.0 Ok: queued as " + word(n, "0123456789ABCDEF", 11)}
	}},
	{provider: "ses", reply: func(n int) Reply {
		h := func(k, length int) string { return word(n+k, "0123456789abcdef", length) }
		return Reply{250, "", "ses-main", "Ok 0102" + h(0, 12) + "-" + h(1, 8) + "-" + h(2, 4) + "-" + h(3, 4) + "-" + h(4, 4) + "-" + h(5, 12) + "-000000"}
	}},
	{provider: "gmail", reply: func(n int) Reply {
		h := func(k, length int) string { return word(n+k, "0123456789abcdef", length) }
		return Reply{250, "2.0.0", "gmail", fmt.Sprintf("2.0.0 OK  %d %s-%ssm%d%s.%d - gsmtp", 1732400000+n/9, h(0, 13), h(1, 11), 1234567+n, word(n, "abcdefghij", 3), 10+n%90)}
	}},
	{provider: "sendgrid", reply: func(n int) Reply {
		return Reply{250, "", "sendgrid", "Ok: queued as " + word(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", 22)}
	}},
	{provider: "exim", reply: func(n int) Reply {
		return Reply{250, "", "exim", "OK id=1sK" + word(n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", 3) + "-00000000" + word(n+1, "ABCDEFGHIJ", 3) + "-" + word(n+2, "abcXYZ012", 4)}
	}},
	{
		provider: "office 365", reply: func(n int) Reply {
			return Reply{250, "2.6.0", "office", fmt.Sprintf("2.6.0 <%s.17324@news.example.com> [InternalId=%d, Hostname=AM0PR04MB%d.eurprd04.prod.outlook.com] %d bytes in 0.%d, %d.%d KB/sec Queued mail for delivery",
				word(n, "0123456789abcdef", 16), 14087614791234+n, 1000+n%9000, 12000+n%999, 100+n%400, 60+n%50, 100+n%900)}
		},
		want: func(n int) string {
			return fmt.Sprintf("2.6.0 <…> [InternalId=%d, Hostname=…] %d bytes in 0.%d, %d.%d KB/sec Queued mail for delivery", 14087614791234+n, 12000+n%999, 100+n%400, 60+n%50, 100+n%900)
		},
	},
}

// word returns the nth of many words that look random.
func word(n int, alphabet string, length int) string {
	seed := uint64(n)*0x9E3779B97F4A7C15 + 1
	b := make([]byte, length)
	for i := range b {
		seed ^= seed >> 29
		seed *= 0xBF58476D1CE4E5B9
		seed ^= seed >> 32
		b[i] = alphabet[seed%uint64(len(alphabet))]
	}
	return string(b)
}

// acceptAll lets each recipient of part 0 be accepted, as many in one call as a
// batch has.
func acceptAll(t testing.TB, l *Ledger, run *Run, people, batch int, reply func(n int) Reply) {
	t.Helper()
	ctx := t.Context()
	var seen patterns
	for first := 0; first < people; first += batch {
		claims := []any{0, 0, batch, 0}
		outcomes := []any{0, batch, 0, 0}
		for i := first; i < first+batch; i++ {
			token := "w." + strconv.Itoa(i)
			claims = append(claims, i, token)
			o := Outcome{State: campaign.Accepted, Reply: reply(i)}
			outcomes = o.append(outcomes, i, token, seen.receipt(Ref{run, 0, i}, o.Reply))
		}

		for _, args := range [][]any{claims, outcomes} {
			if err := l.run(ctx, l.script.record, l.keys(run, 0), args...).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestAReceiptTakes40Bytes measures what Redis keeps of one accepted message, with
// the replies of several providers.
func TestAReceiptTakes40Bytes(t *testing.T) {
	t.Parallel()
	l := backends["redis"](t)
	const people = 4000
	for k, p := range said {
		run := newRun(t, l, "r"+strconv.Itoa(k), people)
		acceptAll(t, l, run, people, 20, p.reply)
		receipts := memoryUsage(t, l.rdb, l.receiptsKey(run))
		patterns := memoryUsage(t, l.rdb, l.patternsKey(run))
		t.Logf("%-20s %5.1f bytes a message, %d bytes of patterns", p.provider, float64(receipts)/people, patterns)
		if receipts > 40*people || patterns > 4000 {
			t.Errorf("%s: %d bytes for %d messages and %d of patterns, expected 40 a message and a few patterns", p.provider, receipts, people, patterns)
		}
		kept, err := l.Receipts(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}

		for i := range people {
			want := p.reply(i)
			if p.want != nil {
				want.Text = p.want(i)
			}
			last, ok := kept.Of(0, i)
			if diff := cmp.Diff(want, last.Reply); !ok || diff != "" {
				t.Fatalf("%s, recipient %d (-said +kept):\n%s", p.provider, i, diff)
			}
		}
	}
}

func memoryUsage(t testing.TB, rdb redis.UniversalClient, key string) int64 {
	t.Helper()
	n, err := rdb.MemoryUsage(t.Context(), key, 0).Result()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// claimed claims recipient 0 of a part for token w.1.
func claimed(t *testing.T, n *Line, run *Run, part int) Ref {
	t.Helper()
	ref := Ref{run, part, 0}
	if c, err := n.Claim(t.Context(), ref, "w.1", SuppressionKey{}); err != nil || !c.Held {
		t.Fatalf("claim: %+v, %v", c, err)
	}
	return ref
}

func settled(t *testing.T, n *Line, ref Ref, o Outcome) {
	t.Helper()
	if ok, err := n.Settle(t.Context(), ref, "w.1", o); err != nil || !ok {
		t.Fatalf("settle: %v, %v", ok, err)
	}
}

var acceptedReply = Reply{Code: 250, Enhanced: "2.0.0", Account: "relay", Text: "2.0.0 Ok: queued as 4Bxyz3lzPQz1Rk"}

func TestAReceiptHasTheTimeOfRedis(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		run := newRun(t, l, "r", 2, 3)
		n := line(t, l)
		ref := claimed(t, n, run, 1)
		before, _ := l.Now(t.Context())
		settled(t, n, ref, Outcome{State: campaign.Accepted, Reply: acceptedReply})
		after, _ := l.Now(t.Context())
		kept, err := l.Receipts(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}

		last, ok := kept.Of(1, 0)
		if diff := cmp.Diff(acceptedReply, last.Reply); !ok || diff != "" {
			t.Errorf("(-said +kept):\n%s", diff)
		}
		if last.At.Before(before.Add(-20*time.Millisecond)) || last.At.After(after) {
			t.Errorf("at %v, expected between %v and %v", last.At, before, after)
		}

		for _, at := range [][2]int{{0, 0}, {1, 1}, {1, 3}, {2, 0}} {
			if last, ok := kept.Of(at[0], at[1]); ok {
				t.Errorf("recipient %v, who was not sent to, has %+v", at, last)
			}
		}
	})
}

// TestAReplyOfManyPatternsKeepsItsID: a server that says something else each time
// makes no more than some patterns, and what it says is shortened to the id.
func TestAReplyOfManyPatternsKeepsItsID(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		const people = 4 * maxPatterns
		text := func(n int) string {
			return "Thank you, " + word(n, "aeiou", 9) + ": queued as 4B" + word(n, "BCD012", 9)
		}
		run := newRun(t, l, "r", people)
		acceptAll(t, l, run, people, 20, func(n int) Reply { return Reply{250, "", "relay", text(n)} })
		kept, err := l.Receipts(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}

		for i := range people {
			want := text(i)
			if i >= maxPatterns {
				want = "… 4B" + word(i, "BCD012", 9) + " …"
			}
			if last, _ := kept.Of(0, i); last.Text != want || last.Account != "relay" || last.Code != 250 {
				t.Fatalf("recipient %d: %+v, expected %q", i, last, want)
			}
		}

		if n := l.rdb.HLen(t.Context(), l.patternsKey(run)).Val(); n > maxPatterns+5 {
			t.Errorf("%d patterns", n)
		}
	})
}

func TestReceiptsEndWithTheAddresses(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		n := line(t, l)
		uncertain := func(id string) (*Record, Ref) {
			ref := claimed(t, n, newRun(t, l, id, 1), 0)
			settled(t, n, ref, Outcome{State: campaign.Uncertain})
			rec, err := l.Record(ctx, id)
			if err != nil {
				t.Fatal(err)
			}
			return rec, ref
		}
		retire := func(rec *Record) {
			if err := l.Retire(ctx, rec, 2*time.Hour, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		ends := func(what string, run *Run, want time.Duration) {
			for _, key := range []string{l.receiptsKey(run), l.patternsKey(run)} {
				got := l.rdb.TTL(ctx, key).Val()
				if want < 0 && got != -2 || want >= 0 && (got <= want-time.Minute || got > want) {
					t.Errorf("%s: %s ends in %v, expected %v", what, key, got, want)
				}
			}
		}
		accepted := Outcome{State: campaign.Accepted, Reply: acceptedReply}

		rec, ref := uncertain("before")
		settled(t, n, ref, accepted)
		retire(rec)
		ends("accepted, then over", ref.Run, time.Hour)

		rec, ref = uncertain("late")
		retire(rec)
		settled(t, n, ref, accepted)
		ends("over, then accepted", ref.Run, time.Hour)

		rec, ref = uncertain("gone")
		retire(rec)
		if err := l.rdb.Del(ctx, l.runKey("gone", ref.Run.Attempt+":chunks")).Err(); err != nil { // they have expired
			t.Fatal(err)
		}

		settled(t, n, ref, accepted)
		ends("addresses gone, then accepted", ref.Run, -1)
	})
}

// TestAReplayedReceiptHasTimeAndAccount: the journal remembers no texts.
func TestAReplayedReceiptHasTimeAndAccount(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		run := newRun(t, l, "r", 1)
		n := line(t, l)
		id := "one"
		m := member(t, l, &id)
		ref := Ref{run, 0, 0}
		before := l.rdb.GetRange(ctx, l.cellsKey(run, 0), 0, -1).Val()
		e := m.Ask(ref)
		if _, err := n.Claim(ctx, ref, e.Token, SuppressionKey{}); err != nil {
			t.Fatal(err)
		}

		o := Outcome{State: campaign.Accepted, Reply: acceptedReply}
		m.journal.Open(e, 1)
		m.journal.Close(e, o)
		if _, err := n.Settle(ctx, ref, e.Token, o); err != nil {
			t.Fatal(err)
		}

		// Redis goes back to before the claim.
		pipe := l.rdb.TxPipeline()
		pipe.Set(ctx, l.cellsKey(run, 0), before, 0)
		pipe.Del(ctx, l.receiptsKey(run), l.patternsKey(run))
		if _, err := pipe.Exec(ctx); err != nil {
			t.Fatal(err)
		}

		for range 2 { // asking twice changes nothing
			if _, err := l.replayAll(ctx, m.ID(), m.journal.sent()); err != nil {
				t.Fatal(err)
			}
		}

		kept, err := l.Receipts(ctx, run)
		if err != nil {
			t.Fatal(err)
		}

		last, ok := kept.Of(0, 0)
		if diff := cmp.Diff(Reply{Code: 250, Account: "relay"}, last.Reply); !ok || diff != "" || last.At.IsZero() {
			t.Errorf("at %v (-want +got):\n%s", last.At, diff)
		}
		if n := l.rdb.LLen(ctx, l.receiptsKey(run)).Val(); n != 1 {
			t.Errorf("%d receipts", n)
		}
	})
}

// FuzzReceipts: whatever stands in Redis, reading it does not fail.
func FuzzReceipts(f *testing.F) {
	run := &Run{ID: "r", Created: time.UnixMilli(1732400000000), Sizes: []PartSize{{0, 3}, {4, 2}}}
	made := Ref{run, 4, 1}.receipt(acceptedReply)
	f.Add("\x00\x00\x00\x07\x01"+string(made.differs), made.pattern)
	f.Add("\x00\x00\x00\x07\x81\x01"+string(made.differs), "250\t\trelay\t")
	f.Add("", "")
	f.Fuzz(func(_ *testing.T, stored, pattern string) {
		kept := &Receipts{run: run, people: 5, patterns: map[int]string{1: pattern}, at: make([]uint64, 5)}
		kept.add(stored)
		for part, size := range map[int]int{0: 3, 4: 2} {
			for i := range size {
				kept.Of(part, i)
			}
		}
	})
}
