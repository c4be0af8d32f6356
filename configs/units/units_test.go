package units_test

import (
	"math"
	"testing"
	"time"

	"broadside/configs/units"
)

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"90s": 90 * time.Second, "30d": 30 * day, "1d12h": 36 * time.Hour, "1h30m": 90 * time.Minute,
		"0": 0, "0s": 0, "0d": 0, "1.5h": 90 * time.Minute, "250ms": 250 * time.Millisecond, "36500d": 36500 * day,
	} {
		if got, err := units.ParseDuration(text); err != nil || got != want {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "d", "-1s", "-1d", "1d-1h", "1.5d", "36500d1s", "36501d", "99999d", "1000000d", "2562048h", "1w", "1 d", "abc", "1d2d"} {
		if got, err := units.ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatDuration(t *testing.T) {
	t.Parallel()
	for want, d := range map[string]time.Duration{
		"0s": 0, "25s": 25 * time.Second, "30d": 720 * time.Hour, "1d1h": 25 * time.Hour, "1h30m": 90 * time.Minute,
		"1m1.5s": 61500 * time.Millisecond, "500ms": 500 * time.Millisecond,
	} {
		got := units.FormatDuration(d)
		if got != want {
			t.Errorf("FormatDuration(%v) = %q, want %q", d, got, want)
		}
		if back, err := units.ParseDuration(got); err != nil || back != d {
			t.Errorf("ParseDuration(%q) = %v, %v, want %v", got, back, err, d)
		}
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{
		"50/s": 50, "30/min": 0.5, "1000/h": 1000.0 / 3600, "0.5/s": 0.5, "86400/d": 1, "14 / s": 14, "1000000/s": 1e6,
	} {
		got, err := units.ParseRate(text)
		if err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("ParseRate(%q) = %v, %v, want %v", text, got, err, want)
		}
		if back, err := units.ParseRate(units.FormatRate(got)); err != nil || math.Abs(back-got) > 1e-6*got {
			t.Errorf("FormatRate(%v) = %q, which is %v, %v", got, units.FormatRate(got), back, err)
		}
	}
	for _, text := range []string{"", "50", "0/s", "-1/s", "inf/s", "NaN/s", "1e3/s", "0x10/s", "50/w", "1000001/s", "/s", "50/", "50/ms"} {
		if got, err := units.ParseRate(text); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatRate(t *testing.T) {
	t.Parallel()
	for want, rate := range map[string]float64{"none": 0, "14/s": 14, "30/min": 0.5, "1000/h": 1000.0 / 3600, "150/min": 2.5} {
		if got := units.FormatRate(rate); got != want {
			t.Errorf("FormatRate(%v) = %q, want %q", rate, got, want)
		}
	}
}

func TestParseRange(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]int64{"9000-11000": {9000, 11000}, "5-5": {5, 5}, "0 - 10": {0, 10}} {
		low, high, err := units.ParseRange(text)
		if err != nil || low != want[0] || high != want[1] {
			t.Errorf("ParseRange(%q) = %d, %d, %v, want %v", text, low, high, err, want)
		}
	}
	for _, text := range []string{"", "5", "-5", "5-", "6-5", "0-0", "a-b", "1-2-3", "99999999999999999999-1"} {
		if low, high, err := units.ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %d, %d, want an error", text, low, high)
		}
	}
}

func TestParsePercent(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"5%": 0.05, "0.1 %": 0.001, "100%": 1, "0%": 0} {
		if got, err := units.ParsePercent(text); err != nil || math.Abs(got-want) > 1e-12 {
			t.Errorf("ParsePercent(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "-5%", "101%", "100.1%", "%", "five%"} {
		if got, err := units.ParsePercent(text); err == nil {
			t.Errorf("ParsePercent(%q) = %v, want an error", text, got)
		}
	}
}

func TestFormatPercentReadsBack(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"5%", "0.1%", "100%", "33.3%", "0.000001%", "7%", "29%"} {
		if v, err := units.ParsePercent(text); err != nil || units.FormatPercent(v) != text {
			t.Errorf("%s comes back as %s (%v)", text, units.FormatPercent(v), err)
		}
	}
}

func TestFormatBytes(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{
		0: "0 bytes", 999: "999 bytes", 1000: "1.0 kB", 6_320_000: "6.3 MB", 999_949: "999.9 kB", 999_950: "1.0 MB", 25_276_026_880: "25.3 GB", 3e15: "3000.0 TB",
	} {
		if got := units.FormatBytes(n); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", n, got, want)
		}
	}
}
