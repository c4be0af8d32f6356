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

// How a claim went, in addition to the outcomes of campaign.State.
const (
	asking  campaign.State = '?' // the question is on its way
	open    campaign.State = campaign.Sending
	notSent campaign.State = campaign.Pending // nothing of the body left
)

// A Journal is what a worker remembers of its own claims, newest last, in a
// ring (6.4 MB when it is full). An entry is made before the claim is asked for,
// and is never replaced by a later one of the same recipient. It is safe for
// concurrent use.
type Journal struct {
	mu   sync.Mutex
	next uint64
	ring []entry
	// Claims that were still open when the ring wrapped around (a server may take
	// ten minutes for its last reply). They are kept for one more round after they
	// are closed.
	slow map[uint64]*entry
	// What is remembered of replies that accepted a message: code and account. A
	// hundred thousand texts would be too much.
	accepted map[Reply]*Outcome
}

type entry struct {
	n           uint64 // counts from 1; 0: no entry
	worker      string
	run         *Run
	part, index int32
	attempt     uint8
	how         campaign.State
	more        *Outcome // once it is closed, if the outcome has more than a state
	closed      uint64   // the claim that was the last one then
}

func (e *entry) token() string { return e.worker + "." + strconv.FormatUint(e.n, 36) }

func (e *entry) outcome() Outcome {
	if e.more != nil {
		return *e.more
	}
	return Outcome{State: e.how}
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
	e := entry{n: j.next, worker: worker, run: ref.Run, part: int32(ref.Part), index: int32(ref.Index), how: asking}
	if len(j.ring) < journalSize {
		j.ring = append(j.ring, e)
	} else {
		p := &j.ring[(j.next-1)%journalSize]
		j.keep(*p)
		*p = e
	}

	return Entry{e.token(), j.next}
}

// keep keeps an entry that leaves the ring while its claim is open, and drops
// those that ended a round ago.
func (j *Journal) keep(e entry) {
	if e.how != asking && e.how != open {
		return
	}
	if j.slow == nil {
		j.slow = map[uint64]*entry{}
	}

	for n, old := range j.slow {
		if old.closed != 0 && j.next-old.closed > journalSize {
			delete(j.slow, n)
		}
	}

	kept := e // a copy: for most entries the function returns before this
	j.slow[e.n] = &kept
}

func (j *Journal) at(n uint64) *entry {
	switch {
	case n == 0 || n > j.next:
		return nil
	case j.next-n >= journalSize:
		return j.slow[n]
	}
	return &j.ring[(n-1)%journalSize]
}

// Open logs that the claim holds: from here on the body may be on the wire.
func (j *Journal) Open(e Entry, attempt int) {
	j.set(e, open, attempt, nil)
}

// Close logs the outcome of the claim, before it is written to Redis.
func (j *Journal) Close(e Entry, o Outcome) {
	more := &o
	if o.State == campaign.Accepted {
		more = j.short(o.Reply)
	}
	j.set(e, o.State, 0, more)
}

// maxShort bounds how many replies are remembered by code and account.
const maxShort = 1000

// short returns the outcome "accepted" without the text of its reply.
func (j *Journal) short(r Reply) *Outcome {
	r = Reply{Code: r.Code, Account: r.Account}
	j.mu.Lock()
	defer j.mu.Unlock()
	if o := j.accepted[r]; o != nil {
		return o
	}
	if len(j.accepted) >= maxShort || j.accepted == nil {
		j.accepted = map[Reply]*Outcome{}
	}

	o := &Outcome{State: campaign.Accepted, Reply: r}
	j.accepted[r] = o

	return o
}

func (j *Journal) set(e Entry, how campaign.State, attempt int, more *Outcome) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if p := j.at(e.n); p != nil {
		p.how = how
		p.more = more
		if how != open {
			p.closed = j.next
		}
		if attempt > 0 {
			p.attempt = uint8(min(attempt, 255))
		}
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
	if p == nil || p.token() != token {
		return entry{}, false
	}

	return *p, true
}

// sent returns, per recipient, the last entry that was sent or is open: what must
// be replayed to a Redis that went back in time. An earlier try that was uncertain
// (on_uncertain: resend) comes before it, because the doubt remains.
// Older entries come first.
func (j *Journal) sent() []entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	type recipient struct {
		run         string
		part, index int32
	}
	last := make(map[recipient]entry, len(j.ring))
	doubt := map[recipient]entry{}
	all := slices.Clone(j.ring)
	for _, e := range j.slow {
		all = append(all, *e)
	}

	for _, e := range all {
		if e.how == asking || e.how == notSent || e.how == campaign.Suppressed {
			continue
		}
		k := recipient{e.run.ID, e.part, e.index}
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
