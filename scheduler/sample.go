package scheduler

import (
	"cmp"
	"container/heap"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"broadside/campaign/audience"
)

// chance returns a number that looks like one by chance, and is always the same for an
// address and a seed.
func chance(seed string, hash [32]byte) uint64 {
	sum := sha256.Sum256(append([]byte(seed), hash[:]...))
	return binary.BigEndian.Uint64(sum[:])
}

// drawn is a row with its chance, and its number in the audience.
type drawn struct {
	chance uint64
	n      int64
	row    audience.Row
}

// A sample holds as many rows as were asked for, those with the lowest chances of all
// that were added.
type sample struct{ highest highestFirst }

// add adds a row to a sample of a size. It reports whether one is left out for it, which
// may be the row itself.
func (s *sample) add(size int, d drawn) (full bool) {
	full = len(s.highest) >= size
	if full && d.chance >= s.highest[0].chance {
		return true
	}

	d.row.Values = slices.Clone(d.row.Values) // the reader uses its array again
	if full {
		s.highest[0] = d
		heap.Fix(&s.highest, 0)
	} else {
		heap.Push(&s.highest, d)
	}
	return full
}

// rows returns the rows of the sample in the order of the audience.
func (s *sample) rows() []drawn {
	slices.SortFunc(s.highest, func(a, b drawn) int { return cmp.Compare(a.n, b.n) })
	return s.highest
}

// highestFirst is a heap, which has the row with the highest chance in front.
type highestFirst []drawn

func (h highestFirst) Len() int           { return len(h) }
func (h highestFirst) Less(i, j int) bool { return h[i].chance > h[j].chance }
func (h highestFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }

// Push appends a row, for package heap.
func (h *highestFirst) Push(d any) { *h = append(*h, d.(drawn)) }

// Pop removes the last row, for package heap.
func (h *highestFirst) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
