package hooks

import (
	"fmt"
	"strconv"
	"time"
)

// off is how far a clock may be off: the tolerance of Standard Webhooks.
const off = 5 * time.Minute

// checkTime refuses what was signed more than old ago, or in the future.
func checkTime(at, now time.Time, old time.Duration) error {
	if age := now.Sub(at); age > old || age < -off {
		return fmt.Errorf("%w: signed at %s, expected between %v ago and in %v: is the clock of this machine right?",
			errUnsigned, at.UTC().Format(time.RFC3339), old, off)
	}
	return nil
}

// checkUnix is checkTime for a text of seconds since 1970.
func checkUnix(seconds string, now time.Time, old time.Duration) error {
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: no time is signed, expected seconds since 1970", errUnsigned)
	}
	return checkTime(time.Unix(n, 0), now, old)
}
