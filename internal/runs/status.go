package runs

import (
	"cmp"
	"context"
	"slices"
	"time"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/internal/report"
	"broadside/templates"
)

// maxReplies bounds how many different replies a report shows. They are counted by
// code and state, so there are rarely more.
const maxReplies = 20

// A Status is a run at one moment.
type Status struct {
	*ledger.Record
	*ledger.Tally

	// Only Wait, Watch and Finish fill these.
	Waiting  []report.Wait    // what keeps it from going on
	Tracking *report.Tracking // opens and clicks; nil: they are not counted
}

// Status reads the state of a run.
func (r *Runs) Status(ctx context.Context, id string) (Status, error) {
	rec, err := r.Ledger.Record(ctx, id)
	if err != nil {
		return Status{}, err
	}
	tally, err := r.Ledger.Counts(ctx, id)
	if err != nil {
		return Status{}, err
	}
	return Status{Record: rec, Tally: tally}, nil
}

// Summary reads a run as lists and progress show it: without the replies.
func (r *Runs) Summary(ctx context.Context, id string) (report.Run, error) {
	s, err := r.Status(ctx, id)
	if err != nil {
		return report.Run{}, err
	}
	return r.summary(ctx, s)
}

func (r *Runs) summary(ctx context.Context, s Status) (report.Run, error) {
	run := s.report(time.Now())
	var err error
	run.Waiting, err = r.waits(ctx, s)
	return run, err
}

// Report reads everything that is known of a run as a whole.
func (r *Runs) Report(ctx context.Context, id string) (report.Run, error) {
	s, err := r.Status(ctx, id)
	if err != nil {
		return report.Run{}, err
	}

	run, err := r.summary(ctx, s)
	if err != nil {
		return report.Run{}, err
	}

	handle := s.Handle()
	if handle == nil {
		return run, nil
	}

	linked, err := r.Linked(ctx, s.Record)
	if err != nil {
		return report.Run{}, err
	}

	for _, l := range linked {
		if l.Parent == id {
			run.Linked = append(run.Linked, l.ID)
		}
	}

	if run.Replies, err = r.replies(ctx, handle); err != nil {
		return report.Run{}, err
	}
	if run.Returns, run.ReturnTexts, err = r.returns(ctx, handle); err != nil {
		return report.Run{}, err
	}
	run.Tracking, err = r.tracking(ctx, handle)
	return run, err
}

// returns reads what came back, by day and provider, and what was said about it.
func (r *Runs) returns(ctx context.Context, run *ledger.Run) ([]report.Return, []report.ReturnText, error) {
	counts, said, err := r.Ledger.Afters(ctx, run)
	if err != nil {
		return nil, nil, err
	}

	var returns []report.Return
	for _, c := range counts {
		if c.Part < 0 || c.Part >= len(campaign.Providers) {
			continue
		}
		b := report.Return{Day: c.Day, Provider: campaign.Providers[c.Part], Kind: c.Kind, Count: c.Count}
		if n := len(returns) - 1; n >= 0 && returns[n].Day == b.Day && returns[n].Provider == b.Provider && returns[n].Kind == b.Kind {
			returns[n].Count += b.Count // of another account
			continue
		}
		returns = append(returns, b)
	}

	var texts []report.ReturnText
	for _, t := range said[:min(len(said), maxReplies)] {
		texts = append(texts, report.ReturnText{Kind: t.Kind, Text: t.Text, Count: t.Count})
	}
	return returns, texts, nil
}

// report puts a status into the words of reports.
func (s Status) report(now time.Time) report.Run {
	run := report.Run{
		Run: s.ID, Campaign: s.Campaign, State: s.State, Reason: s.Reason,
		Subject: templates.Subject(s.Subject), From: s.From, Topic: s.Topic, Audience: s.Audience, Accounts: s.Accounts, Parent: s.Parent,
		Counts: campaign.Counts{}, Skipped: s.Skipped,
		CreatedAt: s.Created, FinishedAt: s.Finished, ReadAt: now,
	}
	if s.Handle() == nil {
		return run // it never became ready: it has no recipients
	}

	run.Total = s.Total()
	run.Counts = s.Counts
	run.Canary = s.CanaryNow()
	run.Waves = s.Waves()
	run.FirstAcceptedAt = s.FirstAccepted
	run.LastAcceptedAt = s.LastAccepted
	run.After = report.After{
		Delivered: s.After[campaign.EventDelivered], Bounced: s.After[campaign.EventBounced], Blocked: s.After[campaign.EventBlocked],
		Complained: s.After[campaign.EventComplained], Unsubscribed: s.After[campaign.EventUnsubscribed],
	}

	for _, p := range s.Sizes {
		if p.Part < 0 || p.Part >= len(campaign.Providers) || p.Size == 0 {
			continue
		}
		run.Parts = append(run.Parts, report.Part{Provider: campaign.Providers[p.Part], Total: int64(p.Size), Counts: s.Parts[p.Part]})
	}

	slices.SortStableFunc(run.Parts, func(a, b report.Part) int { return cmp.Compare(b.Total, a.Total) })
	return run
}

// CanaryNow returns the canary that the rest of the run waits for; nil when all of
// it may go.
func (s Status) CanaryNow() *report.Canary {
	if s.State.Over() || !s.Record.Canary() {
		return nil
	}
	return &report.Canary{Recipients: s.Guard.Canary, GoesOnAt: s.CanaryEnds()}
}

// replies counts the last replies about recipients who do not have the message.
func (r *Runs) replies(ctx context.Context, run *ledger.Run) ([]report.ReplyCount, error) {
	last, err := r.Ledger.Replies(ctx, run)
	if err != nil {
		return nil, err
	}

	type kind struct {
		code     int
		enhanced string
		state    campaign.State
	}
	counts := map[kind]*report.ReplyCount{}
	pages := map[[2]int][]ledger.Cell{}
	for at, reply := range last {
		page := [2]int{at[0], at[1] / ledger.PageCells}
		cells, known := pages[page]
		if !known {
			if cells, err = r.Ledger.Page(ctx, run, page[0], page[1]); err != nil {
				return nil, err
			}
			pages[page] = cells
		}

		i := at[1] % ledger.PageCells
		if i >= len(cells) || cells[i].State == campaign.Accepted {
			continue
		}

		k := kind{reply.Code, reply.Enhanced, ShownState(cells[i].State)}
		text := ReplyText(reply)
		if counts[k] == nil {
			counts[k] = &report.ReplyCount{Code: k.code, Enhanced: k.enhanced, Text: text, State: k.state}
		}
		counts[k].Count++
		counts[k].Text = min(counts[k].Text, text) // the same one each time
	}

	var out []report.ReplyCount
	for _, c := range counts {
		out = append(out, *c)
	}

	slices.SortFunc(out, func(a, b report.ReplyCount) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Enhanced, b.Enhanced), cmp.Compare(a.State, b.State))
	})
	return out[:min(len(out), maxReplies)], nil
}

// ShownState returns a state as people see it. They need not know that a recipient is
// in the queue of a worker.
func ShownState(s campaign.State) campaign.State {
	if s == campaign.Issued {
		return campaign.Pending
	}
	return s
}
