package ledger

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"broadside/campaign"
)

// journalSize is how many of its latest claims a worker remembers.
const journalSize = 100_000

// How a claim went, beside the outcomes of campaign.State.
const (
	asking  campaign.State = '?' // the question is on its way
	open    campaign.State = campaign.Sending
	notSent campaign.State = campaign.Pending // nothing of the body left
)

// A Journal is what a worker remembers of its own claims, newest last, in a
// ring. An entry is made before the claim is asked for, and is never replaced
// by a later one of the same recipient. It is safe for concurrent use.
type Journal struct {
	mu   sync.Mutex
	next uint64
	ring []entry
}

type entry struct {
	n       uint64 // counts from 1; 0: no entry
	token   string
	ref     Ref
	attempt int
	how     campaign.State
	outcome Outcome // once it is closed
}

// An Entry is the handle on one entry.
type Entry struct {
	Token string
	n     uint64
}

// Ask logs that worker is about to claim ref, and returns the entry with the
// token to use.
func (j *Journal) Ask(worker string, ref Ref) Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.next++
	token := worker + "." + strconv.FormatUint(j.next, 36)
	e := entry{n: j.next, token: token, ref: ref, how: asking}
	if len(j.ring) < journalSize {
		j.ring = append(j.ring, e)
	} else {
		j.ring[(j.next-1)%journalSize] = e
	}
	return Entry{token, j.next}
}

func (j *Journal) at(n uint64) *entry {
	if n == 0 || n > j.next || j.next-n >= journalSize {
		return nil
	}
	return &j.ring[(n-1)%journalSize]
}

// Open logs that the claim holds: from here on the body may be on the wire.
func (j *Journal) Open(e Entry, attempt int) {
	j.set(e, open, attempt, Outcome{})
}

// Close logs the outcome of the claim, before it is told to Redis.
func (j *Journal) Close(e Entry, o Outcome) {
	j.set(e, o.State, 0, o)
}

func (j *Journal) set(e Entry, how campaign.State, attempt int, o Outcome) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p := j.at(e.n); p != nil {
		p.how = how
		if attempt > 0 {
			p.attempt = attempt
		}
		p.outcome = o
	}
}

// Len returns how many claims were logged so far.
func (j *Journal) Len() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.next
}

// reaches reports whether the journal still has claim n and all later ones.
func (j *Journal) reaches(n uint64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return n > j.next || j.next-n < journalSize
}

// find returns the entry of a token, of which the worker id is a part.
func (j *Journal) find(token string) (entry, bool) {
	_, counter, ok := strings.Cut(token, ".")
	if !ok {
		return entry{}, false
	}
	n, err := strconv.ParseUint(counter, 36, 64)
	if err != nil {
		return entry{}, false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.at(n)
	if p == nil || p.token != token {
		return entry{}, false
	}
	return *p, true
}

// sent returns, per recipient, the last entry that was sent or is open: what
// a Redis that went back in time must be told. Where an earlier try was
// uncertain (on_uncertain: resend) that comes before it: the doubt remains.
// Older entries come first.
func (j *Journal) sent() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	type recipient struct {
		run         string
		part, index int
	}
	last, doubt := make(map[recipient]entry, len(j.ring)), map[recipient]entry{}
	for _, e := range j.ring {
		if e.how == asking || e.how == notSent || e.how == campaign.Suppressed {
			continue
		}
		k := recipient{e.ref.Run.ID, e.ref.Part, e.ref.Index}
		if e.n > last[k].n {
			last[k] = e
		}
		if e.how == campaign.Uncertain && e.n > doubt[k].n {
			doubt[k] = e
		}
	}
	out := make([]entry, 0, len(last)+len(doubt))
	for k, e := range last {
		out = append(out, e)
		if d := doubt[k]; d.n != 0 && d.n != e.n {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return cmp.Compare(a.n, b.n) })
	return out
}
