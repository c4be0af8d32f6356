package outgoing

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pauses are those after the first failed try, the second and so on: about a day in all.
// When the try after the last one fails, the event is dead.
var pauses = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour,
	2 * time.Hour, 2 * time.Hour, 3 * time.Hour, 3 * time.Hour, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour,
}

const (
	// maxRetryAfter is the longest pause that a receiver can ask for.
	maxRetryAfter = 6 * time.Hour
	// jitter is how much a pause may differ, as a fraction: a receiver that comes back is
	// not met by everything at once.
	jitter = 0.1
)

// pauseAfter returns the pause after a failed try, of which there were some before; false
// when it was the last one. asked is what the receiver asks for: it can make a pause
// longer and not shorter, so that the tries last for a day.
func pauseAfter(failed int, asked time.Duration) (time.Duration, bool) {
	if failed >= len(pauses) {
		return 0, false
	}
	d := pauses[failed]
	d += time.Duration((rand.Float64()*2 - 1) * jitter * float64(d))
	return max(d, min(asked, maxRetryAfter)), true
}

// retryAfter reads the header of that name, in seconds or as a date; 0 for none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}
