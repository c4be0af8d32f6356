package ledger

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

func turns(t *testing.T, l *Ledger, id string) []string {
	t.Helper()
	rec, err := l.Record(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, turn := range rec.Telling.Turns {
		if age := time.Since(turn.At); age < -time.Minute || age > time.Minute {
			t.Errorf("turn %d is from %s", turn.Number, turn.At)
		}
		out = append(out, fmt.Sprintf("%d %s %s", turn.Number, turn.State, turn.Reason))
	}
	return out
}

func TestThatARunWasStoppedIsWrittenDown(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		newRun(t, l, "r", 20)
		turn := func(to campaign.RunState, reason string, from ...campaign.RunState) {
			t.Helper()
			if _, err := l.Turn(t.Context(), "r", to, reason, from...); err != nil {
				t.Fatal(err)
			}
		}
		turn(campaign.Paused, "BS-OPERATOR: by the operator", campaign.Running)
		turn(campaign.Paused, "it is paused already", campaign.Running)
		turn(campaign.Running, "", campaign.Paused)
		turn(campaign.Held, "doubt", campaign.Running)
		if diff := cmp.Diff([]string{"1 paused BS-OPERATOR: by the operator", "2 held doubt"}, turns(t, l, "r")); diff != "" {
			t.Errorf("turns (-want +got):\n%s", diff)
		}
		if err := l.NoteTurnTold(t.Context(), "r", 1); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"2 held doubt"}, turns(t, l, "r")); diff != "" {
			t.Errorf("turns when one was told (-want +got):\n%s", diff)
		}

		for i := range 40 {
			turn(campaign.Running, "", campaign.Held, campaign.Paused)
			turn(campaign.Paused, fmt.Sprint(i), campaign.Running)
		}
		got := turns(t, l, "r")
		if len(got) != keepTurns || got[0] != "27 paused 24" || got[keepTurns-1] != "42 paused 39" {
			t.Errorf("got %q, want the last %d", got, keepTurns)
		}
		m := l.rdb.HGetAll(t.Context(), l.runKey("r", "record")).Val()
		kept := 0
		for field := range m {
			if len(field) > 5 && field[:5] == "turn:" {
				kept++
			}
		}
		if kept != keepTurns {
			t.Errorf("%d turns are kept, want %d", kept, keepTurns)
		}
	})
}

func TestTheEndOfARunIsToldOnceForEachEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 1)
		n := line(t, l)
		if ok, err := n.Refuse(t.Context(), Ref{r, 0, 0}, Outcome{State: campaign.Failed}); err != nil || !ok {
			t.Fatalf("refuse: %v, %v", ok, err)
		}
		rec, err := l.Record(t.Context(), "r")
		if err != nil || rec.State != campaign.Finished || rec.EndTold() {
			t.Fatalf("got %s, told %v, %v", rec.State, rec.EndTold(), err)
		}
		if err := l.NoteEndTold(t.Context(), rec); err != nil {
			t.Fatal(err)
		}
		if rec, _ = l.Record(t.Context(), "r"); !rec.EndTold() {
			t.Error("the end is not told")
		}
		if err := l.NoteFinished(t.Context(), "r", time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if rec, _ = l.Record(t.Context(), "r"); rec.EndTold() {
			t.Error("another end counts as told")
		}

		if err := l.AddUntold(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		if ids, err := l.Untold(t.Context()); err != nil || len(ids) != 1 || ids[0] != "r" {
			t.Errorf("got %v, %v", ids, err)
		}
		if err := l.RemoveUntold(t.Context(), "r"); err != nil {
			t.Fatal(err)
		}
		if ids, err := l.Untold(t.Context()); err != nil || len(ids) != 0 {
			t.Errorf("got %v, %v", ids, err)
		}
	})
}

func TestWhatWasToldOfARun(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 20, 30)
		ctx := t.Context()
		bits, err := l.Told(ctx, r, "abc", 1)
		if err != nil || bits.Has(0) || bits.Has(1000) {
			t.Fatalf("got %v, %v", bits, err)
		}
		if err := l.NoteTold(ctx, r, "abc", 1, bits.With(0).With(29).With(8)); err != nil {
			t.Fatal(err)
		}
		if bits, err = l.Told(ctx, r, "abc", 1); err != nil {
			t.Fatal(err)
		}
		for i := range 40 {
			if got, want := bits.Has(i), i == 0 || i == 8 || i == 29; got != want {
				t.Errorf("bit %d: got %v, want %v", i, got, want)
			}
		}
		for _, other := range []struct {
			receiver string
			part     int
		}{{"abc", 0}, {"abd", 1}} {
			if bits, err := l.Told(ctx, r, other.receiver, other.part); err != nil || len(bits) != 0 {
				t.Errorf("%v: got %v, %v", other, bits, err)
			}
		}

		if err := l.NoteToldOf(ctx, r, []string{"*one", "*two"}); err != nil {
			t.Fatal(err)
		}
		told, err := l.ToldOf(ctx, r, []string{"*one", "*three", "*two"})
		if diff := cmp.Diff([]bool{true, false, true}, told); diff != "" || err != nil {
			t.Errorf("told by name (-want +got), %v:\n%s", err, diff)
		}

		rec, err := l.Record(ctx, "r")
		if err != nil {
			t.Fatal(err)
		}
		if err := l.Retire(ctx, rec, time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		if left := l.rdb.PTTL(ctx, l.toldKey(r)).Val(); left <= 0 || left > time.Hour {
			t.Errorf("it ends in %s, want an hour", left)
		}
		l.rdb.Del(ctx, l.toldKey(r))
		if err := l.NoteToldOf(ctx, r, []string{"*late"}); err != nil {
			t.Fatal(err)
		}
		if left := l.rdb.PTTL(ctx, l.toldKey(r)).Val(); left <= 0 || left > time.Hour {
			t.Errorf("what was written afterwards ends in %s, want with the run", left)
		}
		l.rdb.Del(ctx, l.toldKey(r), l.runKey("r", "record"))
		if err := l.NoteToldOf(ctx, r, []string{"*later"}); err != nil {
			t.Fatal(err)
		}
		if n := l.rdb.Exists(ctx, l.toldKey(r)).Val(); n != 0 {
			t.Error("something was written of a run that is gone")
		}
	})
}

func TestCountedSeesWhatCountAfterHasCounted(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 20, 0, 30)
		left := After{Kind: campaign.EventUnsubscribed, Place: Place{2, -1}, Person: "hash of ann", Day: "2026-12-02"}
		all := []After{bounce(2, 29), left, bounce(0, 3), bounce(2, 28), bounce(0, 4)}
		check := func(want ...bool) {
			t.Helper()
			got, err := l.Counted(t.Context(), r, all)
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("counted (-want +got), %v:\n%s", err, diff)
			}
		}
		check(false, false, false, false, false)
		countAfter(t, l, r, all[:3]...)
		check(true, true, true, false, false)

		bits, err := l.CameBack(t.Context(), r, campaign.EventBounced, 2)
		if err != nil || !bits.Has(29) || bits.Has(28) {
			t.Errorf("got %v, %v", bits, err)
		}
	})
}

func TestRepliesOf(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		r := newRun(t, l, "r", 3)
		n := line(t, l)
		reply := Reply{Code: 550, Enhanced: "5.1.1", Account: "main", Text: "no\tuser"}
		if ok, err := n.Refuse(t.Context(), Ref{r, 0, 1}, Outcome{State: campaign.Bounced, Reply: reply}); err != nil || !ok {
			t.Fatalf("refuse: %v, %v", ok, err)
		}
		got, err := l.RepliesOf(t.Context(), r, []Place{{0, 0}, {0, 1}})
		if err != nil || len(got) != 2 {
			t.Fatalf("got %v, %v", got, err)
		}
		reply.Text = "no user"
		if got[0] != (LastReply{}) || got[1].Reply != reply || got[1].At.IsZero() {
			t.Errorf("got %+v", got)
		}
		if got, err := l.RepliesOf(t.Context(), r, nil); err != nil || len(got) != 0 {
			t.Errorf("of nobody: got %v, %v", got, err)
		}
	})
}
