package sink

import (
	"strconv"
	"strings"
	"sync"
)

// An Outcome is what became of one recipient.
type Outcome int

// The outcomes.
const (
	Accepted        Outcome = iota
	Deferred                // 450: defer@, defer-Nx@
	Bounced                 // 550 5.1.1: bounce@
	Policy                  // 550 5.7.1: policy@
	Full                    // 452 4.2.2: full@
	Dropped                 // closed at RCPT: drop@
	DroppedAfterDot         // closed without a reply to the final dot: drop-after-dot@
	Refused                 // 552 or 451 to the final dot: too large, or not stored

	outcomes = iota
)

var outcomeNames = [outcomes]string{"accepted", "deferred", "bounced", "policy", "full", "dropped", "dropped_after_dot", "refused"}

// String returns the key that Counts uses.
func (o Outcome) String() string {
	if o < 0 || o >= outcomes {
		return "unknown"
	}
	return outcomeNames[o]
}

// rcptReply returns the reply to RCPT for an outcome that is decided there.
func rcptReply(o Outcome) string {
	switch o {
	case Deferred:
		return "450 4.2.0 mailbox busy, try again later"
	case Bounced:
		return "550 5.1.1 no such user"
	case Policy:
		return "550 5.7.1 refused by policy"
	case Full:
		return "452 4.2.2 mailbox full"
	}
	return "250 2.1.5 recipient ok"
}

// A script is what a recipient's local part asks for.
type script struct {
	outcome Outcome
	times   int  // Deferred only: refuse that often, then accept; -1 always
	slow    bool // 2 s before each reply
}

// scriptOf reads the script from an address.
func scriptOf(addr string) script {
	local := addr
	if i := strings.LastIndexByte(addr, '@'); i >= 0 {
		local = addr[:i]
	}
	local, _, _ = strings.Cut(local, "+")
	switch local = strings.ToLower(local); local {
	case "defer":
		return script{outcome: Deferred, times: -1}
	case "bounce":
		return script{outcome: Bounced}
	case "policy":
		return script{outcome: Policy}
	case "full":
		return script{outcome: Full}
	case "drop":
		return script{outcome: Dropped}
	case "drop-after-dot":
		return script{outcome: DroppedAfterDot}
	case "slow":
		return script{slow: true}
	}
	if n, ok := deferTimes(local); ok {
		return script{outcome: Deferred, times: n}
	}
	return script{}
}

// deferTimes reads N of defer-Nx.
func deferTimes(local string) (int, bool) {
	digits, ok := strings.CutPrefix(local, "defer-")
	if !ok {
		return 0, false
	}
	digits, ok = strings.CutSuffix(digits, "x")
	if !ok || len(digits) > 3 {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err == nil
}

// maxPatient is how many addresses a sink remembers for defer-Nx@; those
// beyond are accepted.
const maxPatient = 1 << 20

// patience remembers how often each defer-Nx@ address was refused.
type patience struct {
	mu   sync.Mutex
	seen map[string]int
}

// wear reports whether addr is to be refused once more of times.
func (p *patience) wear(addr string, times int) bool {
	if times < 0 {
		return true
	}
	addr = strings.ToLower(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	n, known := p.seen[addr]
	if n >= times || (!known && len(p.seen) >= maxPatient) {
		return false
	}
	if p.seen == nil {
		p.seen = map[string]int{}
	}
	p.seen[addr] = n + 1
	return true
}
