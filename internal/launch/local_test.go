package launch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/launch"
)

const zonedPeople = "email,first_name,TZ\nada@example.org,Ada,Asia/Tokyo\ngrace@gmail.com,Grace,America/New_York\nlin@example.net,Lin,\nzoe@example.com,Zoe,Europe/Paris\n"

// due returns when the recipients of a run are due, since it was created, by address.
func (s *project) due(run string) (map[string]time.Duration, *ledger.Record) {
	s.t.Helper()
	rec, err := s.Ledger.Record(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}
	got := map[string]time.Duration{}
	for _, p := range rec.Sizes {
		cells, err := s.Ledger.Page(s.t.Context(), rec.Handle(), p.Part, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		s.each(run, func(address string, ref ledger.Ref, _ campaign.State) {
			if ref.Part == p.Part {
				got[address] = cells[ref.Index].When
			}
		})
	}
	return got, rec
}

// A run of a time of all clocks is made when it comes first, and each recipient is due when
// it comes where they live.
func TestARunByEachClock(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.write("people.csv", zonedPeople)
	done := s.add("schedule: {at: 2199-07-01T09:00, timezone: recipient, timezone_field: tz}\n", launch.ScheduleOptions{})
	first := time.Date(2199, 6, 30, 19, 0, 0, 0, time.UTC)
	if !done.Next.Equal(first) {
		t.Errorf("next %s, want %s", done.Next, first)
	}
	var waves []string
	for _, w := range done.Plan.Local.Waves {
		waves = append(waves, w.At.Format(time.RFC3339)+" "+strings.Join(w.Zones, " "))
	}
	want := []string{"2199-07-01T00:00:00Z Asia/Tokyo", "2199-07-01T07:00:00Z Europe/Berlin", "2199-07-01T13:00:00Z America/New_York"}
	if !slices.Equal(waves, want) {
		t.Errorf("waves of the plan: got %q, want %q", waves, want)
	}
	if f := done.Plan.Forecast; f.Finish.Sub(first) < 18*time.Hour-time.Minute || f.Expires.Sub(first) != 18*time.Hour+48*time.Hour {
		t.Errorf("forecast: done at %s, expires at %s", f.Finish, f.Expires)
	}

	// The time of Redis is that of today: more than a cell can count before that morning.
	if made, err := s.makeRun(t.Context(), firingOf(done), goOn); err != nil || !strings.Contains(made.Failure, "not be over within 194 days") {
		t.Errorf("made far too early: %+v, %v", made, err)
	}
}

func TestARunByEachClockToday(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.write("people.csv", zonedPeople)
	// In twelve hours it is that time at UTC.
	wall := time.Now().UTC().Add(12 * time.Hour).Truncate(time.Second)
	done := s.add("schedule: {at: "+wall.Format("2006-01-02T15:04:05")+", timezone: recipient, timezone_field: tz, timezone_fallback: UTC}\n", launch.ScheduleOptions{})
	made, err := s.makeRun(t.Context(), firingOf(done), goOn)
	if err != nil || made.Failure != "" || made.Run != campaign.RunID("news", wall.Add(-14*time.Hour)) {
		t.Fatalf("%+v, %v", made, err)
	}

	got, rec := s.due(made.Run)
	tokyo := wall.Add(-9 * time.Hour).Sub(rec.Created)
	for address, want := range map[string]time.Duration{"ada@example.org": tokyo, "lin@example.net": tokyo + 9*time.Hour} {
		if off := got[address] - want; off < 0 || off >= time.Second {
			t.Errorf("%s is due after %s, want %s rounded up", address, got[address], want)
		}
	}
	if len(rec.Waves()) != 3 || rec.Expires < tokyo+48*time.Hour || rec.Lasts != 48*time.Hour || rec.Window != nil {
		t.Errorf("record: waves %+v, expires after %s, lasts %s", rec.Waves(), rec.Expires, rec.Lasts)
	}
}

// Launched at once, the campaign reaches everybody at once, or in the hours of each.
func TestALaunchAtOnceByEachClock(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.write("people.csv", zonedPeople)
	const zones = "timezone: recipient, timezone_field: tz"
	launched, err := s.Launcher.Launch(t.Context(), s.def("schedule: {cron: \"0 9 * * *\", "+zones+"}\n"), launch.Options{Now: true})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := s.due(launched.Run); got["ada@example.org"]+got["grace@gmail.com"] != 0 {
		t.Errorf("due %v, want at once", got)
	}

	// Hours that begin in Tokyo when it is one o'clock there tomorrow at the latest.
	tokyo := time.Now().UTC().Add(9 * time.Hour)
	opens := tokyo.Add(2 * time.Hour).Truncate(time.Hour)
	hours := opens.Format("15:04") + "-" + opens.Add(time.Hour).Format("15:04")
	launched, err = s.Launcher.Launch(t.Context(), s.def("schedule: {window: \""+hours+"\", "+zones+"}\n"), launch.Options{Again: true})
	if err != nil {
		t.Fatal(err)
	}
	got, rec := s.due(launched.Run)
	want := opens.Add(-9 * time.Hour).Sub(rec.Created)
	if off := got["ada@example.org"] - want; off < 0 || off >= time.Second {
		t.Errorf("with the hours %s in Tokyo ada is due after %s, want %s", hours, got["ada@example.org"], want)
	}
	snapshot, err := s.Ledger.Snapshot(t.Context(), rec.Handle())
	if err != nil || snapshot.Hours == nil || snapshot.Hours.Field != 2 || rec.Window != nil {
		t.Errorf("hours of the snapshot: %+v, %v; window of the run: %v", snapshot.Hours, err, rec.Window)
	}
}

// What cannot be right is named with its place, and nothing is made.
func TestClocksThatCannotBeRead(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	for _, tc := range []struct{ people, more, want string }{
		{zonedPeople, "schedule: {timezone: recipient, timezone_field: tzz}\n", "campaign.yaml:8:49: schedule.timezone_field: no field tzz; the fields are email, first_name, tz; did you mean tz?"},
		{zonedPeople, "schedule: {timezone: recipient}\n", "campaign.yaml:8:1: schedule.timezone_field: no field timezone; the fields are email, first_name, tz; name the field with the recipients' zones"},
		{"email,first_name,tz\nada@example.org,Ada,\nlin@example.net,Lin,Berlin\n", "schedule: {timezone: recipient, timezone_field: tz}\n", "campaign.yaml:8:49: schedule.timezone_field: no row of people.csv has a zone that is known in the field tz"},
	} {
		s.write("people.csv", tc.people)
		_, err := s.Launcher.Launch(t.Context(), s.def(tc.more), launch.Options{})
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v, want %s", tc.more, err, tc.want)
		}
	}
	s.write("people.csv", zonedPeople)
	canary := 2
	_, err := s.Launcher.Launch(t.Context(), s.def("schedule: {timezone: recipient, timezone_field: tz}\n"), launch.Options{Canary: &canary})
	if err == nil || !strings.Contains(err.Error(), "--canary: the campaign has schedule.timezone: recipient") {
		t.Errorf("with a canary: %v", err)
	}
	if ids, err := s.Ledger.List(t.Context(), ""); err != nil || len(ids) > 0 {
		t.Errorf("there are runs %v, %v", ids, err)
	}
}
