package lanes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/failure"
	"broadside/throttle"
)

// suppress puts the recipients of a part of a run on the list, as a worker does whose
// server calls them dead.
func (w *world) suppress(run string, part, from, to int, at time.Time) {
	w.t.Helper()
	for i := from; i < to; i++ {
		_, err := w.Suppression.Add(w.t.Context(), suppression.Entry{
			Address: fmt.Sprintf("%s-%d-%d@gmail.com", run, part, i), Reason: suppression.ReasonBounce, Source: "smtp",
			Run: run, Lane: "ses-main/gmail", Part: part, Index: i, At: at,
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
}

// suppressed returns how many addresses are on the list.
func (w *world) suppressed() (n int) {
	w.t.Helper()
	err := w.Suppression.Each(w.t.Context(), func(suppression.Entry) error { n++; return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestDiscardTakesTheSuppressionsOfAStormAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := t.Context()
	from := w.now.Add(-time.Minute)
	first, second := w.run("news-1", "ses-main", map[int]int{1: 10}), w.run("news-2", "ses-main", map[int]int{1: 10})
	w.suppress("news-1", 1, 0, 2, from.Add(-time.Hour))
	w.suppress("news-1", 1, 2, 6, from)
	w.suppress("news-2", 1, 0, 3, w.now)
	w.suppress("gone", 1, 0, 1, w.now)
	w.storm("ses-main/gmail", from)

	gmail := w.name("ses-main/gmail")
	if _, err := w.LaneControl.Resume(ctx, w.now, gmail); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), "--discard") || !strings.Contains(err.Error(), "--confirm") {
		t.Errorf("resume: got %v, want ErrRefused with both flags", err)
	}
	if l, err := w.LaneControl.Pause(ctx, w.now, gmail); err != nil || l.Code != "BS-LANE-STORM" {
		t.Errorf("pause: got %+v, %v; want it closed as it was", l, err)
	}

	d, err := w.LaneControl.Discard(ctx, w.now, gmail)
	if err != nil {
		t.Fatal(err)
	}
	if d.Suppressions != 8 || d.Recipients != 7 || d.Lane.State != throttle.LaneOpen {
		t.Errorf("got %+v", d)
	}
	if diff := cmp.Diff([]string{"news-1", "news-2"}, d.Runs); diff != "" {
		t.Errorf("runs (-want +got):\n%s", diff)
	}
	text, err := json.Marshal(d)
	if err != nil || !strings.HasPrefix(string(text), `{"account":"ses-main","provider":"gmail","state":"open",`) ||
		!strings.HasSuffix(string(text), `,"discarded":{"suppressions":8,"recipients":7,"runs":["news-1","news-2"]}}`) {
		t.Errorf("JSON is %s, %v", text, err)
	}
	if n := w.suppressed(); n != 2 {
		t.Errorf("%d addresses are suppressed, want those 2 of before", n)
	}
	for run, want := range map[*ledger.Run]map[[2]int]bool{
		first:  {{1, 2}: true, {1, 3}: true, {1, 4}: true, {1, 5}: true},
		second: {{1, 0}: true, {1, 1}: true, {1, 2}: true},
	} {
		got, err := w.Ledger.Storm(ctx, run)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, recipients (-want +got):\n%s", run.ID, err, diff)
		}
	}

	if _, err := w.LaneControl.Discard(ctx, w.now, gmail); !errors.Is(err, failure.ErrRefused) {
		t.Errorf("of a lane that is open: got %v, want ErrRefused", err)
	}
}

// A process that dies between the steps leaves the lane closed: the next call makes up
// for what it did not do.
func TestADiscardThatWasCutOffIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := w.run("news-1", "ses-main", map[int]int{1: 3})
	w.suppress("news-1", 1, 0, 3, w.now)
	w.storm("ses-main/gmail", w.now)
	if _, n, err := w.Suppression.Discard(t.Context(), "ses-main/gmail", w.now); n != 3 || err != nil {
		t.Fatalf("discarded %d, %v", n, err)
	}

	d, err := w.LaneControl.Discard(t.Context(), w.now, w.name("ses-main/gmail"))
	if err != nil || d.Suppressions != 0 || d.Recipients != 3 {
		t.Errorf("got %+v, %v", d, err)
	}
	if got, err := w.Ledger.Storm(t.Context(), run); len(got) != 3 || err != nil {
		t.Errorf("noted are %v, %v", got, err)
	}
}

func TestResetKeepsTheSuppressionsOfAStorm(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.suppress("news-1", 1, 0, 3, w.now)
	w.storm("ses-main/gmail", w.now)
	l, err := w.LaneControl.Reset(t.Context(), w.now, w.name("ses-main/gmail"))
	if err != nil || l.State != throttle.LaneOpen {
		t.Errorf("got %+v, %v", l, err)
	}
	if n := w.suppressed(); n != 3 {
		t.Errorf("%d addresses are suppressed, want 3", n)
	}
}
