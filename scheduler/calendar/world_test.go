package calendar

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCronAroundTheWorld has cases whose answers were written down from the rules of the
// zones, not computed. Each has the reason above it. Times carry their offset; Z is an
// offset of zero, also that of a zone.
func TestCronAroundTheWorld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cron, zone, after string
		want              []string
	}{
		// Clocks go forward at 02:00: 02:30 does not exist on 29 March, and happens when
		// the clocks show 03:00.
		{"30 2 * * SUN", "Europe/Berlin", "2026-03-20T00:00:00Z", []string{"2026-03-22T02:30:00+01:00", "2026-03-29T03:00:00+02:00", "2026-04-05T02:30:00+02:00"}},
		// Everything in the gap is one occurrence: 02:00, 02:15, 02:30, 02:45 and 03:00.
		{"*/15 * * * *", "Europe/Berlin", "2026-03-29T00:40:00Z", []string{"2026-03-29T01:45:00+01:00", "2026-03-29T03:00:00+02:00", "2026-03-29T03:15:00+02:00"}},
		// A time outside of the gap keeps its hour, and the day before it is 23 hours away.
		{"0 9 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z", []string{"2026-03-28T09:00:00+01:00", "2026-03-29T09:00:00+02:00"}},
		// Clocks go back at 03:00: 02:30 comes twice on 25 October, and the first one counts.
		{"30 2 25 10 *", "Europe/Berlin", "2026-01-01T00:00:00Z", []string{"2026-10-25T02:30:00+02:00", "2027-10-25T02:30:00+02:00"}},
		// 03:00 is after the hour that comes twice, so it is unique.
		{"0 3 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T03:00:00+01:00"}},
		// London changes at 01:00 UTC as well, which is 01:00 there.
		{"30 1 * * *", "Europe/London", "2026-03-28T12:00:00Z", []string{"2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00"}},
		{"30 1 * * *", "Europe/London", "2026-10-24T12:00:00Z", []string{"2026-10-25T01:30:00+01:00", "2026-10-26T01:30:00Z"}},
		// In the zone's own books Dublin's winter is the exception and summer the rule.
		{"30 1 * * *", "Europe/Dublin", "2026-03-28T12:00:00Z", []string{"2026-03-29T02:00:00+01:00", "2026-03-30T01:30:00+01:00"}},
		// The Azores are an hour behind UTC, so the same change takes midnight away.
		{"@daily", "Atlantic/Azores", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"}},
		// Moscow went back for good in 2014; 01:30 came twice.
		{"30 1 * * *", "Europe/Moscow", "2014-10-25T12:00:00Z", []string{"2014-10-26T01:30:00+04:00", "2014-10-27T01:30:00+03:00"}},
		// Istanbul did not go back in the autumn of 2016.
		{"0 9 * * *", "Europe/Istanbul", "2016-10-29T12:00:00Z", []string{"2016-10-30T09:00:00+03:00", "2016-10-31T09:00:00+03:00"}},
		// A gap of two hours, at the station Troll: 01:30 and 02:30 are one occurrence.
		{"30 1,2 * * *", "Antarctica/Troll", "2026-03-29T00:00:00Z", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T01:30:00+02:00"}},

		// New York: forward on 8 March, back on 1 November.
		{"30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		// The second 01:00 is no new one: between 01:00 and 02:00 lie two hours.
		{"@hourly", "America/New_York", "2026-11-01T04:30:00Z", []string{"2026-11-01T01:00:00-04:00", "2026-11-01T02:00:00-05:00"}},
		// St. John's has half an hour in its offset, and changes as New York does.
		{"30 2 * * *", "America/St_Johns", "2026-03-07T12:00:00Z", []string{"2026-03-08T03:00:00-02:30", "2026-03-09T02:30:00-02:30"}},
		{"30 1 * * *", "America/St_Johns", "2026-10-31T12:00:00Z", []string{"2026-11-01T01:30:00-02:30", "2026-11-02T01:30:00-03:30"}},
		// Caracas went forward by half an hour in 2016: 02:45 was in it.
		{"45 2 * * *", "America/Caracas", "2016-04-30T12:00:00Z", []string{"2016-05-01T03:00:00-04:00", "2016-05-02T02:45:00-04:00"}},

		// South of the equator the year is the other way round. Sydney: back in April.
		{"30 2 * * *", "Australia/Sydney", "2026-04-04T00:00:00Z", []string{"2026-04-05T02:30:00+11:00", "2026-04-06T02:30:00+10:00"}},
		{"30 2 * * *", "Australia/Sydney", "2026-10-03T00:00:00Z", []string{"2026-10-04T03:00:00+11:00", "2026-10-05T02:30:00+11:00"}},
		// Auckland goes forward a week before Sydney.
		{"30 2 * * *", "Pacific/Auckland", "2026-09-26T00:00:00Z", []string{"2026-09-27T03:00:00+13:00", "2026-09-28T02:30:00+13:00"}},
		// Santiago goes forward at midnight: the day begins at 01:00.
		{"@daily", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T01:00:00-03:00", "2026-09-07T00:00:00-03:00"}},
		// And back at midnight: 23:30 comes twice on the day that ends.
		{"30 23 * * *", "America/Santiago", "2026-04-04T12:00:00Z", []string{"2026-04-04T23:30:00-03:00", "2026-04-05T23:30:00-04:00"}},
		// Cairo has summer time again, from a Friday at midnight on.
		{"0 0 * * FRI", "Africa/Cairo", "2026-04-18T00:00:00Z", []string{"2026-04-24T01:00:00+03:00", "2026-05-01T00:00:00+03:00"}},

		// Lord Howe moves its clocks by half an hour: 02:00 and 02:30 are one occurrence.
		{"*/30 1-2 * * *", "Australia/Lord_Howe", "2026-10-03T14:00:00Z", []string{"2026-10-04T01:00:00+10:30", "2026-10-04T01:30:00+10:30", "2026-10-04T02:30:00+11:00", "2026-10-05T01:00:00+11:00"}},
		// In April 01:30 to 02:00 comes twice; the first 01:30 is the last with +11:00.
		{"*/30 1-2 * * *", "Australia/Lord_Howe", "2026-04-04T13:00:00Z", []string{"2026-04-05T01:00:00+11:00", "2026-04-05T01:30:00+11:00", "2026-04-05T02:00:00+10:30", "2026-04-05T02:30:00+10:30"}},
		// Chatham is 45 minutes from everybody else, and changes at 02:45.
		{"0 3 * * *", "Pacific/Chatham", "2026-09-26T00:00:00Z", []string{"2026-09-27T03:45:00+13:45", "2026-09-28T03:00:00+13:45"}},
		{"0 3 * * *", "Pacific/Chatham", "2026-04-04T00:00:00Z", []string{"2026-04-05T03:00:00+13:45", "2026-04-06T03:00:00+12:45"}},
		// Zones with quarters of an hour that never change.
		{"0 9 * * MON", "Asia/Kathmandu", "2026-10-01T00:00:00Z", []string{"2026-10-05T09:00:00+05:45", "2026-10-12T09:00:00+05:45"}},
		{"0 9 1 * *", "Australia/Eucla", "2026-10-01T01:00:00Z", []string{"2026-11-01T09:00:00+08:45"}},
		{"0 9 * * *", "Asia/Kolkata", "2026-10-01T03:30:00Z", []string{"2026-10-02T09:00:00+05:30"}},
		// Nepal put its clocks forward by 15 minutes when 1986 began.
		{"@yearly", "Asia/Kathmandu", "1985-06-01T00:00:00Z", []string{"1986-01-01T00:15:00+05:45", "1987-01-01T00:00:00+05:45"}},

		// Samoa had no 30 December 2011, a Friday: what was due on it happens as the
		// Saturday begins.
		{"0 9 * * FRI", "Pacific/Apia", "2011-12-24T00:00:00Z", []string{"2011-12-31T00:00:00+14:00", "2012-01-06T09:00:00+14:00"}},
		// Tokelau left out the same day, Kwajalein 21 August 1993.
		{"0 9 30 * *", "Pacific/Fakaofo", "2011-12-01T00:00:00Z", []string{"2011-12-31T00:00:00+13:00", "2012-01-30T09:00:00+13:00"}},
		{"0 9 * * *", "Pacific/Kwajalein", "1993-08-20T00:00:00Z", []string{"1993-08-20T09:00:00-12:00", "1993-08-22T00:00:00+12:00", "1993-08-22T09:00:00+12:00"}},
		// Pyongyang skipped the last half hour of a day: its 23:45 is the next day's 00:00.
		{"45 23 * * *", "Asia/Pyongyang", "2018-05-04T00:00:00Z", []string{"2018-05-05T00:00:00+09:00", "2018-05-05T23:45:00+09:00"}},

		// The year ends at a different moment in each zone, up to 25 hours apart.
		{"@yearly", "Pacific/Kiritimati", "2026-06-01T00:00:00Z", []string{"2027-01-01T00:00:00+14:00"}},
		{"@yearly", "Pacific/Auckland", "2026-06-01T00:00:00Z", []string{"2027-01-01T00:00:00+13:00"}},
		{"59 23 31 12 *", "Pacific/Niue", "2026-06-01T00:00:00Z", []string{"2026-12-31T23:59:00-11:00", "2027-12-31T23:59:00-11:00"}},
		// Weeks do not mind the turn of the year.
		{"0 9 * * FRI", "Europe/Berlin", "2026-12-25T12:00:00Z", []string{"2027-01-01T09:00:00+01:00", "2027-01-08T09:00:00+01:00"}},
		// The first of each quarter is in winter time, then in summer time.
		{"0 6 1 */3 *", "Europe/Berlin", "2026-10-01T12:00:00Z", []string{"2027-01-01T06:00:00+01:00", "2027-04-01T06:00:00+02:00"}},

		// 29 February comes every four years, and not in 2100.
		{"0 9 29 2 *", "America/New_York", "2026-01-01T00:00:00Z", []string{"2028-02-29T09:00:00-05:00", "2032-02-29T09:00:00-05:00"}},
		{"0 9 29 2 *", "Pacific/Auckland", "2096-03-01T00:00:00Z", []string{"2104-02-29T09:00:00+13:00"}},
		// With a weekday it is either of the two: the Mondays of February, and the 29th.
		{"0 9 29 2 MON", "UTC", "2028-02-20T00:00:00Z", []string{"2028-02-21T09:00:00Z", "2028-02-28T09:00:00Z", "2028-02-29T09:00:00Z", "2029-02-05T09:00:00Z"}},
		// The 30th is in every month but February, the 31st in seven of them.
		{"0 9 30 * *", "UTC", "2027-01-30T09:00:00Z", []string{"2027-03-30T09:00:00Z"}},
		{"0 9 31 * *", "Asia/Tokyo", "2026-08-01T00:00:00Z", []string{"2026-08-31T09:00:00+09:00", "2026-10-31T09:00:00+09:00", "2026-12-31T09:00:00+09:00", "2027-01-31T09:00:00+09:00"}},
		// The last days of February, in a year without a 29th and in one with it.
		{"0 9 28-31 2 *", "UTC", "2027-01-01T00:00:00Z", []string{"2027-02-28T09:00:00Z", "2028-02-28T09:00:00Z", "2028-02-29T09:00:00Z"}},
	} {
		t.Run(tt.cron+" "+tt.zone+" "+tt.after, func(t *testing.T) {
			t.Parallel()
			c, err := ParseCron(tt.cron, zone(t, tt.zone))
			if err != nil {
				t.Fatal(err)
			}

			var got []string
			after := at(t, tt.after)
			for range tt.want {
				after = c.Next(after)
				got = append(got, after.Format(time.RFC3339))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("occurrences (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAtAroundTheWorld is the same for single times.
func TestAtAroundTheWorld(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, zone, want string }{
		// In the gap from 02:45 to 03:45: the first moment after it.
		{"2026-09-27T03:00", "Pacific/Chatham", "2026-09-27T03:45:00+13:45"},
		// From 02:45 to 03:45 everything comes twice: the first of the two.
		{"2026-04-05T03:15", "Pacific/Chatham", "2026-04-05T03:15:00+13:45"},
		{"2026-03-08T02:30", "America/St_Johns", "2026-03-08T03:00:00-02:30"},
		// No midnight on the day on which summer begins.
		{"2026-03-29T00:30", "Atlantic/Azores", "2026-03-29T01:00:00Z"},
		{"2026-09-06T00:00", "America/Santiago", "2026-09-06T01:00:00-03:00"},
		// The last hour of the summer comes twice.
		{"2026-04-04T23:30", "America/Santiago", "2026-04-04T23:30:00-03:00"},
		// Half an hour, and a quarter, that a zone left out once and for all.
		{"2016-05-01T02:45", "America/Caracas", "2016-05-01T03:00:00-04:00"},
		{"1986-01-01T00:10", "Asia/Kathmandu", "1986-01-01T00:15:00+05:45"},
		// Days that never were.
		{"1993-08-21T12:00", "Pacific/Kwajalein", "1993-08-22T00:00:00+12:00"},
		{"2011-12-30T09:00", "Pacific/Fakaofo", "2011-12-31T00:00:00+13:00"},
		// The first and the last zone to see a new year.
		{"2027-01-01T00:00", "Pacific/Kiritimati", "2027-01-01T00:00:00+14:00"},
		{"2026-12-31T23:59", "Pacific/Niue", "2026-12-31T23:59:00-11:00"},
	} {
		t.Run(tt.text+" "+tt.zone, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAt(tt.text, zone(t, tt.zone))
			if err != nil {
				t.Fatal(err)
			}
			if got := got.Format(time.RFC3339); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
