package window

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestNext has cases by the clocks of real zones. Times are written as in the zone.
func TestNext(t *testing.T) {
	t.Parallel()
	const form = "2006-01-02 15:04"
	for _, tt := range []struct {
		name, text, zone string
		holidays         string
		at, next         string // the same: it is open
	}{
		{"open", "Mon-Fri 08:00-20:00", "Europe/Berlin", "", "2026-11-30 12:00", "2026-11-30 12:00"},
		{"its first moment", "Mon-Fri 08:00-20:00", "Europe/Berlin", "", "2026-11-30 08:00", "2026-11-30 08:00"},
		{"its last moment", "Mon-Fri 08:00-20:00", "Europe/Berlin", "", "2026-11-30 19:59", "2026-11-30 19:59"},
		{"its end", "Mon-Fri 08:00-20:00", "Europe/Berlin", "", "2026-11-30 20:00", "2026-12-01 08:00"},
		{"before it", "Mon-Fri 08:00-20:00", "Europe/Berlin", "", "2026-11-30 07:59", "2026-11-30 08:00"},
		{"over a weekend", "Mon-Fri 08:00-20:00", "America/New_York", "", "2026-12-04 20:00", "2026-12-07 08:00"},
		{"a holiday", "Mon-Fri 08:00-20:00", "Europe/Berlin", "2026-12-25", "2026-12-24 21:00", "2026-12-28 08:00"},
		{"a holiday in another zone's day", "09:00-17:00", "Pacific/Auckland", "2026-12-25", "2026-12-24 17:00", "2026-12-26 09:00"},
		{"every day", "09:00-17:00", "Asia/Kolkata", "", "2026-11-29 18:00", "2026-11-30 09:00"},
		{"at night", "22:00-06:00", "Europe/London", "", "2026-11-30 05:59", "2026-11-30 05:59"},
		{"after the night", "22:00-06:00", "Europe/London", "", "2026-11-30 06:00", "2026-11-30 22:00"},
		{"the night of Friday is open on Saturday", "Fri 22:00-06:00", "Europe/London", "", "2026-12-05 03:00", "2026-12-05 03:00"},
		{"the night after a holiday", "22:00-06:00", "Europe/London", "2026-12-25", "2026-12-26 03:00", "2026-12-26 22:00"},
		{"all day", "Sat 00:00-24:00", "UTC", "", "2026-12-05 23:59", "2026-12-05 23:59"},
		{"all day, the next", "Sat 00:00-24:00", "UTC", "", "2026-12-06 00:00", "2026-12-12 00:00"},
		{"beyond the week", "Sat-Mon 10:00-12:00", "UTC", "", "2026-12-01 10:00", "2026-12-05 10:00"},
		{"several", "Mon-Fri 08:00-12:00, Mon-Fri 14:00-18:00, Sat 10:00-12:00", "UTC", "", "2026-12-04 18:00", "2026-12-05 10:00"},
		{"at noon", "Mon-Fri 08:00-12:00,Mon-Fri 14:00-18:00", "UTC", "", "2026-12-04 12:30", "2026-12-04 14:00"},
		{"long names, small letters", "monday-friday 8:00-20:00", "UTC", "", "2026-12-05 12:00", "2026-12-07 08:00"},
		{"spring forward: 02:30 does not exist", "02:30-04:00", "Europe/Berlin", "", "2026-03-29 01:00", "2026-03-29 03:00"},
		{"fall back: the first 02:30", "02:30-04:00", "Europe/Berlin", "", "2026-10-25 01:00", "2026-10-25 02:30"},
		{"southern spring: 02:30 does not exist", "02:30-04:00", "Australia/Sydney", "", "2026-10-04 01:00", "2026-10-04 03:00"},
		{"half an hour of DST", "08:00-20:00", "Australia/Lord_Howe", "", "2026-04-05 07:00", "2026-04-05 08:00"},
		{"a leap day", "Tue 08:00-20:00", "UTC", "", "2028-02-28 09:00", "2028-02-29 08:00"},
		{"the turn of the year", "Mon-Fri 08:00-20:00", "Asia/Kathmandu", "2027-01-01", "2026-12-31 20:30", "2027-01-04 08:00"},
	} {
		z := zone(t, tt.zone)
		w, err := New(tt.text, z, strings.Fields(tt.holidays))
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		at, err := time.ParseInLocation(form, tt.at, z)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.Next(at.UTC()).In(z).Format(form); got != tt.next || w.Open(at) != (tt.at == tt.next) {
			t.Errorf("%s: %s at %s: open %v, next %s, want %s", tt.name, w, tt.at, w.Open(at), got, tt.next)
		}
	}
}

func TestAfterCountsOpenHours(t *testing.T) {
	t.Parallel()
	z := zone(t, "Europe/Berlin")
	w, err := New("Mon-Fri 08:00-20:00", z, []string{"2026-12-25"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		at   time.Time
		d    time.Duration
		want time.Time
	}{
		{time.Date(2026, 11, 30, 9, 0, 0, 0, z), time.Hour, time.Date(2026, 11, 30, 10, 0, 0, 0, z)},
		{time.Date(2026, 11, 30, 19, 0, 0, 0, z), 2 * time.Hour, time.Date(2026, 12, 1, 9, 0, 0, 0, z)},
		{time.Date(2026, 11, 28, 12, 0, 0, 0, z), 48 * time.Hour, time.Date(2026, 12, 3, 20, 0, 0, 0, z)},
		{time.Date(2026, 12, 24, 19, 0, 0, 0, z), 2 * time.Hour, time.Date(2026, 12, 28, 9, 0, 0, 0, z)},
	} {
		if got := w.After(tt.at, tt.d); !got.Equal(tt.want) {
			t.Errorf("%s after %s: %s, want %s", tt.d, tt.at, got, tt.want)
		}
	}

	var always *Window
	at := time.Date(2026, 11, 28, 3, 0, 0, 0, z)
	if !always.Open(at) || !always.Next(at).Equal(at) || !always.After(at, time.Hour).Equal(at.Add(time.Hour)) {
		t.Error("no window is not always open")
	}
}

func TestAWindowThatNeverOpens(t *testing.T) {
	t.Parallel()
	var all []string
	for day := range 500 {
		all = append(all, time.Date(2026, 11, 30+day, 0, 0, 0, 0, time.UTC).Format(dateForm))
	}
	w, err := New("08:00-20:00", time.UTC, all)
	if err != nil {
		t.Fatal(err)
	}
	if at := time.Date(2026, 11, 30, 21, 0, 0, 0, time.UTC); !w.Next(at).IsZero() || !w.After(at, time.Hour).IsZero() {
		t.Error("it opens")
	}
}

func TestAStoredWindowIsTheSame(t *testing.T) {
	t.Parallel()
	w, err := New("Mon-Fri 08:00-20:00, Sat 10:00-14:00", zone(t, "America/Sao_Paulo"), []string{"2026-12-25", "2027-01-01"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(w)
	if err != nil {
		t.Fatal(err)
	}
	var read Window
	if err := json.Unmarshal(b, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&read)
	if err != nil || string(again) != string(b) || read.String() != w.String() {
		t.Errorf("%v: stored %s, then %s", err, b, again)
	}
	for _, broken := range []string{`{"text":"x","zone":"UTC"}`, `{"text":"08:00-20:00","zone":"Nowhere/At_All"}`, `[]`} {
		if err := json.Unmarshal([]byte(broken), new(Window)); err == nil {
			t.Errorf("%s is read", broken)
		}
	}
}

func TestWrongWindows(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                     "expected days and hours",
		"Mon":                  "expected days and hours",
		"Mon-Fri":              "expected days and hours",
		"Mon-Fri 08:00":        "expected days and hours",
		"Mon-Fry 08:00-20:00":  `found "Mon-Fry 08:00-20:00"`,
		"08:00-20:60":          "expected days and hours",
		"08:00-25:00":          "expected days and hours",
		"24:00-08:00":          "expected days and hours",
		"-1:00-08:00":          "expected days and hours",
		"08:00-08:00":          "which never opens",
		"Mon-Fri 08:00-20:00,": "expected days and hours",
		"Mon Tue 08:00-20:00":  "expected days and hours",
		strings.Repeat("1:00-2:00,", 30) + "1:00-2:00": "at most 20",
	} {
		if _, err := New(text, time.UTC, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.30q: got %v, want %q", text, err, want)
		}
	}
}

func TestReadHolidays(t *testing.T) {
	t.Parallel()
	days, err := ReadHolidays("\ufeff2026-12-25 # Christmas\r\n\n# none\n2027-01-01\n")
	if err != nil || strings.Join(days, " ") != "2026-12-25 2027-01-01" {
		t.Errorf("got %q, %v", days, err)
	}
	if _, err := ReadHolidays("2026-12-25\n25.12.2026\n"); err == nil || !strings.Contains(err.Error(), `line 2: found "25.12.2026", expected a date`) {
		t.Errorf("got %v", err)
	}
}

func FuzzWindow(f *testing.F) {
	for i, text := range []string{"Mon-Fri 08:00-20:00", "22:00-6:00, Sat 0:00-24:00", "sun-mon 1:01-1:02", "2:30-3:00", "0:00-24:00"} {
		f.Add(text, int64(1_790_000_000), uint8(i))
	}
	names := []string{"UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "America/Santiago"}
	f.Fuzz(func(t *testing.T, text string, unix int64, n uint8) {
		w, err := New(text, zone(t, names[int(n)%len(names)]), nil)
		if err != nil {
			return
		}
		at := time.Unix(unix%4_000_000_000, 0)
		next := w.Next(at)
		if next.Before(at) || !w.Open(next) {
			t.Errorf("%q at %s: next %s, open %v", text, at, next, w.Open(next))
		}
		if closes := w.Closes(next); !closes.IsZero() && (!closes.After(next) || w.Open(closes) || !w.Open(closes.Add(-time.Second))) {
			t.Errorf("%q at %s: open from %s, closes at %s", text, at, next, closes)
		}
		if end := w.After(at, time.Hour); end.Before(next.Add(time.Hour)) {
			t.Errorf("%q at %s: an hour is over at %s", text, at, end)
		}
	})
}
