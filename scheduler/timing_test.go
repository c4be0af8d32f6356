package scheduler_test

import (
	"errors"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has

	"broadside/campaign"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/scheduler"
)

const timedCampaign = `id: news
topic: newsletter
from: Acme News <news@acme.example>
subject: Hello
audience: {source: people.csv}
content: {markdown: letter.md}
`

func TestTimingOf(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name, more, zone, at string
		want                 string // or a part of the error
		zoneWant             string
	}{
		{"local to the campaign", "schedule: {at: 2026-03-29T02:30}\ntimezone: Europe/Berlin\n", "America/New_York", "", "2026-03-29T03:00:00+02:00", "Europe/Berlin"},
		{"local to the configuration", "schedule: {at: 2026-11-01T01:30}\n", "America/New_York", "", "2026-11-01T01:30:00-04:00", "America/New_York"},
		{"with an offset", "schedule: {at: 2026-04-01T09:00+02:00}\n", "", "", "2026-04-01T07:00:00Z", "UTC"},
		{"by the command line", "schedule: {cron: \"@daily\"}\n", "Europe/Berlin", "2026-04-01T09:00", "2026-04-01T09:00:00+02:00", "Europe/Berlin"},
		{"cron", "schedule: {cron: \"0 9 * * MON\"}\n", "Europe/Berlin", "", "0 9 * * MON", "Europe/Berlin"},
		{"no zone", "schedule: {at: 2026-04-01T09:00}\n", "", "", "campaign.yaml:1:16: schedule.at: time \"2026-04-01T09:00\" has no offset", ""},
		{"cron without a zone", "schedule: {cron: \"@daily\"}\n", "", "", "campaign.yaml:1:18: schedule.cron: cron \"@daily\": no timezone is set", ""},
		{"past", "schedule: {at: 2026-02-01T09:00Z}\n", "", "", "schedule.at: found 2026-02-01T09:00:00Z, which is past", ""},
		{"past by the command line", "", "UTC", "2026-02-01T09:00", "--at: found 2026-02-01T09:00:00Z, which is past", ""},
		{"no such time", "", "UTC", "tomorrow", "--at: time \"tomorrow\": expected something like", ""},
		{"a bad cron", "schedule: {cron: \"61 9 * * *\"}\n", "UTC", "", "schedule.cron: cron \"61 9 * * *\": minute", ""},
		{"each recipient's own clock", "schedule: {at: 2026-04-01T09:00, timezone: recipient}\n", "Europe/Berlin", "", "2026-04-01T09:00", "Etc/GMT-14"},
		{"by the command line, each recipient's own", "schedule: {timezone: recipient}\n", "", "2026-04-01T09:00:30", "2026-04-01T09:00:30", "Etc/GMT-14"},
		{"passed in most zones", "schedule: {at: 2026-03-01T00:30, timezone: recipient}\n", "", "", "2026-03-01T00:30", "Etc/GMT-14"},
		{"passed in every zone", "schedule: {at: 2026-03-01T00:00, timezone: recipient}\n", "", "", "schedule.at: found 2026-03-01T00:00, which is past in every zone (it is 2026-03-01T12:00:00Z)", ""},
		{"an offset, and each recipient's own clock", "schedule: {at: 2026-04-01T09:00+02:00, timezone: recipient}\n", "", "", "found 2026-04-01T09:00+02:00 with an offset and timezone: recipient", ""},
		{"each recipient's own cron", "schedule: {cron: \"0 9 * * MON\", timezone: recipient}\n", "", "", "0 9 * * MON", "Etc/GMT-14"},
		{"intervals have no clock", "schedule: {cron: \"@every 1h\", timezone: recipient}\n", "", "", "schedule.cron: found \"@every 1h\" with timezone: recipient, expected times of a clock", ""},
		{"no schedule", "", "UTC", "", "add schedule.at or schedule.cron, or give --at TIME", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			def, err := campaign.Parse("campaign.yaml", ".", []byte(tc.more+timedCampaign))
			if err != nil {
				t.Fatal(err)
			}

			got, err := scheduler.TimingOf(&configs.Config{Timezone: tc.zone}, def, tc.at, now)
			if err != nil {
				var problems strictyaml.Problems
				if tc.zoneWant != "" || !strings.Contains(err.Error(), tc.want) || !errors.As(err, &problems) && !errors.Is(err, failure.ErrInvalid) {
					t.Errorf("got error %v, want %s", err, tc.want)
				}
				return
			}

			if got.String() != tc.want || got.Zone != tc.zoneWant {
				t.Errorf("got %s in %s, want %s in %s", got, got.Zone, tc.want, tc.zoneWant)
			}
		})
	}
}
