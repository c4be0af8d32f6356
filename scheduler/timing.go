package scheduler

import (
	"fmt"
	"time"

	"broadside/campaign"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler/calendar"
)

// TimingOf returns when a campaign is due: at, if it is not empty, in place of the
// schedule in its file. A time without an offset is in the campaign's zone, else in
// that of the configuration. The errors, also for a time that has passed, are
// strictyaml.Problems; about at they are of the kind failure.ErrInvalid.
func TimingOf(cfg *configs.Config, def *campaign.Definition, at string, now time.Time) (Timing, error) {
	t := Timing{MaxLateness: def.Schedule.MaxLateness}
	bad := func(key, format string, args ...any) (Timing, error) {
		if key == "--at" {
			return Timing{}, failure.Invalid("--at: " + fmt.Sprintf(format, args...))
		}
		return Timing{}, strictyaml.Problems{def.Problem(key, format, args...)}
	}
	t.Recipient = def.Schedule.Recipient
	zone, err := timesZone(cfg, def)
	if err != nil {
		return bad("timezone", "%v", err)
	}

	t.Zone = "UTC" // for what has its own offset
	if zone != nil {
		t.Zone = zone.String()
	}

	key := "schedule.at"
	text := def.Schedule.At
	switch {
	case at != "":
		key = "--at"
		text = at
	case def.Schedule.Cron != "":
		c, err := calendar.ParseCron(def.Schedule.Cron, zone)
		if err != nil {
			return bad("schedule.cron", "%v", err)
		}
		if c.Next(now).IsZero() {
			return bad("schedule.cron", "%q has no time to come", c)
		}
		if t.Recipient && c.IsEvery() {
			return bad("schedule.cron", "found %q with timezone: recipient, expected times of a clock, such as 0 9 * * MON", c)
		}
		t.Cron = c.String()
		return t, nil
	case text == "":
		return bad("schedule", "missing: add schedule.at or schedule.cron, or give --at TIME")
	}

	if t.At, err = calendar.ParseAt(text, zone); err != nil {
		return bad(key, "%v", err)
	}

	if t.Recipient {
		return t, t.checkLocal(text, now, func(format string, args ...any) error {
			_, err := bad(key, format, args...)
			return err
		})
	}

	if !t.At.After(now) {
		return bad(key, "found %s, which is past (it is %s), expected a time to come; `launch --now` sends at once",
			t.At.Format(time.RFC3339), now.In(t.At.Location()).Format(time.RFC3339))
	}

	return t, nil
}

// checkLocal refuses a time that is not by each recipient's own clock, or has passed by all
// of them.
func (t Timing) checkLocal(text string, now time.Time, bad func(format string, args ...any) error) error {
	if _, err := calendar.ParseAt(text, nil); err == nil {
		return bad("found %s with an offset and timezone: recipient, expected a time of each recipient's own clock, such as %s", text, localText(calendar.Wall(t.At)))
	}
	if last := t.LastMoment(t.At); !last.After(now) {
		return bad("found %s, which is past in every zone (it is %s), expected a time to come; `launch --now` sends at once", t, now.UTC().Format(time.RFC3339))
	}
	return nil
}

// timesZone returns the zone of the times of a schedule.
func timesZone(cfg *configs.Config, def *campaign.Definition) (*time.Location, error) {
	if def.Schedule.Recipient {
		return time.LoadLocation(calendar.FirstZone)
	}
	return ZoneOf(cfg, def)
}

// FallbackOf returns the zone of recipients whose row names none that is known; nil when
// none is set.
func FallbackOf(cfg *configs.Config, def *campaign.Definition) (*time.Location, error) {
	if def.Schedule.ZoneFallback != "" {
		return time.LoadLocation(def.Schedule.ZoneFallback)
	}
	return ZoneOf(cfg, def)
}

// ZoneOf returns the zone of times without an offset; nil when none is set.
func ZoneOf(cfg *configs.Config, def *campaign.Definition) (*time.Location, error) {
	if def.Timezone != "" {
		return time.LoadLocation(def.Timezone)
	}
	if zone, ok := cfg.Location(); ok {
		return zone, nil
	}
	return nil, nil
}
