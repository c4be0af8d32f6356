package calendar

import "time"

// A local time is that of all clocks on earth, from the first zone in which it comes to the
// last one.
const (
	// FirstZone is the zone whose clocks are ahead of all others: 14 hours before UTC, as
	// Pacific/Kiritimati. It has no summer time, so that each local time comes there once.
	FirstZone = "Etc/GMT-14"

	ahead  = 14 * time.Hour // of UTC, in the first zone
	behind = 12 * time.Hour // in the last one, where only ships are: Etc/GMT+12

	// AllZones is how long after its first moment a local time has come everywhere.
	AllZones = ahead + behind
)

// Wall returns what the clocks in FirstZone show at a moment, as if they showed UTC.
func Wall(t time.Time) time.Time { return t.UTC().Add(ahead) }

// FirstMoment returns when a wall time, which is written as if it were UTC, comes first on
// earth.
func FirstMoment(wall time.Time) time.Time { return wall.UTC().Add(-ahead) }
