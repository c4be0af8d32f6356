// Package units reads and prints durations, rates, shares, ranges and sizes as
// people write them: 30d, 50/s, 0.1%, 9000-11000, 6.3 MB.
package units

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	// maxDays keeps every duration far from the end of a time.Duration.
	maxDays = 36500
	// maxRate is more than any server takes, in messages a second.
	maxRate = 1e6
)

var (
	daysPattern    = regexp.MustCompile(`^(\d{1,5})d(.*)$`)
	ratePattern    = regexp.MustCompile(`^(\d{1,9}(?:\.\d{1,6})?) ?/ ?(s|min|h|d)$`)
	rangePattern   = regexp.MustCompile(`^(\d{1,15}) ?- ?(\d{1,15})$`)
	percentPattern = regexp.MustCompile(`^(\d{1,3}(?:\.\d{1,6})?) ?%$`)
)

// ParseDuration reads a duration as time.ParseDuration does, and days in front
// of it: 90s, 1h30m, 30d, 1d12h. A day has 24 hours. Negative durations and
// those over a hundred years are refused.
func ParseDuration(text string) (time.Duration, error) {
	var days time.Duration
	rest := text
	m := daysPattern.FindStringSubmatch(text)
	if m != nil {
		n, _ := strconv.Atoi(m[1]) // at most five digits
		days, rest = time.Duration(min(n, maxDays+1))*24*time.Hour, m[2]
	}
	var d time.Duration
	if rest != "" || m == nil {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, fmt.Errorf("read %q as a duration such as 90s, 5m or 30d", text)
		}
	}
	const longest = maxDays * 24 * time.Hour
	if d < 0 || d > longest || days > longest || days+d > longest {
		return 0, fmt.Errorf("duration %q is not between 0 and %dd", text, maxDays)
	}
	return days + d, nil
}

// FormatDuration prints d as ParseDuration reads it, without the units that
// are zero: 30d, 1h30m, 25s.
func FormatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	const day = 24 * time.Hour
	if d >= day {
		fmt.Fprintf(&b, "%dd", d/day)
		d %= day
	}
	if d >= time.Hour {
		fmt.Fprintf(&b, "%dh", d/time.Hour)
		d %= time.Hour
	}
	if d >= time.Minute {
		fmt.Fprintf(&b, "%dm", d/time.Minute)
		d %= time.Minute
	}
	if d != 0 {
		b.WriteString(d.String())
	}
	return b.String()
}

// ParseRate reads a pace, such as 50/s, 30/min, 1000/h or 0.5/s, as messages
// per second. It is more than 0 and at most a million a second.
func ParseRate(text string) (perSecond float64, err error) {
	m := ratePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("read %q as a rate such as 50/s, 30/min or 1000/h", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return 0, fmt.Errorf("read rate %q: %w", text, err)
	}
	perSecond = n / map[string]float64{"s": 1, "min": 60, "h": 3600, "d": 86400}[m[2]]
	if perSecond <= 0 || perSecond > maxRate {
		return 0, fmt.Errorf("rate %q is not between 0 and %.0f/s", text, maxRate)
	}
	return perSecond, nil
}

// FormatRate prints a rate in messages per second as ParseRate reads it, in
// the unit that makes it a whole number if there is one; 0 is "none".
func FormatRate(perSecond float64) string {
	if perSecond == 0 {
		return "none"
	}
	for _, u := range []struct {
		name    string
		seconds float64
	}{{"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}} {
		n := perSecond * u.seconds
		if whole := math.Round(n); whole >= 1 && math.Abs(n-whole) < 1e-6*whole {
			return fmt.Sprintf("%.0f/%s", whole, u.name)
		}
	}
	return fmt.Sprintf("%.6g/s", perSecond)
}

// ParseRange reads an inclusive range of numbers: 9000-11000.
func ParseRange(text string) (low, high int64, err error) {
	m := rangePattern.FindStringSubmatch(text)
	if m == nil {
		return 0, 0, fmt.Errorf("read %q as a range such as 9000-11000", text)
	}
	low, _ = strconv.ParseInt(m[1], 10, 64) // at most 15 digits each
	high, _ = strconv.ParseInt(m[2], 10, 64)
	if high < low || high == 0 {
		return 0, 0, fmt.Errorf("range %q ends before it begins, or allows nothing", text)
	}
	return low, high, nil
}

// ParsePercent reads a share, such as 5% or 0.1%, as a fraction from 0 to 1.
func ParsePercent(text string) (float64, error) {
	m := percentPattern.FindStringSubmatch(text)
	if m == nil {
		return 0, fmt.Errorf("read %q as a share such as 5%% or 0.1%%", text)
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n > 100 {
		return 0, fmt.Errorf("share %q is over 100%%", text)
	}
	return n / 100, nil
}

// FormatPercent prints a fraction as ParsePercent reads it: 5%, 0.1%.
func FormatPercent(fraction float64) string {
	return strconv.FormatFloat(math.Round(fraction*1e8)/1e6, 'f', -1, 64) + "%"
}

// FormatBytes prints a size as people write it, in units of 1,000: 512 bytes,
// 6.3 MB.
func FormatBytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d bytes", n)
	}
	value, unit := float64(n)/1e3, "kB"
	for _, next := range []string{"MB", "GB", "TB"} {
		if value < 999.95 {
			break
		}
		value, unit = value/1e3, next
	}
	return fmt.Sprintf("%.1f %s", value, unit)
}
