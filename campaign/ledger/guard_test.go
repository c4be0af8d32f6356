package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

func TestGuardsAndTheirMemoryStandInTheRecord(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		guard := campaign.Guard{MaxBounceRate: 0.05, Canary: 2, CanaryWait: time.Minute}
		if _, err := l.Create(ctx, NewRun{ID: "r", Campaign: "news", Created: time.Now(), Guard: guard}); err != nil {
			t.Fatal(err)
		}

		read := func() *Record {
			t.Helper()
			rec, err := l.Record(ctx, "r")
			if err != nil {
				t.Fatal(err)
			}
			return rec
		}
		if diff := cmp.Diff(guard, read().Guard); diff != "" {
			t.Errorf("guard (-want +got):\n%s", diff)
		}
		if w := read().Watch; !cmp.Equal(w, Watch{}) || !read().CanaryEnds().IsZero() {
			t.Errorf("a new run remembers %+v", w)
		}

		base := campaign.Sample{Accepted: 7, Bounced: 1, Complained: 2, At: map[campaign.Provider]campaign.SampleAt{"gmail": {Accepted: 4, Complained: 2}}}
		at := time.UnixMilli(1_790_000_000_123).UTC()
		if err := errors.Join(l.NoteBase(ctx, "r", base), l.NoteCanarySettled(ctx, "r", at), l.NoteCanaryOver(ctx, "r", at.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(Watch{base, at, at.Add(time.Hour)}, read().Watch); diff != "" {
			t.Errorf("memory (-want +got):\n%s", diff)
		}
		if got := read().CanaryEnds(); !got.Equal(at.Add(time.Minute)) {
			t.Errorf("the canary ends at %s", got)
		}
	})
}

func TestACanaryIsOverOnceAndNeverOfEverybody(t *testing.T) {
	t.Parallel()
	rec := Record{Sizes: []PartSize{{0, 6}, {1, 4}}, Guard: campaign.Guard{Canary: 9}}
	if !rec.Canary() {
		t.Error("nine of ten do not go first")
	}

	rec.Watch.CanaryOver = time.Unix(1, 0)
	if rec.Canary() {
		t.Error("it is not over")
	}

	rec.Watch.CanaryOver = time.Time{}
	rec.Guard.Canary = 10
	if rec.Canary() {
		t.Error("all of them wait for themselves")
	}
}

func TestNothingIsNotedOfARunThatIsGone(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		if err := l.NoteBase(ctx, "r", campaign.Sample{}); !errors.Is(err, ErrNoRun) {
			t.Errorf("got %v, want ErrNoRun", err)
		}
		if n, err := l.rdb.DBSize(ctx).Result(); err != nil || n != 0 {
			t.Errorf("%d keys, %v: nobody would remove them", n, err)
		}
	})
}
