package calendar

import (
	"testing"
	"time"
)

// A local time comes at its own moment in each zone: once, between the first and the last
// moment on earth, and where a clock leaves it out, at the first moment after the gap.
func TestALocalTimeInAllZones(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ wall, zone, want string }{
		// An ordinary day, in zones of both hemispheres, with half and quarter hours.
		{"2026-10-01T09:00:00Z", "Etc/GMT-14", "2026-09-30T19:00:00Z"},
		{"2026-10-01T09:00:00Z", "Pacific/Kiritimati", "2026-09-30T19:00:00Z"},
		{"2026-10-01T09:00:00Z", "Pacific/Apia", "2026-09-30T20:00:00Z"},
		{"2026-10-01T09:00:00Z", "Pacific/Chatham", "2026-09-30T19:15:00Z"}, // summer has begun on 27 September
		{"2026-10-01T09:00:00Z", "Pacific/Auckland", "2026-09-30T20:00:00Z"},
		{"2026-10-01T09:00:00Z", "Australia/Lord_Howe", "2026-09-30T22:30:00Z"},
		{"2026-10-01T09:00:00Z", "Australia/Sydney", "2026-09-30T23:00:00Z"},
		{"2026-10-01T09:00:00Z", "Australia/Adelaide", "2026-09-30T23:30:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Tokyo", "2026-10-01T00:00:00Z"},
		{"2026-10-01T09:00:00Z", "Australia/Eucla", "2026-10-01T00:15:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Shanghai", "2026-10-01T01:00:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Yangon", "2026-10-01T02:30:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Kathmandu", "2026-10-01T03:15:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Kolkata", "2026-10-01T03:30:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Kabul", "2026-10-01T04:30:00Z"},
		{"2026-10-01T09:00:00Z", "Asia/Tehran", "2026-10-01T05:30:00Z"},
		{"2026-10-01T09:00:00Z", "Europe/Moscow", "2026-10-01T06:00:00Z"},
		{"2026-10-01T09:00:00Z", "Europe/Berlin", "2026-10-01T07:00:00Z"},
		{"2026-10-01T09:00:00Z", "Europe/London", "2026-10-01T08:00:00Z"},
		{"2026-10-01T09:00:00Z", "UTC", "2026-10-01T09:00:00Z"},
		{"2026-10-01T09:00:00Z", "Atlantic/Cape_Verde", "2026-10-01T10:00:00Z"},
		{"2026-10-01T09:00:00Z", "America/St_Johns", "2026-10-01T11:30:00Z"},
		{"2026-10-01T09:00:00Z", "America/Sao_Paulo", "2026-10-01T12:00:00Z"},
		{"2026-10-01T09:00:00Z", "America/New_York", "2026-10-01T13:00:00Z"},
		{"2026-10-01T09:00:00Z", "America/Los_Angeles", "2026-10-01T16:00:00Z"},
		{"2026-10-01T09:00:00Z", "Pacific/Marquesas", "2026-10-01T18:30:00Z"},
		{"2026-10-01T09:00:00Z", "Pacific/Honolulu", "2026-10-01T19:00:00Z"},
		{"2026-10-01T09:00:00Z", "Pacific/Niue", "2026-10-01T20:00:00Z"},
		{"2026-10-01T09:00:00Z", "Etc/GMT+12", "2026-10-01T21:00:00Z"},

		// Clocks go forward over it: the first moment after the gap.
		{"2026-03-29T02:30:00Z", "Europe/Berlin", "2026-03-29T01:00:00Z"},
		{"2026-03-08T02:30:00Z", "America/New_York", "2026-03-08T07:00:00Z"},
		{"2026-10-04T02:15:00Z", "Australia/Lord_Howe", "2026-10-03T15:30:00Z"}, // by half an hour
		{"2026-09-06T00:30:00Z", "America/Santiago", "2026-09-06T04:00:00Z"},
		// Clocks go back over it: the first of the two.
		{"2026-10-25T02:30:00Z", "Europe/Berlin", "2026-10-25T00:30:00Z"},
		{"2026-11-01T01:30:00Z", "America/New_York", "2026-11-01T05:30:00Z"},
		{"2026-04-05T01:45:00Z", "Australia/Lord_Howe", "2026-04-04T14:45:00Z"},
		// A day that never was.
		{"2011-12-30T09:00:00Z", "Pacific/Apia", "2011-12-30T10:00:00Z"},
		// The turn of the year is a day and two hours long.
		{"2026-12-31T23:59:00Z", "Pacific/Kiritimati", "2026-12-31T09:59:00Z"},
		{"2027-01-01T00:00:00Z", "Pacific/Kiritimati", "2026-12-31T10:00:00Z"},
		{"2027-01-01T00:00:00Z", "Etc/GMT+12", "2027-01-01T12:00:00Z"},
		// 29 February.
		{"2028-02-29T09:00:00Z", "Asia/Tokyo", "2028-02-29T00:00:00Z"},
		{"2028-02-29T09:00:00Z", "Pacific/Pago_Pago", "2028-02-29T20:00:00Z"},
	} {
		wall := at(t, tc.wall)
		got := Local(wall, zone(t, tc.zone))
		if !got.Equal(at(t, tc.want)) {
			t.Errorf("%s in %s: got %s, want %s", tc.wall, tc.zone, got.UTC().Format(time.RFC3339), tc.want)
		}
		if first := FirstMoment(wall); tc.want[:4] != "2011" && (got.Before(first) || got.After(first.Add(AllZones))) {
			t.Errorf("%s in %s: %s is not within the %s from %s", tc.wall, tc.zone, got.UTC(), AllZones, first)
		}
	}
}

// The first zone is where its name says that it is, and a moment there is a wall time.
func TestTheFirstZone(t *testing.T) {
	t.Parallel()
	first := zone(t, FirstZone)
	for _, wall := range []string{"2026-03-29T02:30:00Z", "2026-12-31T23:59:59Z", "2028-02-29T00:00:00Z"} {
		w := at(t, wall)
		if got := Local(w, first); !got.Equal(FirstMoment(w)) || !Wall(got).Equal(w) {
			t.Errorf("%s comes at %s, and first at %s, when clocks there show %s", wall, got, FirstMoment(w), Wall(got))
		}
	}
}
