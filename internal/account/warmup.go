package account

import (
	"time"

	"broadside/configs"
	"broadside/throttle"
)

const (
	// maxDeferred and maxComplained are the shares of a day's messages above which the
	// next step of a warm-up is not taken: mailbox providers have enough already.
	maxDeferred   = 0.02
	maxComplained = 0.001
	// leastSent is how many messages of a day say something.
	leastSent = 50
)

// Date names the day of a moment in a zone, as throttle.Days has it.
func Date(now time.Time, zone *time.Location) string { return now.In(zone).Format(time.DateOnly) }

// Held returns how many steps of a warm-up have not been taken until today: one for
// each day on which too much was deferred or complained about.
func Held(w configs.Warmup, days map[string]throttle.Day, now time.Time, zone *time.Location) int {
	held := 0
	today := Date(now, zone)
	first := w.Start.Format(time.DateOnly)
	for date, day := range days {
		if date >= first && date < today && tooMuch(day) {
			held++
		}
	}
	return held
}

func tooMuch(day throttle.Day) bool {
	if day.Sent < leastSent {
		return false
	}
	sent := float64(day.Sent)
	return float64(day.Deferred) > maxDeferred*sent || float64(day.Complained) > maxComplained*sent
}
