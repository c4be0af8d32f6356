package sender

// A probe numbers a message that finds out whether its account, or its lane,
// works again after a closing; 0 where it is not one.
type probe struct{ account, lane uint64 }

// probes are those of one account, or of one lane: one at a time is under way. The
// zero value is ready.
type probes struct {
	current uint64 // the one under way; 0: none
	last    uint64 // the latest number
}

// underWay reports whether a probe has begun and not ended.
func (p *probes) underWay() bool { return p.current > 0 }

// begin begins a probe, and returns its number.
func (p *probes) begin() uint64 {
	p.last++
	p.current = p.last
	return p.current
}

// end ends a probe, however it went: the next message may be one. A message
// that left before the closing (0), or was an earlier probe, ends none.
func (p *probes) end(number uint64) {
	if p.current == number {
		p.current = 0
	}
}

// endAll lets the next message be a probe, whatever is under way.
func (p *probes) endAll() { p.current = 0 }
