package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

func bounce(part, index int) After {
	return After{
		Kind: campaign.EventBounced, Place: Place{part, index}, Day: "2026-12-01", Account: "main", Text: "550 user unknown",
		State: campaign.Bounced, Reply: Reply{Enhanced: "5.1.1", Text: "user unknown"},
	}
}

func countAfter(t *testing.T, l *Ledger, r *Run, all ...After) []bool {
	t.Helper()
	counted, err := l.CountAfter(t.Context(), r, all)
	if err != nil {
		t.Fatal(err)
	}
	return counted
}

func TestWhatComesBackCountsOnceForEachRecipient(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 20, 0, 30)
		left := After{Kind: campaign.EventUnsubscribed, Place: Place{2, -1}, Person: "hash of ann", Day: "2026-12-02"}
		all := []After{bounce(2, 29), bounce(0, 3), bounce(2, 29), left, bounce(2, 0), left}
		if diff := cmp.Diff([]bool{true, true, false, true, true, false}, countAfter(t, l, r, all...)); diff != "" {
			t.Errorf("counted first (-want +got):\n%s", diff)
		}
		for _, again := range countAfter(t, l, r, all...) {
			if again {
				t.Error("counted again")
			}
		}

		delivered := bounce(2, 29)
		delivered.Kind = campaign.EventDelivered
		delivered.Text = ""
		countAfter(t, l, r, delivered)

		tally, err := l.Counts(t.Context(), "r")
		if err != nil {
			t.Fatal(err)
		}
		want := map[campaign.EventKind]int64{campaign.EventBounced: 3, campaign.EventUnsubscribed: 1, campaign.EventDelivered: 1}
		if diff := cmp.Diff(want, tally.After); diff != "" {
			t.Errorf("after (-want +got):\n%s", diff)
		}

		counts, texts, err := l.Afters(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		wantCounts := []AfterCount{
			{"2026-12-01", campaign.EventBounced, 0, "main", 1},
			{"2026-12-01", campaign.EventBounced, 2, "main", 2},
			{"2026-12-01", campaign.EventDelivered, 2, "main", 1},
			{"2026-12-02", campaign.EventUnsubscribed, 2, "", 1},
		}
		if diff := cmp.Diff(wantCounts, counts); diff != "" {
			t.Errorf("by day (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]AfterText{{campaign.EventBounced, "550 user unknown", 3}}, texts); diff != "" {
			t.Errorf("texts (-want +got):\n%s", diff)
		}

		if _, err := l.CountAfter(t.Context(), r, []After{bounce(2, 30)}); err == nil {
			t.Error("a recipient that the run does not have was counted")
		}
	})
}

// What comes back settles uncertain recipients, and no others.
func TestWhatComesBackSettlesTheUncertain(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 4)
		n := line(t, l)
		for i, state := range []campaign.State{campaign.Uncertain, campaign.Uncertain, campaign.Accepted} {
			ref := Ref{r, 0, i}
			token := "w." + itoa(i)
			if c, err := n.Claim(t.Context(), ref, token, SuppressionKey{}); err != nil || !c.Held {
				t.Fatalf("claim: %+v, %v", c, err)
			}
			if ok, err := n.Settle(t.Context(), ref, token, Outcome{State: state, Reply: Reply{Code: 250}}); err != nil || !ok {
				t.Fatalf("settle: %v, %v", ok, err)
			}
		}

		blocked := bounce(0, 1)
		blocked.Kind = campaign.EventBlocked
		blocked.State = campaign.Accepted
		all := []After{bounce(0, 0), blocked, bounce(0, 2), bounce(0, 3)}
		countAfter(t, l, r, all...)
		countAfter(t, l, r, all...)

		cells, err := l.Page(t.Context(), r, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []campaign.State{campaign.Bounced, campaign.Accepted, campaign.Accepted, campaign.Pending} {
			if cells[i].State != want {
				t.Errorf("recipient %d is %s, want %s", i, cells[i].State, want)
			}
		}

		replies, err := l.Replies(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if got := replies[[2]int{0, 0}]; got.Enhanced != "5.1.1" || got.Text != "user unknown" {
			t.Errorf("reply of the bounced one: %+v", got)
		}

		left, err := l.Left(t.Context(), r, []Place{{0, 0}, {0, 1}, {0, 2}, {0, 3}})
		if err != nil {
			t.Fatal(err)
		}
		// The last one was bounced and never sent: somebody must have been wrong.
		if diff := cmp.Diff([]bool{true, true, true, false}, left); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}
	})
}

func TestTextsOfWhatComesBackAreBounded(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", maxAfterTexts+50)
		var all []After
		for i := range maxAfterTexts + 50 {
			a := bounce(0, i)
			a.Text = "text " + itoa(i)
			all = append(all, a)
		}
		countAfter(t, l, r, all...)
		_, texts, err := l.Afters(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		if len(texts) != maxAfterTexts+1 || texts[0] != (AfterText{campaign.EventBounced, "", 50}) {
			t.Errorf("%d texts, the first is %+v", len(texts), texts[0])
		}
	})
}

// What comes back about a run ends with the run, also when it comes after the run
// was retired; about a run that is gone nothing is kept.
func TestWhatComesBackEndsWithTheRun(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		r := newRun(t, l, "r", 4)
		countAfter(t, l, r, bounce(0, 0))
		rec, err := l.Record(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Retire(ctx, rec, time.Hour, time.Minute); err != nil {
			t.Fatal(err)
		}

		left := After{Kind: campaign.EventUnsubscribed, Place: Place{0, -1}, Person: "hash of ann", Day: "2026-12-02"}
		complained := bounce(0, 1)
		complained.Kind = campaign.EventComplained
		countAfter(t, l, r, left, complained)
		keys, err := l.rdb.Keys(ctx, l.runKey("r", "*")).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range keys {
			if ttl := l.rdb.PTTL(ctx, key).Val(); ttl <= 0 || ttl > time.Hour {
				t.Errorf("%s ends in %s", key, ttl)
			}
		}

		for _, key := range keys {
			l.rdb.Del(ctx, key)
		}
		if counted := countAfter(t, l, r, bounce(0, 0), left); counted[0] || counted[1] {
			t.Error("counted for a run that is gone")
		}
		if keys := l.rdb.Keys(ctx, l.runKey("r", "*")).Val(); len(keys) > 0 {
			t.Errorf("a run that is gone has %v", keys)
		}
	})
}

// Of what came back a run keeps when, by which road and with which words, once for each
// kind and recipient, and never for a delivery.
func TestNotesOfWhatCameBack(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 20, 0, 30)
		at := time.UnixMilli(1_790_838_000_123).UTC()
		first := bounce(2, 9)
		first.At = at
		first.Source = "hook:ses"
		first.Said = "550 user\tunknown"
		again := first
		again.Source = "mailbox"
		delivered := first
		delivered.Kind = campaign.EventDelivered
		left := After{Kind: campaign.EventUnsubscribed, Place: Place{2, -1}, Person: "hash of ann 1234", Day: "2026-12-02", At: at.Add(-time.Hour), Source: "page"}
		silent := bounce(0, 9) // as an older version counted it
		countAfter(t, l, r, first, again, delivered, left, silent)

		wantBounce := Returned{Kind: campaign.EventBounced, At: at, Source: "hook:ses", Account: "main", Status: "5.1.1", Said: "550 user unknown"}
		wantLeft := Returned{Kind: campaign.EventUnsubscribed, At: at.Add(-time.Hour), Source: "page"}
		for _, tt := range []struct {
			name   string
			at     Place
			person string
			want   []Returned
		}{
			{"by place", Place{2, 9}, "", []Returned{{Kind: campaign.EventDelivered}, wantBounce}},
			{"by both", Place{2, 9}, "hash of ann 1234", []Returned{{Kind: campaign.EventDelivered}, wantLeft, wantBounce}},
			{"by person", Place{0, -1}, "hash of ann 1234", []Returned{wantLeft}},
			{"without a note", Place{0, 9}, "hash of bob 1234", []Returned{{Kind: campaign.EventBounced}}},
			{"nobody", Place{2, 8}, "hash of bob 1234", nil},
		} {
			got, err := l.Returned(t.Context(), r, tt.at, tt.person)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
		}
	})
}

func TestStandingOfOneRecipient(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 3)
		n := line(t, l)
		if c, err := n.Claim(t.Context(), Ref{r, 0, 0}, "w.1", SuppressionKey{}); err != nil || !c.Held {
			t.Fatalf("claim: %+v, %v", c, err)
		}
		if ok, err := n.Refuse(t.Context(), Ref{r, 0, 1}, Outcome{State: campaign.Bounced, Reply: Reply{Code: 550, Text: "no"}}); err != nil || !ok {
			t.Fatalf("refuse: %v, %v", ok, err)
		}

		for i, want := range []campaign.State{campaign.Sending, campaign.Bounced, campaign.Pending} {
			s, err := l.Standing(t.Context(), r, Place{0, i})
			if err != nil || s.State != want {
				t.Errorf("recipient %d: got %s, %v, want %s", i, s.State, err, want)
			}
			if claimed := want == campaign.Sending; s.Claimed.IsZero() == claimed {
				t.Errorf("recipient %d: claimed at %v", i, s.Claimed)
			}
			if replied := want == campaign.Bounced; (s.Last != nil) != replied || replied && (s.Last.Code != 550 || s.Last.Text != "no") {
				t.Errorf("recipient %d: last reply %+v", i, s.Last)
			}
		}
		if _, err := l.Standing(t.Context(), r, Place{0, 3}); !Gone(err) {
			t.Errorf("of a recipient that the run has not: %v", err)
		}
	})
}
