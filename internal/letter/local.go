package letter

import (
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/window"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/scheduler"
)

// LocalTime returns how the recipients of a campaign get the message by their own clocks;
// nil when all get it at once. columns are the merge fields of its audience; nil: they are
// not known. hours are those of its window, by any clock. The error says what is wrong
// with the campaign.
func LocalTime(cfg *configs.Config, def *campaign.Definition, columns []string, hours *window.Window) (*campaign.LocalTime, error) {
	s := def.Schedule
	if !s.Recipient {
		return nil, nil
	}

	fallback, err := scheduler.FallbackOf(cfg, def)
	if err != nil {
		return nil, strictyaml.Problems{def.Problem("schedule.timezone_fallback", "%v", err)}
	}
	if fallback == nil {
		return nil, strictyaml.Problems{def.Problem("schedule.timezone_fallback",
			"missing, expected the zone of rows that name none, such as Europe/Berlin: here, or as timezone in the campaign or in %s", cfg.Where())}
	}

	field := 0
	if columns != nil {
		if field = zoneColumn(columns, s.ZoneField); field < 0 {
			return nil, noZoneField(def, columns)
		}
	}
	return &campaign.LocalTime{
		Hours:      campaign.Hours{Field: field, Fallback: fallback.String(), Window: hours},
		WhenPassed: s.WhenPassed, Spread: s.Spread,
	}, nil
}

// zoneColumn returns the merge field that is meant: by its name, or by the header that it
// is made from; -1 when there is none.
func zoneColumn(columns []string, name string) int {
	if i := slices.Index(columns, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(columns, func(column string) bool {
		return strings.EqualFold(column, name) || column == audience.Field(name)
	})
}

// noZoneField says that no column has the names of zones.
func noZoneField(def *campaign.Definition, columns []string) error {
	name := def.Schedule.ZoneField
	text := "; name the field with the recipients' zones"
	if meant := strictyaml.Suggest(name, columns); meant != "" {
		text = "; did you mean " + meant + "?"
	}
	return strictyaml.Problems{def.Problem("schedule.timezone_field", "no field %s; the fields are %s%s", name, strings.Join(columns, ", "), text)}
}
