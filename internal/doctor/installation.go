package doctor

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/account"
	"broadside/internal/report"
	"broadside/internal/runs"
	"broadside/internal/store"
	"broadside/scheduler"
	"broadside/throttle"
)

// dueSoon is how long before its time a campaign needs processes to be alive.
const dueSoon = 24 * time.Hour

// Redis returns what the store was found to be when it was opened, and how it fares
// now.
func (d *Doctor) Redis(ctx context.Context) []Finding {
	found := of(subjectRedis, d.Store.Findings())
	l := look{namespace: d.Config.Namespace, maxConnections: d.Config.Redis.MaxConnections}
	var err error
	l.runs, l.replicated, err = d.underWay(ctx)
	if err != nil {
		return append(found, Unanswered(err)...)
	}
	return append(found, inspect(ctx, d.Store, l)...)
}

// LogAtStart logs what Redis lacks, once, when a process starts. It keeps no process
// from starting: opening the store does.
func (d *Doctor) LogAtStart(ctx context.Context) {
	found := AtStart(d.Redis(ctx))
	if ctx.Err() != nil {
		return
	}
	for _, f := range found {
		if f.Level != store.Good {
			d.Log.Warn(f.Subject+": "+f.Text, "code", f.Code, "why", f.Why, "fix", f.Fix)
		}
	}
}

// Installation looks at Redis and at what is in it: closed accounts and lanes,
// missing processes, mailboxes that are not read, times that schedules have missed, entries that cannot be read, and campaigns that will do harm.
func (d *Doctor) Installation(ctx context.Context) []Finding {
	found := d.Redis(ctx)
	found = append(found, d.closings(ctx)...)
	found = append(found, d.processes(ctx)...)
	found = append(found, d.mailboxes(ctx)...)
	found = append(found, d.webhooks(ctx)...)
	found = append(found, d.missed(ctx)...)
	return append(found, d.campaigns(ctx)...)
}

// underWay returns how many runs there are to be sent, and which runs and campaigns
// wait for a replica.
func (d *Doctor) underWay(ctx context.Context) (runs int, replicated []string, err error) {
	ids, err := d.Ledger.Active(ctx)
	if err != nil {
		return 0, nil, err
	}

	for _, id := range ids {
		rec, err := d.Ledger.Record(ctx, id)
		if err == nil && rec.Replicated {
			replicated = append(replicated, id)
		}
	}

	schedules, err := d.Schedules.List(ctx)
	if err != nil {
		return 0, nil, err
	}

	for _, e := range schedules {
		def, err := campaign.Parse(e.File, "", e.Source)
		if err == nil && def.Delivery.Durability == campaign.Replicated && !e.Next.IsZero() {
			replicated = append(replicated, e.ID)
		}
	}

	return len(ids), replicated, nil
}

// closings names accounts and lanes that workers have closed.
func (d *Doctor) closings(ctx context.Context) []Finding {
	names := account.Names(d.Config)
	closed, err := d.Accounts.States(ctx, names...)
	if err != nil {
		return Unanswered(err)
	}

	lanes, err := d.Lanes.Read(ctx, names...)
	if err != nil {
		return Unanswered(err)
	}

	var out []Finding
	now := time.Now()
	for _, name := range names {
		if c, found := closed[name]; found && c.Code != string(codes.BrokenState) { // it is listed with all that cannot be read
			out = append(out, closing(name, "closed by a worker", runs.AccountWait(name, c), "it opens by itself; see `broadside account check "+name+"`"))
		}
		for _, lane := range slices.Sorted(maps.Keys(lanes[name])) {
			l := lanes[name][lane]
			if state := l.State(now); state != throttle.LaneOpen {
				out = append(out, closing(name, string(state), runs.LaneWait(now, name, lane, l), "see `broadside lane ls`"))
			}
		}
	}

	return out
}

// closing is the finding about an account or a lane that takes less, or nothing.
func closing(name, state string, w report.Wait, step string) Finding {
	until := ""
	if !w.Until.IsZero() {
		until = " until " + w.Until.UTC().Format(time.RFC3339)
	}
	text := fmt.Sprintf("%s %s is %s%s: %s", w.For, w.What, state, until, strings.TrimRight(w.Reason, ". "))
	return bad("account "+name, w.Code, store.Warning, text, "what is to be sent by it waits", step)
}

// unreadableLimits returns the entries about accounts and lanes that cannot be read.
func (d *Doctor) unreadableLimits(ctx context.Context) (damaged []error, err error) {
	names := account.Names(d.Config)
	closed, err := d.Accounts.States(ctx, names...)
	if err != nil {
		return nil, err
	}

	lanes, err := d.Lanes.Read(ctx, names...)
	if err != nil {
		return nil, err
	}

	for _, name := range names {
		if c := closed[name]; c.Code == string(codes.BrokenState) {
			damaged = append(damaged, errors.New(c.Reason))
		}
		for _, lane := range slices.Sorted(maps.Keys(lanes[name])) {
			if l := lanes[name][lane]; l.Code == string(codes.BrokenState) {
				damaged = append(damaged, errors.New(l.Reason))
			}
		}
	}
	return damaged, nil
}

// campaigns names scheduled campaigns that are valid and yet do harm.
func (d *Doctor) campaigns(ctx context.Context) []Finding {
	schedules, err := d.Schedules.List(ctx)
	if err != nil {
		return Unanswered(err)
	}

	var out []Finding
	for _, e := range schedules {
		def, err := campaign.Parse(e.File, "", e.Source)
		if err != nil || e.Next.IsZero() {
			continue
		}
		for _, warning := range def.Warnings() {
			out = append(out, bad("campaign "+e.ID, codes.Campaign, store.Warning, warning.Error(),
				"it is sent as it is", "correct the file and schedule it again"))
		}
	}

	return out
}

// processes says where something is due and no process is alive to do it, and what
// in Redis cannot be read. The embedded store has no other processes.
func (d *Doctor) processes(ctx context.Context) []Finding {
	if d.Store.Embedded() {
		return nil
	}

	n, damaged, err := d.needed(ctx)
	if err != nil {
		return Unanswered(err)
	}

	others, err := d.damaged(ctx)
	found := append(processes(n), broken(append(damaged, others...))...)
	if err != nil {
		found = append(found, Unanswered(err)...)
	}

	return found
}

// needed returns what is to be done and which processes are alive, and the schedules
// that cannot be read.
func (d *Doctor) needed(ctx context.Context) (n needed, damaged []error, err error) {
	if d.Config.ReadersElsewhere() {
		n.readers = d.Config.PublicURL
	}
	if n.alive, err = d.Processes.List(ctx); err != nil {
		return n, nil, err
	}
	if n.running, err = d.running(ctx); err != nil {
		return n, nil, err
	}

	schedules, err := d.Schedules.List(ctx)
	if err != nil {
		return n, nil, err
	}

	now, err := d.Schedules.Now(ctx)
	if err != nil {
		return n, nil, err
	}

	for _, e := range schedules {
		if e.Broken != nil {
			damaged = append(damaged, e.Broken)
		} else if isDue(e, now) {
			n.due = append(n.due, e.ID+" at "+e.Next.UTC().Format(time.RFC3339))
		}
	}

	return n, damaged, nil
}

func isDue(e *scheduler.Entry, now time.Time) bool {
	return !e.Done() && e.Next.Sub(now) < dueSoon
}

// running returns the runs that workers are needed for. Those that cannot be read
// are among what damaged returns.
func (d *Doctor) running(ctx context.Context) ([]string, error) {
	ids, err := d.Ledger.Active(ctx)
	if err != nil {
		return nil, err
	}

	var running []string
	for _, id := range ids {
		rec, err := d.Ledger.Record(ctx, id)
		switch {
		case campaign.IsBroken(err) || ledger.Gone(err):
		case err != nil:
			return nil, err
		case rec.State == campaign.Running:
			running = append(running, id)
		}
	}

	return running, nil
}

// damaged returns the runs, lists and closings of accounts that cannot be read.
func (d *Doctor) damaged(ctx context.Context) ([]error, error) {
	var damaged []error
	ids, err := d.Ledger.List(ctx, "")
	if err != nil {
		return nil, err
	}

	for _, id := range ids {
		if _, err := d.Runs.Status(ctx, id); campaign.IsBroken(err) {
			damaged = append(damaged, err)
		}
	}

	lists, err := d.Lists.Ls(ctx)
	if err != nil {
		return nil, err
	}

	for _, l := range lists {
		if l.Broken != "" {
			damaged = append(damaged, errors.New(l.Broken))
		}
	}

	unreadable, err := d.unreadableLimits(ctx)
	return append(damaged, unreadable...), err
}
