package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/failure"
)

// ErrExpired: the addresses of a run are not kept any more.
var ErrExpired = errors.New("addresses have expired")

// A Recipient is one recipient of a run, as `run recipients` shows it.
type Recipient struct {
	Address  string     `json:"address"`
	State    string     `json:"state"`
	Attempts int        `json:"attempts"`
	Code     int        `json:"code"`
	Enhanced string     `json:"enhanced"`
	Reply    string     `json:"reply"`
	At       *time.Time `json:"at"` // of the reply; nil: none is kept
	Account  string     `json:"account"`
}

// Recipients calls do for each recipient of a run; when state is not empty, for
// those in that state. Its errors are those of Each.
func (r *Runs) Recipients(ctx context.Context, id, state string, do func(Recipient) error) error {
	run, err := r.handle(ctx, id)
	if err != nil {
		return err
	}

	replies, err := r.lastReplies(ctx, run, state)
	if err != nil {
		return err
	}

	return r.Each(ctx, run, func(part, index int, cell ledger.Cell, row audience.Row) error {
		s := ShownState(cell.State)
		if state != "" && s.String() != state {
			return nil
		}

		recipient := Recipient{Address: row.Address.String(), State: s.String(), Attempts: cell.Attempts}
		if last, ok := replies.of(s, part, index); ok {
			recipient.Code = last.Code
			recipient.Enhanced = last.Enhanced
			recipient.Reply = ReplyText(last)
			recipient.At = &last.At
			recipient.Account = last.Account
		}

		return do(recipient)
	})
}

// lastReplies are the last replies about a run's recipients.
type lastReplies struct {
	accepted *ledger.Receipts
	others   map[[2]int]ledger.LastReply
}

// lastReplies reads the last replies about a run's recipients; when state is not
// empty, about those in that state.
func (r *Runs) lastReplies(ctx context.Context, run *ledger.Run, state string) (replies lastReplies, err error) {
	if state != campaign.Accepted.String() {
		if replies.others, err = r.Ledger.Replies(ctx, run); err != nil {
			return replies, err
		}
	}
	if state == "" || state == campaign.Accepted.String() {
		replies.accepted, err = r.Ledger.Receipts(ctx, run)
	}
	return replies, err
}

// of returns the last reply about a recipient; false when none is kept.
func (l *lastReplies) of(s campaign.State, part, index int) (last ledger.LastReply, ok bool) {
	if s == campaign.Accepted {
		return l.accepted.Of(part, index)
	}
	last, ok = l.others[[2]int{part, index}]
	return last, ok
}

// ReplyText returns the text of a reply, and why no further try was made.
func ReplyText(l ledger.LastReply) string {
	switch l.Reason {
	case "attempts":
		return strings.TrimSpace(codes.Attempts.Reason("no attempt left: %s", l.Text))
	case "expired":
		return strings.TrimSpace(codes.Expired.Reason("out of time: %s", l.Text))
	case "stuck":
		return codes.Stuck.Reason("no worker gave a sign of life after seven tries")
	}
	return l.Text
}

// Each calls do for all recipients of a run, in the order of part and index. The
// error wraps ErrExpired, and is of the kind failure.ErrInvalid, when the addresses
// of the run are not kept any more.
func (r *Runs) Each(ctx context.Context, run *ledger.Run, do func(part, index int, cell ledger.Cell, row audience.Row) error) error {
	for _, p := range run.Sizes {
		if err := r.eachOf(ctx, run, p, do); err != nil {
			return err
		}
	}
	return nil
}

// eachOf is Each for one part.
func (r *Runs) eachOf(ctx context.Context, run *ledger.Run, p ledger.PartSize, do func(part, index int, cell ledger.Cell, row audience.Row) error) error {
	var cells []ledger.Cell
	for first := 0; first < p.Size; first += audience.ChunkSize {
		chunk, err := r.chunk(ctx, run, p.Part, first)
		if err != nil {
			return err
		}

		for i := range chunk.Len() {
			at := (first + i) % ledger.PageCells
			if at == 0 {
				if cells, err = r.Ledger.Page(ctx, run, p.Part, (first+i)/ledger.PageCells); err != nil {
					return err
				}
			}

			if at >= len(cells) {
				return fmt.Errorf("run %s has fewer cells than recipients", run.ID)
			}
			if err := do(p.Part, first+i, cells[at], chunk.Row(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// chunk reads the rows of a part that begin with one.
func (r *Runs) chunk(ctx context.Context, run *ledger.Run, part, first int) (*audience.Chunk, error) {
	data, err := r.Ledger.Chunk(ctx, run, part, first)
	if ledger.Gone(err) {
		text := fmt.Sprintf("the addresses of run %s have expired (retention.addresses is %s)", run.ID, r.KeepAddresses)
		return nil, failure.New(failure.ErrInvalid, text, ErrExpired)
	}

	if err != nil {
		return nil, err
	}

	chunk, err := audience.DecodeChunk(data)
	if err != nil {
		return nil, fmt.Errorf("decode recipients of run %s: %w", run.ID, err)
	}

	return chunk, nil
}

// Collect adds to seen the recipients of runs for whose state in is true.
func (r *Runs) Collect(ctx context.Context, runs []*ledger.Record, seen *audience.Seen, in func(campaign.State) bool) error {
	for _, rec := range runs {
		handle := rec.Handle()
		if handle == nil {
			continue // it has no recipients
		}

		err := r.Each(ctx, handle, func(_, _ int, cell ledger.Cell, row audience.Row) error {
			if in(cell.State) {
				seen.Add(row.Address.Hash())
			}
			return nil
		})
		if err != nil {
			return err
		}
	}

	return nil
}

// Rejects returns the rows of a run's audience that could not be mailed.
func (r *Runs) Rejects(ctx context.Context, id string) ([]audience.Reject, error) {
	run, err := r.handle(ctx, id)
	if err != nil {
		return nil, err
	}

	blocks, err := r.Ledger.RejectBlocks(ctx, run)
	if err != nil {
		return nil, err
	}

	all := []audience.Reject{}
	for _, block := range blocks {
		var rejects []audience.Reject
		if err := json.Unmarshal([]byte(block), &rejects); err != nil {
			return nil, fmt.Errorf("decode rejects of run %s: %w", id, err)
		}
		all = append(all, rejects...)
	}

	return all, nil
}
