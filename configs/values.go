package configs

import (
	"strconv"
	"time"

	"broadside/configs/strictyaml"
	"broadside/configs/units"
)

const (
	// none is the ceiling of what has none. It takes away that of a preset.
	none = "none"

	rateForm     = "a rate such as 50/s, 30/min, 1000/h or 5000/d, or none"
	messagesForm = "a number of messages from 1 to 1000000000, or none"

	// maxMessages is more than any account may send in a day.
	maxMessages = 1_000_000_000

	// maxWarmup is the most days of a warm-up.
	maxWarmup = 366
)

// readRate reads a rate in messages a second; none is 0.
func readRate(m *strictyaml.Map, name string, dst *float64) {
	var text string
	m.Check(name, &text, rateForm, func(text string) bool {
		if text == none {
			*dst = 0
			return true
		}
		rate, err := units.ParseRate(text)
		if err == nil {
			*dst = rate
		}
		return err == nil
	})
}

// readMessages reads a number of messages; none is 0.
func readMessages(m *strictyaml.Map, name string, dst *int) {
	var text string
	m.Check(name, &text, messagesForm, func(text string) bool {
		if text == none {
			*dst = 0
			return true
		}
		n, err := strconv.Atoi(text)
		ok := err == nil && n >= 1 && n <= maxMessages
		if ok {
			*dst = n
		}
		return ok
	})
}

// readWarmup reads the warm-up of an account. given is whether there is one.
func readWarmup(m *strictyaml.Map, given bool, w *Warmup) {
	m.Choice("preset", &w.Preset, WarmupPreset)
	var days []int
	var texts []string
	m.Strings("days", &texts, "a number of messages from 1, such as 200", func(text string) bool {
		n, err := strconv.Atoi(text)
		days = append(days, n)
		return err == nil && n >= 1 && n <= maxMessages
	})
	var start string
	m.Check("start", &start, "the date of the first day, such as 2026-12-01", func(text string) bool {
		day, err := time.Parse(time.DateOnly, text)
		ok := err == nil && day.Year() >= 2000 && day.Year() < 2200
		if ok {
			w.Start = day
		}
		return ok
	})

	w.Days = days
	switch {
	case !given:
		return
	case !m.Has("preset") && !m.Has("days") && !m.Has("start"):
		m.Problem("", "found a warm-up without days, expected its days and its start, such as {preset: %s, start: 2026-12-01}", WarmupPreset)
		return
	case m.Has("preset") && m.Has("days"):
		m.Problem("days", "found preset and days, expected just one of them")
	case !m.Has("preset") && !m.Has("days"):
		m.Problem("", "found no days, expected preset: %s, or the messages of each day such as days: [200, 400, 800]", WarmupPreset)
	case w.Preset == WarmupPreset:
		w.Days = ThirtyDays()
	}
	if len(days) > maxWarmup {
		m.Problem("days", "found %d days, expected at most %d", len(days), maxWarmup)
	}
	m.Require("start", "the date of the first day, such as 2026-12-01")
}

// formatMessages prints a number of messages as readMessages reads it.
func formatMessages(n int) string {
	if n == 0 {
		return none
	}
	return strconv.Itoa(n)
}
