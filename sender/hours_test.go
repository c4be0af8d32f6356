package sender

import (
	"context"
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has

	"broadside/campaign"
	"broadside/campaign/window"
	"broadside/campaign/zones"
)

func TestHoursOfARecipient(t *testing.T) {
	t.Parallel()
	w, err := window.New("08:00-20:00", time.UTC, nil)
	if err != nil {
		t.Fatal(err)
	}
	h, err := hoursOf(&campaign.Hours{Field: 1, Fallback: "Europe/Berlin", Window: w})
	if err != nil {
		t.Fatal(err)
	}

	now := time.Date(2026, 10, 1, 7, 0, 0, 500, time.UTC)
	for _, tc := range []struct {
		zone string
		want time.Duration
	}{
		{"Europe/Berlin", 0}, // 09:00
		{"", 0},
		{"Europe/London", 0}, // 08:00
		{"Atlantic/Azores", time.Hour + afterOpening - 1}, // 07:00
		{"Asia/Tokyo", 0}, // 16:00
		{"Pacific/Auckland", 12*time.Hour + afterOpening},    // 20:00, which is too late
		{"America/New_York", 5*time.Hour + afterOpening},     // 03:00
		{"Asia/Kathmandu", 0},                                // 12:45
		{"America/St_Johns", 210*time.Minute + afterOpening}, // 04:30
	} {
		got := h.wait([]string{"Ada", tc.zone}, now)
		if got.Round(2*time.Second) != tc.want.Round(2*time.Second) {
			t.Errorf("%q: wait %s, want %s", tc.zone, got, tc.want)
		}
		if opens := now.Add(got - time.Second); got > 0 && h.wait([]string{"Ada", tc.zone}, opens) > 0 {
			t.Errorf("%q: its hours are still closed after %s", tc.zone, got)
		}
	}

	none, err := hoursOf(nil)
	if err != nil || none.wait(nil, now) != 0 {
		t.Errorf("without hours: wait %s, %v", none.wait(nil, now), err)
	}
}

// A recipient who is handed out when their hours are over, because accounts were too slow
// or somebody deferred them, is given back until these begin again, and not sent to.
func TestRecipientsOutsideOfTheirHoursAreGivenBack(t *testing.T) {
	t.Parallel()
	b := newFixture(t, people("late", 3)...)
	b.issue()
	opens := time.Now().UTC().Add(3 * time.Hour).Truncate(time.Hour)
	w, err := window.New(opens.Format("15:04")+"-"+opens.Add(time.Hour).Format("15:04"), time.UTC, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.alter = func(cfg *Config) {
		handOut := cfg.Tasks
		cfg.Tasks = func(ctx context.Context, handle func(context.Context, campaign.Task)) error {
			r, err := b.worker.runs.get(ctx, "news-1")
			if err != nil {
				return err
			}
			r.hours = &hours{window: w, zones: zones.New(1, time.UTC)}
			return handOut(ctx, handle)
		}
	}
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Pending] == 3 })

	if n := b.sink.Counts().Accepted; n > 0 {
		t.Errorf("%d were sent to", n)
	}
	cells, err := b.ledger.Page(t.Context(), b.run, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cells {
		if due := b.run.Created.Add(c.When); due.Before(opens) || due.After(opens.Add(5*time.Second)) {
			t.Errorf("recipient %d is due at %s, want %s", i, due, opens)
		}
	}
}

// A recipient whose hours end while they wait in a lane is given back as well: the first
// for a connection, and the one whose envelope would go with the body before it.
func TestHoursEndWhileARecipientWaits(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]int{"before the connection is used": 0, "behind another message": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newFixture(t, "ada@example.org", "bea@example.org")
			b.issue()

			now := time.Now().UTC()
			w, err := window.New(now.Add(-time.Hour).Format("15:04")+"-"+now.Add(2*time.Hour).Format("15:04"), time.UTC, nil)
			if err != nil {
				t.Fatal(err)
			}

			j := &scriptedServer{}
			b.stepByStep(j, b.supp, func(h *stepper) {
				h.r.hours = &hours{window: w, zones: zones.New(0, time.UTC)}
				for _, rcpt := range h.lane().normal.runs[0].recipients {
					zone := "Etc/UTC"
					if rcpt.ref.Index == late {
						zone = "Etc/GMT-8" // eight hours ahead of UTC: it opens in fifteen
					}
					rcpt.row.Values = []string{zone}
				}
				for len(h.waiting()) > 0 || h.d.current != nil {
					h.deliver(t.Context())
				}
				h.expectHeld()
			})

			if took := j.took(); len(took) != 1 || took[b.to[late]] > 0 {
				t.Errorf("messages taken: %v", took)
			}
			cells, err := b.ledger.Page(t.Context(), b.run, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			if due := b.run.Created.Add(cells[late].When); due.Before(now.Add(14 * time.Hour)) {
				t.Errorf("%s is due at %s, want it when the hours open", b.to[late], due)
			}
			b.settledAll()
		})
	}
}
