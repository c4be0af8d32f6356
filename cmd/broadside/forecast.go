package main

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"broadside/configs/units"
	"broadside/internal/forecast"
	"broadside/internal/launch"
)

// shownFlows is how many lanes of a forecast are shown; --json has all of them.
const shownFlows = 15

// showForecast prints when the recipients of a plan will have been sent to, and what
// they wait for. now is when it is read.
func showForecast(w io.Writer, p launch.Plan, i ink, now time.Time) {
	f := p.Forecast
	if len(f.Lanes) == 0 {
		return
	}

	head := "forecast"
	say := func(format string, args ...any) {
		fmt.Fprintf(w, "%-11s %s\n", head, fmt.Sprintf(format, args...))
		head = ""
	}
	when := clock{now: now, zone: p.Zone}
	for _, line := range flowLines(f.Lanes, when) {
		say("%s", line)
	}
	if more := len(f.Lanes) - shownFlows; more > 0 {
		say("and %d more lanes: --json has all of them", more)
	}
	if f.Finish.IsZero() {
		say("not done within %d days", int(forecast.Horizon.Hours()/24))
	} else {
		say("all done about %s, which takes %s", when.in(f.Finish), lasting(f.Finish.Sub(f.Now)))
	}
	for _, line := range waitLines(f, when) {
		say("%s", line)
	}
	for _, line := range warmupLines(f.Warmups) {
		say("%s", line)
	}
	if f.Expired > 0 {
		fmt.Fprintln(w, i.word(fmt.Sprintf("warning     %s for longer than the run lasts (delivery.expires_after: %s): raise it, or send in parts (--limit)",
			peopleWait(f.Expired), units.FormatDuration(f.Expires.Sub(f.Now)))))
	}
}

// flowLines is a line for each lane, in columns.
func flowLines(flows []forecast.Flow, when clock) []string {
	var rows [][]string
	for _, f := range flows[:min(len(flows), shownFlows)] {
		ceiling := "no ceiling"
		if f.Ceiling > 0 {
			ceiling = units.FormatRate(f.Ceiling)
		}
		done := "never done"
		if !f.Finish.IsZero() {
			done = "done about " + when.in(f.Finish)
		}
		rows = append(rows, []string{f.Account, f.Lane, peopleWord(f.Recipients), ceiling, done})
	}

	widths := make([]int, 5)
	for _, row := range rows {
		for c, text := range row {
			widths[c] = max(widths[c], len(text))
		}
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, fmt.Sprintf("%-*s  %-*s  %*s  %-*s  %s", widths[0], row[0], widths[1], row[1], widths[2], row[2], widths[3], row[3], row[4]))
	}
	return lines
}

// waitLines says which quotas will be spent, and what their recipients do.
func waitLines(f forecast.Forecast, when clock) []string {
	var lines []string
	for _, wait := range f.Waits {
		name := ""
		switch wait.Quota.Name {
		case "hour":
			name = "an hour"
		case "day":
			name = "a day"
		default:
			continue // warm-ups are said by themselves
		}

		used := "are used up at about " + when.in(wait.At)
		if !wait.At.After(f.Now) {
			used = "are used up"
		}
		line := fmt.Sprintf("%s %s by %s %s", grouped(int64(wait.Quota.Messages)), name, wait.Account, used)
		if wait.Waiting > 0 {
			line += fmt.Sprintf("; %s until about %s", peopleWait(wait.Waiting), when.in(wait.Until))
		} else {
			line += fmt.Sprintf(" until about %s; the other accounts take over", when.in(wait.Until))
		}
		lines = append(lines, line)
	}
	return lines
}

// warmupLines says how many days the warm-up of each account takes.
func warmupLines(all []forecast.Warmup) []string {
	var lines []string
	for _, w := range all {
		line := fmt.Sprintf("warm-up day %d of %s allows %s messages", w.Day, w.Account, grouped(int64(w.Allowance)))
		if w.Day == 0 {
			line = fmt.Sprintf("the warm-up of %s has not begun, and nothing leaves before", w.Account)
		} else if w.Left < w.Allowance {
			line += fmt.Sprintf(", of which %s are left", grouped(int64(w.Left)))
		}
		switch {
		case w.Days == 1:
			line += ": enough for this audience"
		case w.Days > 1:
			line += fmt.Sprintf("; this audience takes %d days", w.Days)
		}
		lines = append(lines, line)
	}
	return lines
}

// A clock writes moments for somebody who reads them now.
type clock struct {
	now  time.Time
	zone *time.Location
}

// in writes a moment with the day that it is on, unless that is today.
func (c clock) in(t time.Time) string {
	zone := c.zone
	if zone == nil {
		zone = time.UTC
	}
	t = t.In(zone)
	year, month, day := c.now.In(zone).Date()
	today := time.Date(year, month, day, 0, 0, 0, 0, zone)
	text := t.Format("15:04 MST")
	switch {
	case t.Before(today):
	case t.Before(today.AddDate(0, 0, 1)):
		return text
	case t.Before(today.AddDate(0, 0, 2)):
		return "tomorrow " + text
	}
	return t.Format("2006-01-02 15:04 MST")
}

// lasting writes how long something takes, as people say it.
func lasting(d time.Duration) string {
	count := func(n float64, unit string) string {
		text := strconv.FormatFloat(n, 'f', -1, 64) + " " + unit
		if n != 1 {
			text += "s"
		}
		return text
	}
	tenths := func(n float64) float64 { return math.Round(n*10) / 10 }
	switch {
	case d < 90*time.Second:
		return count(math.Max(1, math.Round(d.Seconds())), "second")
	case d < 90*time.Minute:
		return count(math.Round(d.Minutes()), "minute")
	case d < 36*time.Hour:
		return count(tenths(d.Hours()), "hour")
	}
	return count(tenths(d.Hours()/24), "day")
}

func peopleWord(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return grouped(n) + " people"
}

// peopleWait says that people wait.
func peopleWait(n int64) string {
	if n == 1 {
		return "1 person waits"
	}
	return peopleWord(n) + " wait"
}

// grouped returns n with a comma between thousands.
func grouped(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return strings.TrimSpace(text)
}

// A flowDocument is one lane of a forecast in JSON.
type flowDocument struct {
	Account    string         `json:"account"`
	Provider   string         `json:"provider"`
	Recipients int64          `json:"recipients"`
	Ceiling    *float64       `json:"ceiling_per_s"` // null: none
	Starts     *string        `json:"starts"`
	Finish     *string        `json:"finish"` // null: never
	Days       int            `json:"days"`
	Limit      forecast.Limit `json:"limit"`
}

// A waitDocument is a quota that will be spent, in JSON.
type waitDocument struct {
	Account  string  `json:"account"`
	Quota    string  `json:"quota"`
	Messages int     `json:"messages"`
	At       *string `json:"at"`
	Until    *string `json:"until"`
	Waiting  int64   `json:"waiting"`
}

// A warmupDocument is the warm-up of an account, in JSON.
type warmupDocument struct {
	Account   string `json:"account"`
	Day       int    `json:"day"`
	Allowance int    `json:"allowance"`
	Left      int    `json:"left"`
	Days      int    `json:"days"`
}

func flowDocuments(f forecast.Forecast) []flowDocument {
	all := []flowDocument{}
	for _, l := range f.Lanes {
		d := flowDocument{
			Account: l.Account, Provider: l.Lane, Recipients: l.Recipients,
			Starts: stamp(l.Starts), Finish: stamp(l.Finish), Days: l.Days, Limit: l.Limit,
		}
		if l.Ceiling > 0 {
			d.Ceiling = &l.Ceiling
		}
		all = append(all, d)
	}
	return all
}

func waitDocuments(f forecast.Forecast) []waitDocument {
	all := []waitDocument{}
	for _, w := range f.Waits {
		all = append(all, waitDocument{w.Account, w.Quota.Name, w.Quota.Messages, stamp(w.At), stamp(w.Until), w.Waiting})
	}
	return all
}

func warmupDocuments(f forecast.Forecast) []warmupDocument {
	all := []warmupDocument{}
	for _, w := range f.Warmups {
		all = append(all, warmupDocument(w))
	}
	return all
}
