package campaign

import (
	"time"

	"broadside/campaign/window"
	"broadside/configs/strictyaml"
)

// What schedule.when_passed says of a recipient whose time has passed when the run is made.
const (
	PassedNow     = "now"      // they get the message at once
	PassedNextDay = "next-day" // they get it at that time of the next day
	PassedSkip    = "skip"     // they do not get it
)

// DefaultZoneField is the merge field with the names of zones, where a campaign names none.
const DefaultZoneField = "timezone"

// recipientZone is the value of schedule.timezone that means each recipient's own.
const recipientZone = "recipient"

// Hours are the hours in which a recipient may get the message, by their own clock.
type Hours struct {
	Field    int            `json:"field"`            // the column with the name of their zone
	Fallback string         `json:"fallback"`         // the zone of those who name none that is known
	Window   *window.Window `json:"window,omitempty"` // in any zone; nil: all hours
}

// A LocalTime says that each recipient gets the message by their own clock.
type LocalTime struct {
	Hours
	// At is what their clocks show then, as if they showed UTC. Zero: it is sent as soon as
	// the run is made, and their Hours allow it.
	At         time.Time
	WhenPassed string        // PassedNow, PassedNextDay or PassedSkip
	Spread     time.Duration // each gets it at some moment within so long after that; 0: right then
}

// A Wave is the recipients of a run who get the message from the same moment on.
type Wave struct {
	At         time.Time `json:"at"`
	Recipients int64     `json:"recipients"`     // without those who are suppressed when the run is made
	Zones      []string  `json:"zones"`          // the first of theirs, at most ShownZones
	More       int       `json:"more,omitempty"` // how many zones are not in Zones
}

// ShownZones is how many zones of a wave are named.
const ShownZones = 5

// readRecipient reads what has each recipient get the message by their own clock.
func (s *Schedule) readRecipient(m *strictyaml.Map) {
	var zone string
	m.Check("timezone", &zone, "recipient, for each recipient's own clock; any other zone is the campaign's timezone", func(text string) bool {
		return text == recipientZone || isOff(text)
	})
	s.Recipient = zone == recipientZone
	m.Check("timezone_field", &s.ZoneField, "the name of a merge field", isHeader)
	strictyaml.Zone(m, "timezone_fallback", &s.ZoneFallback)
	m.Choice("when_passed", &s.WhenPassed, PassedNow, PassedNextDay, PassedSkip)
	if s.Recipient || zone == "" && m.Has("timezone") { // else it has a problem of its own
		return
	}

	for _, key := range []string{"timezone_field", "timezone_fallback", "when_passed"} {
		if m.Has(key) && (key != "timezone_field" || !isOff(s.ZoneField)) {
			m.Problem(key, "found it without timezone: recipient, expected both or neither")
		}
	}
}

// isOff reports whether a text means that a key is not used, as in files of earlier
// versions.
func isOff(text string) bool { return text == "off" || text == "false" }

// checkRecipient refuses what does not go with each recipient's own clock.
func (d *Definition) checkRecipient(m *strictyaml.Map) {
	if d.Schedule.Recipient && d.Guard.Canary > 0 {
		m.Problem("guard.canary", "found it with schedule.timezone: recipient, expected one of them: %s", NoCanary)
	}
}

// NoCanary says why a run whose recipients get the message by their own clocks has no
// canary.
const NoCanary = "the first recipients live in all zones, so that the others would wait a day for the last of them; " +
	"the limits of guard stop the run before the next zone"
