package throttle

import "time"

// Effective returns at which rates slots are handed out where limits of these rates
// count for the same message: in the order in which they are asked, the run's first and
// the account's last, none of them 0. They are a little below the limits, for the reasons
// in the package comment.
func Effective(rates ...float64) []float64 {
	sum := 0.0
	for _, rate := range rates {
		sum += interval(rate)
	}
	slack := 0.0
	if len(rates) > 1 {
		slack = min(sum, float64(maxDelay.Microseconds()))
	}

	effective := make([]float64, len(rates))
	for i, rate := range rates {
		if len(rates) > 1 && i == len(rates)-1 {
			slack = float64(lastSlack(rate))
		}
		effective[i] = 1e6 / (interval(rate) * (1 + slack/1e6))
	}
	return effective
}

// Bucket returns the end of the bucket of a rolling quota in which a message is counted
// at a moment, and when that bucket is out of the window.
func (q Quota) Bucket(at time.Time) (end, out time.Time) {
	width := q.bucket().Microseconds()
	end = time.UnixMicro((at.UnixMicro()/width + 1) * width)
	return end, end.Add(q.Window + reach)
}
