//go:build !linux

package wire

import "time"

// An alarm waits for moments, as exactly as Go's timers do.
type alarm struct{}

func newAlarm() (*alarm, error) { return &alarm{}, nil }

// wait returns at t, or at once when that is over.
func (*alarm) wait(t time.Time) error {
	time.Sleep(time.Until(t))
	return nil
}

func (*alarm) close() {}
