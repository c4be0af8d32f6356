// Package launch turns what a person asks for into runs: a launch of a campaign, a
// retry or a resend of recipients of an earlier run, and a campaign that is stored
// with a schedule to be sent later.
//
// It checks everything before a run exists. An error therefore means that nothing was
// created, unless it is one of the ledger's that says otherwise (ledger.UnsureError,
// ledger.ErrReady). A campaign without cron becomes one run, and the same recipients of
// a run are retried once, unless the options say Again. Runs themselves are made by
// scheduler.Maker, which keeps these promises when several processes ask at once.
//
// The errors that a caller tells apart are of the kinds of internal/failure, or the
// input errors of campaign, audience and templates.
package launch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/campaign/window"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/forecast"
	"broadside/internal/letter"
	"broadside/internal/runs"
	"broadside/internal/store"
	"broadside/scheduler"
	"broadside/throttle"
)

// A Launcher makes runs, and can say in advance what a run would be. It is safe for
// concurrent use.
type Launcher struct {
	Config *configs.Config
	Store  *store.Store
	Ledger *ledger.Ledger
	Lists  *audience.Lists
	Runs   *runs.Runs
	Maker  *scheduler.Maker
	Stored *scheduler.Schedules // the campaigns that are scheduled, with their files
	Feeds  *feed.Sent           // the items of feeds that were sent
	// Used returns what is used of the quotas of an account that count now.
	Used func(ctx context.Context, account string) ([]throttle.Usage, error)
	// Held returns how many steps of an account's warm-up were not taken.
	Held func(ctx context.Context, account string) (int, error)
}

// Options say how a campaign is launched. With the zero value it is launched as its
// file says.
type Options struct {
	Audience string         // in place of the file's audience.source
	Stdin    io.Reader      // is read when the source is "-"
	Now      bool           // launch it although it has a schedule
	Again    bool           // launch it although it was launched before
	Key      string         // a repeated call with the same key returns the same run
	Rate     float64        // in place of delivery.rate; 0: as the file says
	Exclude  []string       // in addition to the file's
	Limit    int64          // send to this many recipients, the first ones; 0: to all
	Expect   campaign.Range // in place of audience.expect
	Canary   *int           // in place of guard.canary; 0: none, nil: as the file says

	// Confirm is called with the plan before the first message can leave. Its error
	// stops the launch, and nothing was created. nil: it is not called.
	Confirm func(Plan) error
	// Progress is called with the number of rows read, now and then. nil: it is not called.
	Progress func(rows int64)

	// Stored has the files that the campaign names; nil: they are on disk.
	Stored *scheduler.Schedule
	// Begins is the occurrence of a schedule that is planned; zero: it is sent now.
	Begins time.Time
	// Later is set for a campaign that is only checked, and sent at its time: of an audience
	// that is elsewhere no rows are read, and where its feed has nothing new, the items that
	// were sent stand for those that will be.
	Later bool
}

// A Plan is what a launch is about to do.
type Plan struct {
	scheduler.Plan
	Campaign string
	Subject  string
	From     string
	Topic    string
	NewTopic bool           // no run of this topic is known: with a misspelt topic, readers who unsubscribed would be mailed
	Accounts []string       // with host and port
	Loopback bool           // all accounts are on this machine
	Rate     float64        // the lowest ceiling; 0: none
	High     bool           // it goes before runs of normal priority
	Window   *window.Window // nil: it may send at any time
	Fit      Fit            // how the run fits into its window
	Spread   time.Duration  // over which the messages leave evenly; 0: none
	Forecast forecast.Forecast
	Zone     *time.Location // of times that are shown
	Source   string
	Columns  []string            // of an audience that is read when the campaign is due; nil: it was read
	Excluded []sources.Exclusion // what was found in each source of exclude
	Blanks   []letter.Gap        // sentences with a gap
	NewItems int                 // of its feed; a letter has templates.MaxFeedItems of them at most
	Guard    campaign.Guard
	Redis    store.Memory        // of a dry run: the run needs Memory() bytes of it
	Warnings strictyaml.Problems // about what is allowed, but most probably not meant
}

// Launched is the result of a launch.
type Launched struct {
	Run     string
	Existed bool // the key was used before, and this is its run
	Plan    Plan
}

// Launch makes a run of the campaign now, as scheduler.Maker.Make does.
func (l *Launcher) Launch(ctx context.Context, def *campaign.Definition, o Options) (Launched, error) {
	p, err := l.prepare(ctx, def, o)
	if err != nil {
		return Launched{}, err
	}
	defer p.close()

	launched, err := l.makeRun(ctx, p, o.Confirm)
	if before, ok := errors.AsType[*scheduler.RepeatedError](err); ok {
		return Launched{}, l.launchedBefore(ctx, def, before)
	}
	return launched, err
}

// makeRun makes a run. confirm, unless it is nil, is called with its plan before it is
// ready.
func (l *Launcher) makeRun(ctx context.Context, p *prepared, confirm func(Plan) error) (Launched, error) {
	var plan Plan
	in := p.in
	in.Confirm = func(ctx context.Context, read scheduler.Plan) error {
		if err := p.strict(); err != nil {
			return err
		}
		var err error
		plan, err = l.plan(ctx, p, read)
		if err != nil || confirm == nil {
			return err
		}
		return confirm(plan)
	}

	run, err := l.Maker.Make(ctx, p.spec, in)
	if err != nil {
		return Launched{}, err
	}

	plan.Plan = run.Plan
	return Launched{Run: run.ID, Existed: run.Existed, Plan: plan}, nil
}

// Plan reads the whole audience and says what a launch would do. It writes nothing. Of a
// campaign that is sent Later it does not read an audience that is elsewhere.
func (l *Launcher) Plan(ctx context.Context, def *campaign.Definition, o Options) (Plan, error) {
	p, err := l.prepare(ctx, def, o)
	if err != nil {
		return Plan{}, err
	}
	defer p.close()
	if o.Later && !def.Audience.Remote.IsZero() {
		plan, err := l.plan(ctx, p, scheduler.Plan{})
		plan.Columns = p.spec.Snapshot.Columns
		return plan, err
	}
	return l.dryPlan(ctx, p)
}

// dryPlan returns the plan of a run that is not made.
func (l *Launcher) dryPlan(ctx context.Context, p *prepared) (Plan, error) {
	read, err := l.Maker.Plan(ctx, p.in)
	if err != nil {
		return Plan{}, err
	}

	if err := p.strict(); err != nil {
		return Plan{}, err
	}

	plan, err := l.plan(ctx, p, read)
	if err != nil {
		return Plan{}, err
	}

	plan.Redis, err = l.Store.Memory(ctx)
	return plan, err
}

func (l *Launcher) plan(ctx context.Context, p *prepared, read scheduler.Plan) (Plan, error) {
	s := p.spec.Snapshot
	s.SpreadRate = scheduler.SpreadRate(p.spec.Spread, read)
	plan := Plan{
		Plan: read, Campaign: s.Campaign, Subject: s.Subject, From: s.From, Topic: s.Topic,
		Loopback: true, Rate: s.Pace(), Source: p.spec.Audience, Excluded: p.excluded, Guard: p.spec.Guard, Warnings: p.warnings,
		Window: p.spec.Window, Spread: p.spec.Spread, High: p.spec.High,
	}

	if p.def != nil && !p.nothingNew { // a retry has the content of its run
		plan.NewItems = len(s.FeedItems)
	}
	plan.Zone, _ = l.Config.Location()
	limited := true
	var sum float64
	for _, name := range s.Accounts {
		acct := l.Config.Accounts[name]
		plan.Loopback = plan.Loopback && acct.Loopback()
		plan.Accounts = append(plan.Accounts, fmt.Sprintf("%s (%s:%d)", name, acct.Host, acct.Port))
		if s.Weights.Of(name) == 0 {
			continue // it stands in for the others
		}
		limited = limited && acct.Limits.Rate > 0
		sum += acct.Limits.Rate
	}

	if limited && (plan.Rate == 0 || sum < plan.Rate) {
		plan.Rate = sum
	}

	known, err := l.Ledger.TopicUsed(ctx, s.Topic)
	if err != nil {
		return Plan{}, err
	}

	plan.NewTopic = !known
	begins := p.starts()
	f, err := l.forecast(ctx, p.spec, read, begins)
	if err != nil {
		return Plan{}, err
	}
	plan.Fit = fitOf(p.spec.Window, begins, f)
	plan.Forecast = within(p.spec.Window, f)
	if p.gaps != nil {
		plan.Blanks, err = p.gaps.Gaps()
	}

	return plan, err
}
