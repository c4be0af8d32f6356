package app

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
	"broadside/scheduler"
)

// A Recipient is one recipient of a run, as `run recipients` shows it.
type Recipient struct {
	Address  string     `json:"address"`
	State    string     `json:"state"`
	Attempts int        `json:"attempts"`
	Code     int        `json:"code"`
	Enhanced string     `json:"enhanced"`
	Reply    string     `json:"reply"`
	At       *time.Time `json:"at"` // of the reply; nil: none that is kept
	Account  string     `json:"account"`
}

// Recipients calls do for each recipient of a run, of one state when state is
// not empty. A run whose addresses have expired is invalid input.
func (a *App) Recipients(ctx context.Context, id, state string, do func(Recipient) error) error {
	run, err := a.handle(ctx, id)
	if err != nil {
		return err
	}
	replies, err := a.lastReplies(ctx, run, state)
	if err != nil {
		return err
	}
	return a.eachCell(ctx, run, func(part, index int, c ledger.Cell, row audience.Row) error {
		s := c.State
		if s == campaign.Issued {
			s = campaign.Pending
		}
		if state != "" && s.String() != state {
			return nil
		}
		r := Recipient{Address: row.Address.String(), State: s.String(), Attempts: c.Attempts}
		if last, ok := replies.of(s, part, index); ok {
			r.Code = last.Code
			r.Enhanced = last.Enhanced
			r.Reply = replyText(last)
			r.At = &last.At
			r.Account = last.Account
		}
		return do(r)
	})
}

// lastReplies are the last replies of a run's recipients.
type lastReplies struct {
	accepted *ledger.Receipts
	others   map[[2]int]ledger.LastReply
}

// lastReplies reads the last replies of a run; of those in one state when state
// is not empty.
func (a *App) lastReplies(ctx context.Context, run *ledger.Run, state string) (r lastReplies, err error) {
	if state != campaign.Accepted.String() {
		if r.others, err = a.Ledger.Replies(ctx, run); err != nil {
			return r, err
		}
	}
	if state == "" || state == campaign.Accepted.String() {
		r.accepted, err = a.Ledger.Receipts(ctx, run)
	}
	return r, err
}

// of returns the last reply of a recipient; false when none is kept.
func (r *lastReplies) of(s campaign.State, part, index int) (last ledger.LastReply, ok bool) {
	if s == campaign.Accepted {
		return r.accepted.Of(part, index)
	}
	last, ok = r.others[[2]int{part, index}]
	return last, ok
}

// replyText is the reply, and why it was the last one.
func replyText(l ledger.LastReply) string {
	switch l.Reason {
	case "attempts":
		return strings.TrimSpace(codes.Attempts.Reason("no attempt left: %s", l.Text))
	case "expired":
		return strings.TrimSpace(codes.Expired.Reason("out of time: %s", l.Text))
	case "stuck":
		return codes.Stuck.Reason("no worker was heard of after seven tries")
	}
	return l.Text
}

func (a *App) handle(ctx context.Context, id string) (*ledger.Run, error) {
	rec, err := a.Ledger.Record(ctx, id)
	if err != nil {
		return nil, err
	}
	if h := rec.Handle(); h != nil {
		return h, nil
	}
	return nil, invalid(fmt.Sprintf("run %s is %s: it has no recipients", id, rec.State))
}

// errExpired: the addresses of a run are not kept any more.
var errExpired = errors.New("addresses have expired")

// eachCell walks over all recipients of a run.
func (a *App) eachCell(ctx context.Context, run *ledger.Run, do func(part, index int, c ledger.Cell, row audience.Row) error) error {
	for _, p := range run.Sizes {
		var cells []ledger.Cell
		for first := 0; first < p.Size; first += audience.ChunkSize {
			data, err := a.Ledger.Chunk(ctx, run, p.Part, first)
			if ledger.Gone(err) {
				return &kindError{ErrInvalid, fmt.Sprintf("the addresses of run %s have expired (retention.addresses is %s)", run.ID, a.Config.Retention.Addresses), errExpired}
			}
			if err != nil {
				return err
			}
			chunk, err := audience.DecodeChunk(data)
			if err != nil {
				return fmt.Errorf("decode recipients of run %s: %w", run.ID, err)
			}
			for i := range chunk.Len() {
				at := (first + i) % ledger.PageCells
				if at == 0 {
					if cells, err = a.Ledger.Page(ctx, run, p.Part, (first+i)/ledger.PageCells); err != nil {
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
	}
	return nil
}

// Rejects returns the rows of a run's audience that were refused.
func (a *App) Rejects(ctx context.Context, id string) ([]scheduler.RejectedRow, error) {
	run, err := a.handle(ctx, id)
	if err != nil {
		return nil, err
	}
	blocks, err := a.Ledger.RejectBlocks(ctx, run)
	if err != nil {
		return nil, err
	}
	out := []scheduler.RejectedRow{}
	for _, b := range blocks {
		var rows []scheduler.RejectedRow
		if err := json.Unmarshal([]byte(b), &rows); err != nil {
			return nil, fmt.Errorf("decode rejects of run %s: %w", id, err)
		}
		out = append(out, rows...)
	}
	return out, nil
}

// latest returns the latest run of a campaign that is linked to none; nil when
// there is none.
func (a *App) latest(ctx context.Context, name string) (*ledger.Record, error) {
	ids, err := a.Ledger.List(ctx, name)
	if name == "" || err != nil {
		return nil, err
	}
	for _, id := range ids {
		rec, err := a.Ledger.Record(ctx, id)
		if ledger.Gone(err) || err == nil && rec.Parent != "" {
			continue
		}
		return rec, err
	}
	return nil, nil
}

// collect adds the recipients of runs who are in one of the states.
func (a *App) collect(ctx context.Context, runs []*ledger.Record, seen *audience.Seen, in func(campaign.State) bool) error {
	for _, rec := range runs {
		h := rec.Handle()
		if h == nil {
			continue // it sent to nobody
		}
		err := a.eachCell(ctx, h, func(_, _ int, c ledger.Cell, row audience.Row) error {
			if in(c.State) {
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
