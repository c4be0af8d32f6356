package throttle

import "time"

// A Tempo holds the times by which lanes change. Those who want to see a day in
// minutes scale them.
type Tempo struct {
	Settle   time.Duration   // after a decrease, what was sent before it is still answered
	Again    time.Duration   // a second slow-down within this time pauses
	Pauses   []time.Duration // one after the other
	Calm     time.Duration   // without a pause, after which they begin with the first again
	Remember time.Duration   // how long the level that was too much is remembered
	Step     time.Duration   // one climb
	Lease    time.Duration   // how long one probe keeps others from probing
}

// DefaultTempo returns the times that hold where mail is sent.
func DefaultTempo() Tempo {
	return Tempo{
		Settle:   30 * time.Second,
		Again:    10 * time.Minute,
		Pauses:   []time.Duration{5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour},
		Calm:     time.Hour,
		Remember: 6 * time.Hour,
		Step:     time.Minute,
		Lease:    time.Minute,
	}
}

// Scaled returns the tempo with all times multiplied.
func (t Tempo) Scaled(by float64) Tempo {
	scale := func(d time.Duration) time.Duration { return max(time.Duration(float64(d)*by), time.Millisecond) }
	scaled := Tempo{
		Settle: scale(t.Settle), Again: scale(t.Again), Calm: scale(t.Calm),
		Remember: scale(t.Remember), Step: scale(t.Step), Lease: scale(t.Lease),
	}
	for _, d := range t.Pauses {
		scaled.Pauses = append(scaled.Pauses, scale(d))
	}
	return scaled
}

// At returns the lane with times of its own.
func (l Lane) At(t *Tempo) Lane {
	l.tempo = t
	return l
}

var defaultTempo = DefaultTempo()

func (l Lane) times() *Tempo {
	if l.tempo == nil {
		return &defaultTempo
	}
	return l.tempo
}
