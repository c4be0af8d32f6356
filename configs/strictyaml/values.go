package strictyaml

import (
	"fmt"
	"strconv"
	"time"

	"broadside/configs/units"
)

// The functions of this file read scalars that are more than text. As the methods of
// [Map] do, they set *dst when the key is given and right, and report it when it is
// wrong.

// Bool reads true or false.
func Bool(m *Map, name string, dst *bool) {
	m.scalar(name, "true or false", func(text string) bool {
		if text != "true" && text != "false" {
			return false
		}
		*dst = text == "true"
		return true
	})
}

// Int reads a whole number from low to high; what names it, as in "a number of
// connections".
func Int(m *Map, name string, dst *int, low, high int, what string) {
	m.scalar(name, fmt.Sprintf("%s from %d to %d", what, low, high), func(text string) bool {
		v, err := strconv.Atoi(text)
		if err != nil || v < low || v > high {
			return false
		}
		*dst = v
		return true
	})
}

// Duration reads a duration from low to high, as [units.ParseDuration] does.
func Duration(m *Map, name string, dst *time.Duration, low, high time.Duration) {
	m.scalar(name, durationBetween(low, high), func(text string) bool {
		v, err := units.ParseDuration(text)
		if err != nil || v < low || v > high {
			return false
		}
		*dst = v
		return true
	})
}

// Durations reads a list of durations, each from low to high.
func Durations(m *Map, name string, dst *[]time.Duration, low, high time.Duration) {
	var out []time.Duration
	m.list(name, "a list of durations such as [5m, 1h]", func(n *Node) (string, bool) {
		v, err := units.ParseDuration(n.Text)
		out = append(out, v)
		return durationBetween(low, high), n.Kind == Scalar && err == nil && v >= low && v <= high
	})
	if out != nil {
		*dst = out
	}
}

// Zone reads the name of a time zone.
func Zone(m *Map, name string, dst *string) {
	m.Check(name, dst, "an IANA time zone such as Europe/Berlin or UTC", isZone)
}

// Rate reads a rate in messages per second, as [units.ParseRate] does.
func Rate(m *Map, name string, dst *float64) {
	m.scalar(name, "a rate such as 50/s, 30/min or 1000/h", func(text string) bool {
		v, err := units.ParseRate(text)
		if err == nil {
			*dst = v
		}
		return err == nil
	})
}

// Percent reads a share that is more than nothing, as [units.ParsePercent] does.
func Percent(m *Map, name string, dst *float64) {
	m.scalar(name, "a share over 0 and up to 100%, such as 5% or 0.1%", func(text string) bool {
		v, err := units.ParsePercent(text)
		if err != nil || v == 0 {
			return false
		}
		*dst = v
		return true
	})
}

// Range reads a range of sizes, as [units.ParseRange] does.
func Range(m *Map, name string, low, high *int64) {
	m.scalar(name, "a range such as 9000-11000", func(text string) bool {
		a, b, err := units.ParseRange(text)
		if err == nil {
			*low, *high = a, b
		}
		return err == nil
	})
}

// isZone reports whether name is a time zone that means the same on every
// machine.
func isZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func durationBetween(low, high time.Duration) string {
	return fmt.Sprintf("a duration from %s to %s, such as 90s, 5m or 30d", units.FormatDuration(low), units.FormatDuration(high))
}
