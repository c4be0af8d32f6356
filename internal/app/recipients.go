package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs"
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
			at := last.At
			r.Code, r.Enhanced, r.Reply, r.At, r.Account = last.Code, last.Enhanced, replyText(last), &at, last.Account
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
		return strings.TrimSpace(campaign.CodeAttempts.Reason("no attempt left: %s", l.Text))
	case "expired":
		return strings.TrimSpace(campaign.CodeExpired.Reason("out of time: %s", l.Text))
	case "stuck":
		return campaign.CodeStuck.Reason("no worker was heard of after seven tries")
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

// eachCell walks over all recipients of a run.
func (a *App) eachCell(ctx context.Context, run *ledger.Run, do func(part, index int, c ledger.Cell, row audience.Row) error) error {
	for _, p := range run.Sizes {
		var cells []ledger.Cell
		for first := 0; first < p.Size; first += audience.ChunkSize {
			data, err := a.Ledger.Chunk(ctx, run, p.Part, first)
			if ledger.Gone(err) {
				return invalid(fmt.Sprintf("the addresses of run %s have expired (retention.addresses is %s)", run.ID, a.Config.Retention.Addresses))
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

// excluded returns who is left out: the people of lists and files, and who got
// the message of another run, may have got it, or is getting it.
func (a *App) excluded(ctx context.Context, def *campaign.Definition, more []string, open opener) (func([32]byte) bool, error) {
	var seen audience.Seen
	any := false
	add := func(key, source, dir string) error {
		any = true
		if name, ok := audience.ListName(source); ok {
			return a.Lists.Each(ctx, name, func(r *audience.Row) error { seen.Add(r.Address.Hash()); return nil })
		}
		if run, ok := strings.CutPrefix(source, "run:"); ok {
			return a.excludeRun(ctx, run, &seen)
		}
		if key != "" && open != nil {
			return excludeRows(&seen, func() (*audience.Reader, error) {
				return openStored(ctx, open, key, source, audience.Options{File: source})
			})
		}
		if !filepath.IsAbs(source) {
			source = filepath.Join(dir, source)
		}
		return excludeRows(&seen, func() (*audience.Reader, error) {
			return audience.Open(ctx, audience.Source{Path: source}, audience.Options{})
		})
	}
	for i, source := range def.Exclude {
		key := excludeKey(i)
		if err := add(key, source, def.Dir); err != nil {
			return nil, errors.Join(configs.Problems{def.Problem(key, "%v", err)}, err)
		}
	}
	for _, source := range more {
		if err := add("", source, "."); err != nil {
			return nil, fmt.Errorf("--exclude %s: %w", source, err)
		}
	}
	if !any {
		return nil, nil
	}
	return seen.Has, nil
}

// excludeRun takes a run id, or a campaign id for its latest run. The runs that
// are linked to a run belong to it: who got the message by one of them has it.
func (a *App) excludeRun(ctx context.Context, name string, seen *audience.Seen) error {
	rec, err := a.latest(ctx, name)
	if err != nil {
		return err
	}
	if rec == nil {
		id, err := a.Ledger.Find(ctx, name)
		if err != nil {
			return err
		}
		if rec, err = a.Ledger.Record(ctx, id); err != nil {
			return err
		}
	}
	if _, err := a.handle(ctx, rec.ID); err != nil {
		return err
	}
	linked, err := a.linked(ctx, rec)
	if err != nil {
		return err
	}
	return a.collect(ctx, append(linked, rec), seen, func(s campaign.State) bool {
		return s == campaign.Accepted || s == campaign.Uncertain || s == campaign.Sending
	})
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

func excludeRows(seen *audience.Seen, open func() (*audience.Reader, error)) error {
	r, err := open()
	if err != nil {
		return err
	}
	defer r.Close()
	var row audience.Row
	for {
		err := r.Next(&row)
		var reject *audience.Reject
		switch {
		case err == io.EOF:
			return nil
		case errors.As(err, &reject):
		case err != nil:
			return err
		default:
			seen.Add(row.Address.Hash())
		}
	}
}
