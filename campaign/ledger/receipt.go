package ledger

import (
	"context"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger/replytext"
)

// A receipt is the reply by which a message was accepted, as Redis takes it: a
// pattern that many have in common, and what differs. The pattern is empty when
// the reply is not known.
//
// Redis has a list of all receipts of a run, oldest first, each appended by the
// script that makes the recipient accepted, and the number of each pattern (see
// store_receipts in lua/lib.lua). Both end with the addresses.
type receipt struct {
	pattern string
	differs []byte
}

// place returns the number of a recipient among those of all parts, and how many
// those are; false when the run has no such recipient.
func (r *Run) place(part, index int) (n, of int, ok bool) {
	for _, p := range r.Sizes {
		if p.Part == part && index >= 0 && index < p.Size {
			n = of + index
			ok = true
		}
		of += p.Size
	}
	return n, of, ok
}

// receipt makes the receipt of a recipient.
func (r Ref) receipt(reply Reply) receipt {
	n, of, ok := r.Run.place(r.Part, r.Index)
	if !ok || reply == (Reply{}) {
		return receipt{}
	}
	text, differs := replytext.Pack(reply.text(), uint64(n), uint64(of))
	return receipt{reply.head() + text, differs}
}

// maxPatterns is how many patterns a worker makes of a part's replies: servers whose
// replies are always different must not fill Redis with them.
const maxPatterns = 100

// patterns are those that were made. They are safe for concurrent use.
type patterns struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

// receipt is Ref.receipt with few patterns: where there are too many, only the id
// is left of the text.
func (p *patterns) receipt(ref Ref, reply Reply) receipt {
	made := ref.receipt(reply)
	if p.add(made.pattern) {
		return made
	}
	reply.Text = replytext.Core(reply.Text)
	return ref.receipt(reply)
}

// add reports whether a pattern is among the few, or becomes one of them.
func (p *patterns) add(pattern string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.seen[pattern]; ok {
		return true
	}
	if len(p.seen) >= maxPatterns {
		return false
	}
	if p.seen == nil {
		p.seen = map[string]struct{}{}
	}

	p.seen[pattern] = struct{}{}
	return true
}

// Receipts are the replies by which recipients of a run were accepted, as they
// were when they were read.
type Receipts struct {
	run      *Run
	people   int
	patterns map[int]string
	data     []byte   // receipts, each after its length
	at       []uint64 // where the receipt of a recipient is in data, plus 1
}

// receiptsAtOnce is how many receipts are read in one round trip.
const receiptsAtOnce = 10_000

// Receipts reads all receipts of a run.
func (l *Ledger) Receipts(ctx context.Context, r *Run) (*Receipts, error) {
	_, people, _ := r.place(0, 0)
	out := &Receipts{run: r, people: people, patterns: map[int]string{}, at: make([]uint64, people)}
	for from := int64(0); ; from += receiptsAtOnce {
		page, err := l.rdb.LRange(ctx, l.receiptsKey(r), from, from+receiptsAtOnce-1).Result()
		if err != nil {
			return nil, campaign.ReadError(err, "receipts of run "+r.ID, l.receiptsKey(r))
		}
		for _, stored := range page {
			out.add(stored)
		}
		if len(page) < receiptsAtOnce {
			break
		}
	}

	// After the receipts: every number that they have is there by now.
	numbers, err := l.rdb.HGetAll(ctx, l.patternsKey(r)).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "patterns of replies of run "+r.ID, l.patternsKey(r))
	}

	for pattern, n := range numbers {
		out.patterns[int(atoi64(n))] = pattern
	}

	return out, nil
}

// add adds a receipt as Redis has it. A value that is no receipt is left out: its
// recipient is shown without a reply.
func (r *Receipts) add(stored string) {
	_, _, differs, ok := splitReceipt(stored)
	if !ok || len(stored) > 255 {
		return
	}

	n, ok := replytext.Number([]byte(differs), uint64(r.people))
	if !ok {
		return
	}

	r.at[n] = uint64(len(r.data)) + 1
	r.data = append(r.data, byte(len(stored)))
	r.data = append(r.data, stored...)
}

// splitReceipt takes a receipt apart: hundredths of a second since the run was
// created, the number of the pattern, what differs.
func splitReceipt(stored string) (at uint32, pattern int, differs string, ok bool) {
	if len(stored) < 5 {
		return 0, 0, "", false
	}
	at = binary.BigEndian.Uint32([]byte(stored[:4]))
	number, n := binary.Uvarint([]byte(stored[4:min(len(stored), 6)]))
	if n <= 0 {
		return 0, 0, "", false
	}
	return at, int(number), stored[4+n:], true
}

// Of returns the reply by which a recipient was accepted; false when it is not
// known.
func (r *Receipts) Of(part, index int) (LastReply, bool) {
	n, _, ok := r.run.place(part, index)
	if !ok || r.at[n] == 0 {
		return LastReply{}, false
	}

	from := r.at[n]
	stored := string(r.data[from : from+uint64(r.data[from-1])])
	at, number, differs, _ := splitReceipt(stored)
	out := LastReply{At: r.run.Created.Add(time.Duration(at) * 10 * time.Millisecond)}
	f := strings.SplitN(r.patterns[number], "\t", 4)
	if len(f) < 4 {
		return out, true // there were too many patterns
	}

	out.Code = int(atoi64(f[0]))
	out.Enhanced = f[1]
	out.Account = f[2]
	if text, _, ok := replytext.Unpack(f[3], []byte(differs), uint64(r.people)); ok {
		out.Text = text
	}

	return out, true
}
