package suppression

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

//go:embed runs.lua
var runsSource string

// A run's id is longer than the rest of an entry, and thousands of entries have the same.
// So an entry in the short form has a reference in its place: runMark, which no text of an
// entry has in it, and two bytes that follow from the hash of the id, neither of them a tab.
// What it stands for is noted once for all entries. Because it follows from the id, nothing
// is wrong when Redis forgets the note: the next entry of that run brings it back, and until
// then the run of the others is not known. Where two runs have the same reference, the
// second one stands in full.
const (
	runMark = "\x01"
	refSize = 2 // bytes, without runMark
	// maxRuns is how many runs are noted; of more the ids stand in full.
	maxRuns = 50_000
)

// refOf returns the reference of a run.
func refOf(run string) string {
	const values = 255 // of a byte that is no tab
	sum := sha256.Sum256([]byte(run))
	n := binary.BigEndian.Uint32(sum[:]) % (values * values)
	ref := []byte{byte(n / values), byte(n % values)}
	for i, b := range ref {
		if b >= '\t' {
			ref[i] = b + 1
		}
	}
	return runMark + string(ref)
}

// isRef reports whether the run of an entry is a reference.
func isRef(run string) bool {
	return len(run) == len(runMark)+refSize && strings.HasPrefix(run, runMark)
}

// withRefs returns entries as they are stored: with references in place of their runs,
// where there can be some. What cannot be noted stands in full: no entry fails for that.
func (s *Store) withRefs(ctx context.Context, entries []Entry) []Entry {
	refs := map[string]string{}
	args := []any{maxRuns}
	var runs []string
	for _, e := range entries {
		_, known := refs[e.Run]
		if _, _, ok := e.short(); !ok || e.Run == "" || known {
			continue
		}
		ref := refOf(e.Run)
		refs[e.Run] = ref
		runs = append(runs, e.Run)
		args = append(args, strings.TrimPrefix(ref, runMark), e.Run)
	}
	if len(runs) == 0 {
		return entries
	}

	noted, err := s.runs.Run(ctx, s.rdb, []string{s.runsKey()}, args...).Int64Slice()
	for i, run := range runs {
		if err != nil || i >= len(noted) || noted[i] != 1 {
			delete(refs, run)
		}
	}
	stored := make([]Entry, len(entries))
	for i, e := range entries {
		if ref, ok := refs[e.Run]; ok && e.Lane == "" && e.Evidence == "" && e.Domain == "" {
			e.Run = ref
		}
		stored[i] = e
	}
	return stored
}

// runNames finds out which runs the references of entries stand for.
type runNames struct {
	store *Store
	known map[string]string // by reference; empty: it is not noted
}

func (s *Store) runNames() *runNames { return &runNames{s, map[string]string{}} }

// fill puts the run into an entry that has a reference in its place.
func (n *runNames) fill(ctx context.Context, e *Entry) error {
	ref, is := strings.CutPrefix(e.Run, runMark)
	if !is {
		return nil
	}
	run, known := n.known[ref]
	if !known {
		var err error
		run, err = n.store.rdb.HGet(ctx, n.store.runsKey(), ref).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return campaign.ReadError(err, "the runs of suppressions", n.store.runsKey())
		}
		n.known[ref] = run
	}
	e.Run = run
	return nil
}
