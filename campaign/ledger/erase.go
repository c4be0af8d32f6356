package ledger

import (
	"context"
	"fmt"

	"broadside/campaign"
)

// Erase puts a new chunk, in which the recipient is not known any more, in the place of
// the old one, which begins with the recipient first of the part, and drops the last reply
// about the recipient. One that is pending or issued becomes suppressed. It reports false
// when the chunk is not the old one any more, or the addresses of the run are gone.
func (l *Ledger) Erase(ctx context.Context, ref Ref, first int, old, without []byte) (bool, error) {
	err := l.run(ctx, l.script.refuse, l.keys(ref.Run, ref.Part), ref.Part, ref.Index, int(campaign.Suppressed), "", 0, 0).Err()
	if err != nil {
		return false, fmt.Errorf("suppress %s, which is to be erased: %w", ref, err)
	}

	keys := []string{l.runKey(ref.Run.ID, ref.Run.Attempt+":chunks"), l.runKey(ref.Run.ID, "replies")}
	ok, err := l.run(ctx, l.script.erase, keys,
		fmt.Sprintf("%d:%d", ref.Part, first), old, without, fmt.Sprintf("%d:%d", ref.Part, ref.Index)).Bool()
	if err != nil {
		return false, fmt.Errorf("erase %s: %w", ref, err)
	}
	return ok, nil
}
