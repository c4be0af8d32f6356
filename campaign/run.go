package campaign

import "time"

// A RunState is the state of a whole run.
type RunState string

// The run states.
const (
	Expanding    RunState = "expanding" // the audience is being read; nothing is sent
	Running      RunState = "running"
	Paused       RunState = "paused" // by an operator or a guard
	Held         RunState = "held"   // stopped by doubt about the ledger, waits for the operator
	RunCancelled RunState = "cancelled"
	Finished     RunState = "finished" // every recipient is in a final state
	RunFailed    RunState = "failed"   // did not become ready: nothing was sent
)

// Broken is shown in place of the state of a run whose record cannot be read;
// no record has it.
const Broken RunState = "broken"

// Known reports whether s is a state that the record of a run may have.
func (s RunState) Known() bool {
	switch s {
	case Expanding, Running, Paused, Held, RunCancelled, Finished, RunFailed:
		return true
	}
	return false
}

// Over reports whether nothing more happens in the run by itself.
// A cancelled run may still have messages on the wire.
func (s RunState) Over() bool {
	return s == Finished || s == RunCancelled || s == RunFailed
}

// Counts says how many recipients of a run are in each state.
type Counts map[State]int64

// Report returns the count that reports show for s: issued recipients count
// as pending.
func (c Counts) Report(s State) int64 {
	if s == Pending {
		return c[Pending] + c[Issued]
	}
	return c[s]
}

// Total returns the number of recipients over all states.
func (c Counts) Total() int64 {
	var n int64
	for _, v := range c {
		n += v
	}
	return n
}

// Open returns how many recipients are not in a final state.
func (c Counts) Open() int64 {
	return c[Pending] + c[Issued] + c[Sending] + c[Deferred]
}

// Skipped counts the rows of the audience that are not recipients of the run.
type Skipped struct {
	Invalid   int64 `json:"invalid"`
	Duplicate int64 `json:"duplicate"`
	Excluded  int64 `json:"excluded"`
	Filtered  int64 `json:"filtered,omitempty"` // audience.where does not hold
	Sampled   int64 `json:"sampled,omitempty"`  // left out by audience.sample
	Limited   int64 `json:"limited,omitempty"`  // left out by --limit
	Passed    int64 `json:"passed,omitempty"`   // the time had passed by their clocks (schedule.when_passed: skip)
}

// Rows returns how many rows were skipped.
func (s Skipped) Rows() int64 {
	return s.Invalid + s.Duplicate + s.Excluded + s.Filtered + s.Sampled + s.Limited + s.Passed
}

// A Task names a recipient that is to be sent to. It is all that a worker is
// given of one: the ledger has the rest.
type Task struct {
	Run         string
	Part, Index int
}

// runTime is how a run id has its time.
const runTime = "20060102T150405Z"

// RunID returns the id of the run of the campaign at t:
// october-news-20261001T070000Z.
func RunID(campaign string, t time.Time) string {
	return campaign + "-" + t.UTC().Format(runTime)
}

// OfRun returns the campaign of a run id.
func OfRun(run string) string {
	campaign, _ := splitRun(run)
	return campaign
}

// TimeOfRun returns the time in a run id; zero when it is none.
func TimeOfRun(run string) time.Time {
	_, t := splitRun(run)
	return t
}

func splitRun(run string) (campaign string, t time.Time) {
	for i := len(run) - 1; i > 0; i-- {
		if run[i] != '-' || len(run) < i+1+len(runTime) {
			continue
		}
		if t, err := time.Parse(runTime, run[i+1:i+1+len(runTime)]); err == nil {
			return run[:i], t
		}
	}
	return run, time.Time{}
}
