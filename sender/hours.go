package sender

import (
	"time"

	"broadside/campaign"
	"broadside/campaign/window"
	"broadside/campaign/zones"
)

// afterOpening is how long after the opening of their window a recipient is taken who was
// given back until then: the ledger counts whole seconds, and a second too early would
// mean another round.
const afterOpening = 2 * time.Second

// hours are the hours in which recipients may get a message, each by their own clock. A
// recipient who is taken outside of them is given back until they begin.
type hours struct {
	window *window.Window
	zones  *zones.Zones
}

// hoursOf returns the hours that a snapshot has; nil: there are none.
func hoursOf(h *campaign.Hours) (*hours, error) {
	if h == nil || h.Window == nil {
		return nil, nil
	}
	fallback, err := time.LoadLocation(h.Fallback)
	if err != nil {
		return nil, err
	}
	return &hours{window: h.Window, zones: zones.New(h.Field, fallback)}, nil
}

// wait returns how long the hours of a row are still closed at a moment; 0 when they are
// open, or never open again.
func (h *hours) wait(values []string, now time.Time) time.Duration {
	if h == nil {
		return 0
	}
	zone, _ := h.zones.Of(values)
	opens := h.window.In(zone).Next(now)
	if !opens.After(now) {
		return 0
	}
	return opens.Sub(now).Truncate(time.Second) + afterOpening
}
