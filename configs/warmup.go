package configs

import (
	"math"
	"time"
)

// WarmupPreset is the name of the built-in warm-up.
const WarmupPreset = "30-day"

// A Warmup says how many messages an account may send on each of its first days, in
// which mailbox providers get to know it. The zero Warmup is none. Afterwards the limits
// of the account count alone.
type Warmup struct {
	Preset string    // WarmupPreset, or empty for days of one's own
	Start  time.Time // the first day; only its date counts
	Days   []int     // messages on day 1, 2, 3, ...
}

// ThirtyDays are the days of [WarmupPreset]: 200 messages on the first day and 30 % more
// on each of the next, to 400,000 on the last, rounded to two digits.
//
// Plans that providers publish begin between 50 and 500 a day. SendGrid's automatic
// warm-up begins at 20 an hour and adds 40 % a day; others double at first and reach
// millions in the same time. This one stays below them all from its second week on: slow
// is safe, and those who are sure can write days of their own.
//
// https://www.twilio.com/docs/sendgrid/concepts/reputation/warm-up-ip-addresses
func ThirtyDays() []int {
	const days, first, growth = 30, 200, 1.3
	all := make([]int, days)
	for i := range all {
		exact := first * math.Pow(growth, float64(i))
		unit := math.Pow(10, math.Floor(math.Log10(exact))-1) // keeps two digits
		all[i] = int(math.Round(exact/unit) * unit)
	}
	return all
}

// Day returns which day of the warm-up it is at a moment, how many messages may leave on
// it, and when it begins and ends: at midnight in the zone. on is false where the warm-up
// allows any number: when there is none, or it is over. Before its first day the day is
// 0, and nothing may leave: the account is not to be known for anything else.
func (w Warmup) Day(now time.Time, zone *time.Location) (day, allowance int, begin, end time.Time, on bool) {
	if len(w.Days) == 0 {
		return 0, 0, time.Time{}, time.Time{}, false
	}

	y, m, d := now.In(zone).Date()
	today := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	sy, sm, sd := w.Start.Date()
	start := time.Date(sy, sm, sd, 0, 0, 0, 0, time.UTC)
	day = int(today.Sub(start)/(24*time.Hour)) + 1 // whole days: neither has a zone

	begin = time.Date(y, m, d, 0, 0, 0, 0, zone)
	end = time.Date(y, m, d+1, 0, 0, 0, 0, zone)
	if day < 1 {
		return 0, 0, begin, time.Date(sy, sm, sd, 0, 0, 0, 0, zone), true
	}

	allowance, on = w.Allowance(day)
	return day, allowance, begin, end, on
}

// Allowance returns how many messages may leave on a day of the warm-up, from 1. on is
// false after the last day. Where the step of a day is not taken it is asked with the
// number of the day before.
func (w Warmup) Allowance(day int) (messages int, on bool) {
	day = max(day, 1)
	if day > len(w.Days) {
		return 0, false
	}
	return w.Days[day-1], true
}

// Later returns the warm-up with its days later by as many as were not taken.
func (w Warmup) Later(held int) Warmup {
	w.Start = w.Start.AddDate(0, 0, held)
	return w
}
