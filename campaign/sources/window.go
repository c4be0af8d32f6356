package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"broadside/campaign"
	"broadside/campaign/window"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
)

// maxHolidayFile is how many bytes a file of holidays has at most.
const maxHolidayFile = 1 << 20

// Window returns the window of a campaign by the clock of a zone, from now on; nil when it
// has none. The error says where the file, or the campaign, is wrong.
func (s Sources) Window(ctx context.Context, def *campaign.Definition, zone *time.Location, now time.Time) (*window.Window, error) {
	if def.Schedule.Window == "" {
		return nil, nil
	}

	var days []string
	if def.Schedule.Holidays != "" {
		var err error
		if days, err = s.holidays(ctx, def); unopened(err) {
			return nil, strictyaml.Problems{def.Problem("schedule.holidays", "%v; a path is relative to the campaign file", err)}
		} else if err != nil {
			return nil, strictyaml.Problems{def.Problem("schedule.holidays", "%s: %v", def.Schedule.Holidays, err)}
		}
	}
	w, err := window.New(def.Schedule.Window, zone, days)
	if err != nil {
		return nil, strictyaml.Problems{def.Problem("schedule.window", "%v", err)}
	}
	if w.After(now, def.Delivery.ExpiresAfter).IsZero() {
		return nil, strictyaml.Problems{def.Problem("schedule.window", "found a window that never opens within a year for as long as the run lasts (delivery.expires_after), expected other hours or fewer holidays")}
	}
	return w, nil
}

// unopened reports whether an error is about opening a file, and has its name.
func unopened(err error) bool {
	_, ok := errors.AsType[*fs.PathError](err)
	return ok
}

func (s Sources) holidays(ctx context.Context, def *campaign.Definition) ([]string, error) {
	f, err := s.File(ctx, def, "schedule.holidays", def.Schedule.Holidays)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	b, err := io.ReadAll(io.LimitReader(f, maxHolidayFile+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxHolidayFile {
		return nil, fmt.Errorf("found more than %s, expected dates", units.FormatBytes(maxHolidayFile))
	}
	return window.ReadHolidays(string(b))
}
