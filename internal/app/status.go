package app

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

// maxReplies bounds how many different replies a report shows; they are
// counted by code and state, so that more are rare.
const maxReplies = 20

// Summary reads a run as lists and progress show it: without the replies.
func (a *App) Summary(ctx context.Context, id string) (report.Run, error) {
	s, err := a.Status(ctx, id)
	if err != nil {
		return report.Run{}, err
	}
	r := s.report(time.Now())
	r.Waiting, err = a.waiting(ctx, s)
	return r, err
}

// Report reads everything that is known of a run as a whole. ErrNoRun of the
// ledger when there is none.
func (a *App) Report(ctx context.Context, id string) (report.Run, error) {
	s, err := a.Status(ctx, id)
	if err != nil {
		return report.Run{}, err
	}
	r := s.report(time.Now())
	if r.Waiting, err = a.waiting(ctx, s); err != nil {
		return report.Run{}, err
	}
	h := s.Handle()
	if h == nil {
		return r, nil
	}
	linked, err := a.linked(ctx, s.Record)
	if err != nil {
		return report.Run{}, err
	}
	for _, l := range linked {
		if l.Parent == id {
			r.Linked = append(r.Linked, l.ID)
		}
	}
	r.Replies, err = a.replies(ctx, h)
	return r, err
}

// Runs returns all runs that are still known, the newest first. One whose state
// in Redis cannot be read is there as broken, with the reason.
func (a *App) Runs(ctx context.Context) ([]report.Run, error) {
	ids, err := a.Ledger.List(ctx, "")
	if err != nil {
		return nil, err
	}
	runs := []report.Run{}
	for _, id := range ids {
		r, err := a.Summary(ctx, id)
		if ledger.Gone(err) {
			continue // expired, or undone just now
		}
		if campaign.IsBroken(err) {
			r, err = brokenRun(id, err), nil
		}
		if err != nil {
			return nil, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

// brokenRun stands for a run that cannot be read in a list of runs.
func brokenRun(id string, err error) report.Run {
	return report.Run{Run: id, Campaign: campaign.OfRun(id), State: campaign.Broken, Reason: err.Error(), Counts: campaign.Counts{}, CreatedAt: campaign.TimeOfRun(id)}
}

// report puts a status into the words of reports.
func (s Status) report(now time.Time) report.Run {
	r := report.Run{
		Run: s.ID, Campaign: s.Campaign, State: s.State, Reason: s.Reason,
		Subject: templates.Subject(s.Subject), From: s.From, Topic: s.Topic, Audience: s.Audience, Accounts: s.Accounts, Parent: s.Parent,
		Counts: campaign.Counts{}, Skipped: s.Skipped,
		CreatedAt: s.Created, FinishedAt: s.Finished, ReadAt: now,
	}
	if s.Handle() == nil {
		return r // it never became ready: it has no recipients
	}
	r.Total, r.Counts, r.Canary = s.Total(), s.Counts, s.CanaryNow()
	r.FirstAcceptedAt, r.LastAcceptedAt = s.FirstAccepted, s.LastAccepted
	r.After = report.After{
		Delivered: s.After[campaign.EventDelivered], Bounced: s.After[campaign.EventBounced], Blocked: s.After[campaign.EventBlocked],
		Complained: s.After[campaign.EventComplained], Unsubscribed: s.After[campaign.EventUnsubscribed],
	}
	for _, p := range s.Sizes {
		if p.Part < 0 || p.Part >= len(campaign.Providers) || p.Size == 0 {
			continue
		}
		r.Parts = append(r.Parts, report.Part{Provider: campaign.Providers[p.Part], Total: int64(p.Size), Counts: s.Parts[p.Part]})
	}
	slices.SortStableFunc(r.Parts, func(a, b report.Part) int { return cmp.Compare(b.Total, a.Total) })
	return r
}

// CanaryNow returns what the run waits for; nil when all of it may go.
func (s Status) CanaryNow() *report.Canary {
	if s.State.Over() || !s.Record.Canary() {
		return nil
	}
	return &report.Canary{Recipients: s.Guard.Canary, GoesOnAt: s.CanaryEnds()}
}

// replies counts the last replies of those who have not got the message.
func (a *App) replies(ctx context.Context, run *ledger.Run) ([]report.ReplyCount, error) {
	last, err := a.Ledger.Replies(ctx, run)
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
			if cells, err = a.Ledger.Page(ctx, run, page[0], page[1]); err != nil {
				return nil, err
			}
			pages[page] = cells
		}
		i := at[1] % ledger.PageCells
		if i >= len(cells) || cells[i].State == campaign.Accepted {
			continue
		}
		k := kind{reply.Code, reply.Enhanced, cells[i].State}
		if k.state == campaign.Issued {
			k.state = campaign.Pending
		}
		text := replyText(reply)
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
