package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/internal/runs"
	"broadside/scheduler"
)

// retryRows are the recipients of a run that are retried, as an audience. They belong
// to one goroutine at a time.
type retryRows struct {
	a       *App
	of      *ledger.Record
	retry   Retry
	columns int  // merge fields of each row
	resent  bool // the run is a resend itself: its rows have an Origin

	replies  map[[2]int]ledger.LastReply // for Retry.Reason
	next     func() (audience.Row, error, bool)
	stop     func()
	inState  int64 // recipients in the state, so far
	matching int64 // of them those that are retried
}

// begin starts at the first recipient.
func (r *retryRows) begin(ctx context.Context) error {
	if r.retry.Reason != "" && r.replies == nil {
		var err error
		if r.replies, err = r.a.Ledger.Replies(ctx, r.of.Handle()); err != nil {
			return err
		}
	}
	if r.stop != nil {
		r.stop()
	}
	r.next, r.stop = iter.Pull2(r.rows(ctx))
	r.inState = 0
	r.matching = 0
	return nil
}

// Next fills row; io.EOF after the last one.
func (r *retryRows) Next(row *audience.Row) error {
	next, err, ok := r.next()
	switch {
	case !ok:
		return io.EOF
	case err != nil:
		return err
	}
	*row = next
	return nil
}

// Close ends the reading.
func (r *retryRows) Close() error {
	r.stop()
	return nil
}

var errStopped = errors.New("the reader has stopped")

func (r *retryRows) rows(ctx context.Context) iter.Seq2[audience.Row, error] {
	return func(yield func(audience.Row, error) bool) {
		err := r.a.Runs.Each(ctx, r.of.Handle(), func(part, index int, cell ledger.Cell, row audience.Row) error {
			if cell.State != r.retry.State {
				return nil
			}
			r.inState++
			if !r.hasReason(part, index) {
				return nil
			}
			r.matching++
			row, err := r.row(part, index, row)
			if err != nil {
				return err
			}
			if !yield(row, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(audience.Row{}, err)
		}
	}
}

// row returns what is stored of a recipient. The same message once more
// has the place that it had in the run that sent it first.
func (r *retryRows) row(part, index int, row audience.Row) (audience.Row, error) {
	origin := audience.Origin{Part: part, Index: index}
	if r.retry.State == campaign.Uncertain && r.resent {
		var err error
		if origin, err = row.Origin(r.columns); err != nil {
			return row, fmt.Errorf("recipient %d/%d of run %s: %w", part, index, r.of.ID, err)
		}
	}
	row.Meta = nil
	if r.retry.State == campaign.Uncertain {
		row.Meta = &audience.Meta{Origin: &origin}
	}
	row.Values = row.Values[:min(r.columns, len(row.Values))]
	return row, nil
}

// hasReason reports whether the last reply is one of those that are asked for.
func (r *retryRows) hasReason(part, index int) bool {
	if r.retry.Reason == "" {
		return true
	}
	last, ok := r.replies[[2]int{part, index}]
	return ok && reasonMatches(last, r.retry.Reason)
}

// reasonMatches reports whether want is the word for why nothing more was tried
// (attempts, expired, stuck), or a part of "code enhanced text" as `run
// recipients` shows them; capital letters are like small ones.
func reasonMatches(l ledger.LastReply, want string) bool {
	code := ""
	if l.Code != 0 {
		code = strconv.Itoa(l.Code)
	}
	shown := strings.Join(strings.Fields(code+" "+l.Enhanced+" "+runs.ReplyText(l)), " ")
	want = strings.ToLower(strings.Join(strings.Fields(want), " "))
	return l.Reason == want || strings.Contains(strings.ToLower(shown), want)
}

// changed reports whether a late reply has settled what became of a recipient after
// all; then the rows begin again. No recipient becomes uncertain in a run that is over,
// so that their number shows it. The error is an ErrRefused when this process has lost
// the lease: another one is making a run of the same recipients.
func (r *retryRows) changed(ctx context.Context, lease *scheduler.Lease) (bool, error) {
	held, err := lease.Held(ctx)
	switch {
	case err != nil:
		return false, err
	case !held:
		return false, refused(fmt.Sprintf("run %s is being retried by another process, since this one gave no sign of life for %s; nothing was sent", r.of.ID, ledger.ExpansionLease))
	case r.retry.State != campaign.Uncertain:
		return false, nil
	}
	tally, err := r.a.Ledger.Counts(ctx, r.of.ID)
	if err != nil || tally.Counts[campaign.Uncertain] == r.inState {
		return false, err
	}
	return true, r.begin(ctx)
}
