package zones

import (
	"fmt"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the tests' own zones, whatever the machine has
)

func TestZonesOfRows(t *testing.T) {
	t.Parallel()
	z := New(1, time.UTC)
	for _, tc := range []struct {
		values []string
		zone   string
		origin Origin
	}{
		{[]string{"Ada", "Asia/Kathmandu"}, "Asia/Kathmandu", Named},
		{[]string{"Ada", " Etc/GMT+12 "}, "Etc/GMT+12", Named},
		{[]string{"Ada", "America/Port-au-Prince"}, "America/Port-au-Prince", Named},
		{[]string{"Ada", ""}, "UTC", Empty},
		{[]string{"Ada", " \t"}, "UTC", Empty},
		{[]string{"Ada"}, "UTC", Empty},
		{nil, "UTC", Empty},
		{[]string{"Asia/Tokyo", "Berlin"}, "UTC", Unknown},
		{[]string{"", "Local"}, "UTC", Unknown}, // the zone of this machine is not the recipient's
		{[]string{"", "localtime"}, "UTC", Unknown},
		{[]string{"", "posixrules"}, "UTC", Unknown},
		{[]string{"", "../../etc/passwd"}, "UTC", Unknown},
		{[]string{"", "/etc/localtime"}, "UTC", Unknown},
		{[]string{"", "Europe/Berlin\x00"}, "UTC", Unknown},
		{[]string{"", strings.Repeat("Europe/", 20)}, "UTC", Unknown},
	} {
		zone, origin := z.Of(tc.values)
		if zone.String() != tc.zone || origin != tc.origin {
			t.Errorf("%q: got %s, %d, want %s, %d", tc.values, zone, origin, tc.zone, tc.origin)
		}
	}

	first, _ := z.Of([]string{"", "Asia/Kathmandu"})
	again, _ := z.Of([]string{"", "Asia/Kathmandu "})
	if first != again {
		t.Error("rows that name the same zone have got two Locations")
	}
}

// Texts that are no zones do not fill the memory, and real zones are still found after them.
func TestManyTextsThatAreNoZones(t *testing.T) {
	t.Parallel()
	z := New(0, time.UTC)
	for i := range 2 * maxKept {
		if _, origin := z.Of([]string{fmt.Sprint("!", i)}); origin != Unknown {
			t.Fatalf("text %d is a zone", i)
		}
	}
	if len(z.kept) > maxKept {
		t.Errorf("%d names are kept, want at most %d", len(z.kept), maxKept)
	}
	if zone, origin := z.Of([]string{"Asia/Tokyo"}); zone.String() != "Asia/Tokyo" || origin != Named {
		t.Errorf("Asia/Tokyo: got %s, %d", zone, origin)
	}
}

// Whatever a column holds, a row has a clock, and only a name of a zone is one.
func FuzzOf(f *testing.F) {
	for _, seed := range []string{"Europe/Berlin", "", "..", "America/../Europe/Berlin", "Etc/GMT-14", "Local", "\xff", "a//b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		zone, origin := New(0, time.UTC).Of([]string{text})
		switch {
		case zone == nil:
			t.Fatalf("%q: no clock", text)
		case origin != Named && zone != time.UTC:
			t.Fatalf("%q: %s, although it is not named", text, zone)
		case origin == Named && zone.String() != strings.TrimSpace(text) && zone != time.UTC:
			t.Fatalf("%q: the zone is %s", text, zone)
		}
	})
}
