package launch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/window"
	"broadside/internal/forecast"
)

func TestFitOf(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	day := func(day, hour, minute int) time.Time { return time.Date(2026, 11, day, hour, minute, 0, 0, berlin) } // the 30th is a Monday
	hours := func(text string) *window.Window {
		w, err := window.New(text, berlin, nil)
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	lane := func(n int64, starts, finish time.Time) forecast.Flow {
		return forecast.Flow{Recipients: n, Starts: starts, Finish: finish}
	}
	week := hours("Mon-Fri 08:00-20:00")

	for _, tt := range []struct {
		name   string
		window *window.Window
		begins time.Time
		f      forecast.Forecast
		want   Fit
	}{
		{"no window", nil, day(30, 9, 0), forecast.Forecast{Now: day(30, 9, 0), Finish: day(30, 10, 0)}, Fit{}},
		{"done in time", week, day(30, 9, 0), forecast.Forecast{Now: day(30, 9, 0), Finish: day(30, 20, 0)}, Fit{Opens: day(30, 9, 0)}},
		{"closed at first", week, day(28, 9, 0), forecast.Forecast{Now: day(30, 8, 0), Finish: day(30, 9, 0)}, Fit{Opens: day(30, 8, 0), Closed: true}},
		{
			"over the end of the day", week, day(30, 18, 0),
			forecast.Forecast{Now: day(30, 18, 0), Finish: day(30, 22, 0), Lanes: []forecast.Flow{
				lane(400, day(30, 18, 0), day(30, 22, 0)), // half of them
				lane(70, day(30, 18, 0), day(30, 20, 0)),  // none of these
				lane(5, day(30, 21, 0), day(30, 22, 0)),   // all of these
			}},
			Fit{Opens: day(30, 18, 0), Closes: day(30, 20, 0), Reopens: day(31, 8, 0), Left: 205, Closings: 1},
		},
		{
			"several days", week, day(30, 8, 0), forecast.Forecast{Now: day(30, 8, 0), Finish: day(31, 20, 0)}, // 36 hours of it
			Fit{Opens: day(30, 8, 0), Closes: day(30, 20, 0), Reopens: day(31, 8, 0), Closings: 2},
		},
		{
			"never done", week, day(30, 8, 0),
			forecast.Forecast{Now: day(30, 8, 0), Lanes: []forecast.Flow{lane(9, day(30, 8, 0), time.Time{})}},
			Fit{Opens: day(30, 8, 0), Closes: day(30, 20, 0), Reopens: day(31, 8, 0), Left: 9},
		},
		{"it never closes", hours("00:00-24:00"), day(30, 8, 0), forecast.Forecast{Now: day(30, 8, 0), Finish: day(31, 20, 0)}, Fit{Opens: day(30, 8, 0)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, fitOf(tt.window, tt.begins, tt.f)); diff != "" {
				t.Errorf("fit (-want +got):\n%s", diff)
			}
		})
	}
}
