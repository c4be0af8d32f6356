package ledger

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
)

// Recipients can be due at moments of their own: nothing is issued before, and what the
// record says of these moments comes with the run. A run without them has no word of it.
func TestRecipientsAreDueAtTheirOwnMoments(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		ctx := t.Context()
		created := time.Now().Add(-time.Hour)
		for _, id := range []string{"waves", "plain"} {
			n := NewRun{ID: id, Campaign: "news", Created: created, Retry: []time.Duration{time.Hour}, MaxAttempts: 3, ExpiresAfter: 48 * time.Hour}
			if _, err := l.Create(ctx, n); err != nil {
				t.Fatal(err)
			}
		}

		due := []time.Duration{0, 500 * time.Millisecond, time.Hour / 2, 2 * time.Hour, MaxDue, 26 * time.Hour}
		e := l.Expand("waves")
		waves := []campaign.Wave{{At: created.UTC().Truncate(time.Second), Recipients: 5, Zones: []string{"Asia/Tokyo"}, More: 2}}
		e.Waves(waves, 74*time.Hour)
		plain := l.Expand("plain")
		suppressed := []bool{false, false, false, false, false, true}
		for _, err := range []error{
			e.Content(ctx, campaign.Snapshot{}), e.Add(ctx, Chunk{Data: []byte("x"), Suppressed: suppressed, Due: due}), e.Ready(ctx, campaign.Skipped{Passed: 7}),
			plain.Content(ctx, campaign.Snapshot{}), plain.Add(ctx, Chunk{Data: []byte("x"), Suppressed: suppressed}), plain.Ready(ctx, campaign.Skipped{}),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}

		rec, err := l.Record(ctx, "waves")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(waves, rec.Waves()); diff != "" || rec.Expires != 74*time.Hour || rec.Skipped.Passed != 7 {
			t.Errorf("expires %s, %d skipped; waves (-want +got):\n%s", rec.Expires, rec.Skipped.Passed, diff)
		}

		cells, err := l.Page(ctx, rec.Handle(), 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []time.Duration{0, time.Second, time.Hour / 2, 2 * time.Hour, MaxDue, 0} {
			state := campaign.Pending
			if suppressed[i] {
				state = campaign.Suppressed
			}
			if c := cells[i]; c != (Cell{State: state, When: want}) {
				t.Errorf("recipient %d: got %+v, want %s, due after %s", i, c, state, want)
			}
		}

		out, err := l.Issue(ctx, rec.Handle(), 0, 100, time.Minute, false, []int{0, 1, 2, 3, 4, 5})
		if diff := cmp.Diff([]int{0, 1, 2}, out.Indexes); err != nil || diff != "" {
			t.Errorf("issued after an hour, %v (-want +got):\n%s", err, diff)
		}

		fields, err := l.rdb.HKeys(ctx, l.runKey("plain", "record")).Result()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range fields {
			if f == "waves" || f == "passed" {
				t.Errorf("the record of a run without waves has the field %s", f)
			}
		}
		if rec, err := l.Record(ctx, "plain"); err != nil || rec.Waves() != nil || rec.Expires != 48*time.Hour {
			t.Errorf("a run without waves: %+v, expires %s, %v", rec.Waves(), rec.Expires, err)
		}
	})
}
