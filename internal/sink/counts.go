package sink

import "sync/atomic"

// Counts says how often each thing happened. All but Connections and Bytes
// count recipients.
type Counts struct {
	Connections     int64 `json:"connections"`
	Accepted        int64 `json:"accepted"`
	Deferred        int64 `json:"deferred"`
	Bounced         int64 `json:"bounced"`
	Policy          int64 `json:"policy"`
	Full            int64 `json:"full"`
	Dropped         int64 `json:"dropped"`
	DroppedAfterDot int64 `json:"dropped_after_dot"`
	Refused         int64 `json:"refused"` // too large, or could not be stored
	Bytes           int64 `json:"bytes"`   // of accepted messages, without dot-stuffing
}

// totals are the live Counts.
type totals struct {
	connections, bytes atomic.Int64

	outcomes [outcomes]atomic.Int64
}

func (t *totals) read() Counts {
	n := func(o Outcome) int64 { return t.outcomes[o].Load() }
	return Counts{
		Connections:     t.connections.Load(),
		Accepted:        n(Accepted),
		Deferred:        n(Deferred),
		Bounced:         n(Bounced),
		Policy:          n(Policy),
		Full:            n(Full),
		Dropped:         n(Dropped),
		DroppedAfterDot: n(DroppedAfterDot),
		Refused:         n(Refused),
		Bytes:           t.bytes.Load(),
	}
}
