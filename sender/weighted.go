package sender

import (
	"cmp"
	"encoding/binary"
	"hash/fnv"
	"iter"
	"math"
	"slices"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// weighted are the accounts of a run, each with its part of the recipients. Those
// with weight 0 come last: when none of the others can.
type weighted []way

type way struct {
	name   string
	weight float64
}

func weightedOf(s *campaign.Snapshot) weighted {
	var ways weighted
	for _, name := range s.Accounts {
		ways = append(ways, way{name, float64(s.Weights.Of(name))})
	}
	return ways
}

// order returns the names of the accounts in the order in which a recipient tries
// them. It is the same in every attempt and every process (weighted rendezvous
// hashing): a recipient keeps the account as long as it can be used.
func (w weighted) order(ref ledger.Ref) iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(w) == 1 {
			yield(w[0].name)
			return
		}

		ranked := slices.Clone(w)
		slices.SortStableFunc(ranked, func(a, b way) int { return cmp.Compare(b.score(ref), a.score(ref)) })
		for _, account := range ranked {
			if !yield(account.name) {
				return
			}
		}
	}
}

// score is the greater the sooner the account's turn comes.
func (w way) score(ref ledger.Ref) float64 {
	if w.weight <= 0 {
		return math.Inf(-1)
	}
	h := fnv.New64a()
	h.Write([]byte(ref.Run.ID))
	var place [16]byte
	binary.LittleEndian.PutUint64(place[:], uint64(ref.Part))
	binary.LittleEndian.PutUint64(place[8:], uint64(ref.Index))
	h.Write(place[:])
	h.Write([]byte(w.name))
	// The upper bits of the sum are mixed well enough only after one more round.
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	even := (float64(x>>11) + 0.5) / (1 << 53) // between 0 and 1
	return -w.weight / math.Log(even)
}
