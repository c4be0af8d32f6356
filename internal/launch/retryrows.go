package launch

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
	"broadside/internal/failure"
	"broadside/internal/runs"
	"broadside/scheduler"
)

// retryRows are the recipients of a run that are retried, as an audience. One goroutine
// at a time may use them.
type retryRows struct {
	launcher *Launcher
	of       *ledger.Record
	retry    RetryOptions
	columns  int  // number of merge fields in each row
	resent   bool // the run is a resend itself: its rows have an Origin

	replies  map[[2]int]ledger.LastReply // by part and index; read when a Reason is given
	storm    map[[2]int]bool             // by part and index; read when the Reason is a storm
	next     func() (audience.Row, error, bool)
	stop     func()
	inState  int64 // recipients in the state that were read so far
	matching int64 // those of them that have the Reason
}

// begin starts reading at the first recipient, also when some were read before.
func (r *retryRows) begin(ctx context.Context) error {
	if err := r.readReasons(ctx); err != nil {
		return err
	}
	if r.stop != nil {
		r.stop()
	}

	r.next, r.stop = iter.Pull2(r.rows(ctx))
	r.inState = 0
	r.matching = 0
	return nil
}

// readReasons reads what a Reason is compared with, unless it was read before.
func (r *retryRows) readReasons(ctx context.Context) (err error) {
	switch {
	case r.retry.isStorm() && r.storm == nil:
		r.storm, err = r.launcher.Ledger.Storm(ctx, r.of.Handle())
	case r.retry.Reason != "" && !r.retry.isStorm() && r.replies == nil:
		r.replies, err = r.launcher.Ledger.Replies(ctx, r.of.Handle())
	}
	return err
}

// Next fills row with the next recipient. The error is io.EOF after the last one.
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

// Close stops reading.
func (r *retryRows) Close() error {
	r.stop()
	return nil
}

var errStopped = errors.New("the reader has stopped")

// rows yields the recipients that are retried, in the order of the run.
func (r *retryRows) rows(ctx context.Context) iter.Seq2[audience.Row, error] {
	return func(yield func(audience.Row, error) bool) {
		err := r.launcher.Runs.Each(ctx, r.of.Handle(), func(part, index int, cell ledger.Cell, row audience.Row) error {
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

// row turns the stored row of a recipient into one of the new run. A resend keeps the
// part and the index that the recipient had in the run that sent the message first.
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

// hasReason reports whether the last reply to a recipient has the Reason, if any.
func (r *retryRows) hasReason(part, index int) bool {
	if r.retry.Reason == "" {
		return true
	}
	if r.retry.isStorm() {
		return r.storm[[2]int{part, index}]
	}
	last, ok := r.replies[[2]int{part, index}]
	return ok && reasonMatches(last, r.retry.Reason)
}

// reasonMatches reports whether want is the word that says why nothing more was tried
// (attempts, expired, stuck), or a part of "code enhanced text" as `run recipients`
// shows them. Upper and lower case are the same.
func reasonMatches(l ledger.LastReply, want string) bool {
	code := ""
	if l.Code != 0 {
		code = strconv.Itoa(l.Code)
	}
	shown := strings.Join(strings.Fields(code+" "+l.Enhanced+" "+runs.ReplyText(l)), " ")
	want = strings.ToLower(strings.Join(strings.Fields(want), " "))
	return l.Reason == want || strings.Contains(strings.ToLower(shown), want)
}

// changed reports whether a late reply has settled an uncertain recipient since it was
// read. Then the rows begin again. The number of uncertain recipients shows it, because
// no recipient becomes uncertain in a run that is over. The error is failure.ErrRefused
// when this process has lost the lease: another one may be making a run of the same
// recipients.
func (r *retryRows) changed(ctx context.Context, lease *scheduler.Lease) (bool, error) {
	held, err := lease.Held(ctx)
	switch {
	case err != nil:
		return false, err
	case !held:
		return false, failure.Refused(fmt.Sprintf("run %s is being retried by another process, since this one gave no sign of life for %s; nothing was sent", r.of.ID, ledger.ExpansionLease))
	case r.retry.State != campaign.Uncertain:
		return false, nil
	}

	tally, err := r.launcher.Ledger.Counts(ctx, r.of.ID)
	if err != nil || tally.Counts[campaign.Uncertain] == r.inState {
		return false, err
	}

	return true, r.begin(ctx)
}
