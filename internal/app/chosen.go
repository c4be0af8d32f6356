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
)

// A chosen is the audience of a retry: the recipients of a run that are sent to
// once more. It belongs to one goroutine at a time.
type chosen struct {
	a       *App
	of      *ledger.Record
	retry   Retry
	columns int   // merge fields of each row
	placed  bool  // rows have their first place already: it is a retry itself
	hold    *hold // the right to make runs that are linked to it; nil: only planned

	replies map[[2]int]ledger.LastReply // for Retry.Reason
	next    func() (audience.Row, error, bool)
	stop    func()
	inState int64 // recipients so far who are in the state
	n       int64 // of them those who are chosen
}

// begin starts at the first recipient.
func (c *chosen) begin(ctx context.Context) error {
	if c.retry.Reason != "" && c.replies == nil {
		var err error
		if c.replies, err = c.a.Ledger.Replies(ctx, c.of.Handle()); err != nil {
			return err
		}
	}
	if c.stop != nil {
		c.stop()
	}
	c.next, c.stop = iter.Pull2(c.rows(ctx))
	c.inState, c.n = 0, 0
	return nil
}

// Next fills row; io.EOF after the last one.
func (c *chosen) Next(row *audience.Row) error {
	r, err, ok := c.next()
	switch {
	case !ok:
		return io.EOF
	case err != nil:
		return err
	}
	*row = r
	return nil
}

// Close ends the reading.
func (c *chosen) Close() error {
	c.stop()
	return nil
}

var errStopped = errors.New("nobody reads on")

func (c *chosen) rows(ctx context.Context) iter.Seq2[audience.Row, error] {
	return func(yield func(audience.Row, error) bool) {
		err := c.a.eachCell(ctx, c.of.Handle(), func(part, index int, cell ledger.Cell, row audience.Row) error {
			if cell.State != c.retry.State {
				return nil
			}
			c.inState++
			if !c.says(part, index) {
				return nil
			}
			c.n++
			row, err := c.row(part, index, row)
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
func (c *chosen) row(part, index int, row audience.Row) (audience.Row, error) {
	origin := audience.Origin{Part: part, Index: index}
	if c.retry.State == campaign.Uncertain && c.placed {
		var err error
		if origin, err = row.Origin(c.columns); err != nil {
			return row, fmt.Errorf("recipient %d/%d of run %s: %w", part, index, c.of.ID, err)
		}
	}
	row.Meta = nil
	if c.retry.State == campaign.Uncertain {
		row.Meta = &audience.Meta{Origin: &origin}
	}
	row.Values = row.Values[:min(c.columns, len(row.Values))]
	return row, nil
}

// says reports whether the last reply is one of those that are asked for.
func (c *chosen) says(part, index int) bool {
	if c.retry.Reason == "" {
		return true
	}
	last, ok := c.replies[[2]int{part, index}]
	return ok && reasonMatches(last, c.retry.Reason)
}

// reasonMatches reports whether want is the word for why nothing more was tried
// (attempts, expired, stuck), or a part of "code enhanced text" as `run
// recipients` shows them; capital letters are like small ones.
func reasonMatches(l ledger.LastReply, want string) bool {
	code := ""
	if l.Code != 0 {
		code = strconv.Itoa(l.Code)
	}
	shown := strings.Join(strings.Fields(code+" "+l.Enhanced+" "+replyText(l)), " ")
	want = strings.ToLower(strings.Join(strings.Fields(want), " "))
	return l.Reason == want || strings.Contains(strings.ToLower(shown), want)
}

// stale looks whether a reply that came late has said of somebody what became
// of the message, after all; then it begins anew. Nobody becomes uncertain in a
// run that is over, so that their number tells. It also makes sure that nobody
// else is making a run of the same people.
func (c *chosen) stale(ctx context.Context) (bool, error) {
	switch held, err := c.hold.held(ctx); {
	case err != nil:
		return false, err
	case !held:
		return false, refused(fmt.Sprintf("run %s is being retried by another process, since nothing was heard of this one for %s; nothing was sent", c.of.ID, expandLease))
	case c.retry.State != campaign.Uncertain:
		return false, nil
	}
	tally, err := c.a.Ledger.Counts(ctx, c.of.ID)
	if err != nil || tally.Counts[campaign.Uncertain] == c.inState {
		return false, err
	}
	return true, c.begin(ctx)
}
