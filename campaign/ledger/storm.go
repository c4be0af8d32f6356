package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"broadside/campaign"
)

// stormBatch is how many recipients one script notes.
const stormBatch = 1000

func (l *Ledger) stormKey(id string) string { return l.runKey(id, "storm") }

// NoteStorm notes recipients of a run, by part and index, who bounced because their
// server refused everybody and whose suppression was taken away again. Noting them twice
// does no harm. It ends with the addresses of the run; it reports false when they, or
// the whole run, are gone: then nothing can be sent to these recipients again.
func (l *Ledger) NoteStorm(ctx context.Context, r *Run, recipients [][2]int) (noted bool, err error) {
	keys := []string{l.runKey(r.ID, "record"), l.runKey(r.ID, r.Attempt+":chunks"), l.stormKey(r.ID)}
	for batch := range slices.Chunk(recipients, stormBatch) {
		args := make([]any, len(batch))
		for i, at := range batch {
			args[i] = itoa(at[0]) + ":" + itoa(at[1])
		}
		n, err := l.run(ctx, l.script.storm, keys, args...).Int()
		if campaign.IsWrongType(err) {
			return false, campaign.ReadError(err, "the recipients of a storm in run "+r.ID, l.stormKey(r.ID))
		}
		if err != nil {
			return false, fmt.Errorf("note recipients of a storm in run %s: %w", r.ID, err)
		}
		if n < 0 {
			return false, nil
		}
	}
	return true, nil
}

// Storm returns the recipients that NoteStorm has noted, by part and index.
func (l *Ledger) Storm(ctx context.Context, r *Run) (map[[2]int]bool, error) {
	key := l.stormKey(r.ID)
	members, err := l.rdb.SMembers(ctx, key).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the recipients of a storm in run "+r.ID, key)
	}

	all := map[[2]int]bool{}
	for _, text := range members {
		part, index, _ := strings.Cut(text, ":")
		p, partErr := strconv.Atoi(part)
		i, indexErr := strconv.Atoi(index)
		if partErr == nil && indexErr == nil { // else it names no recipient
			all[[2]int{p, i}] = true
		}
	}
	return all, nil
}
