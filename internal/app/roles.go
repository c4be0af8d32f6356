package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/account"
	"broadside/internal/failure"
	"broadside/internal/presence"
	"broadside/internal/tracking"
	"broadside/internal/web"
	"broadside/internal/web/theme"
	"broadside/scheduler"
	"broadside/sender/reply"
)

// enlist keeps this process on the list of processes until leave is called. The
// embedded store has no list: there are no other processes.
func (a *App) enlist(role string, id func() string) (leave func()) {
	if a.Embedded() {
		return func() {}
	}
	leaveList := a.Processes.Enlist(a.log, role, id)
	return func() {
		if !leaveList() {
			a.left.Store(true)
		}
	}
}

// firing returns the occurrence of a campaign of which a scheduler is making a run;
// the zero time when there is none, or the schedule cannot be read.
func (a *App) firing(ctx context.Context, name string) (time.Time, error) {
	e, err := a.Schedules.Stored.Get(ctx, name)
	if errors.Is(err, scheduler.ErrNoSchedule) || campaign.IsBroken(err) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return e.Firing, nil
}

// Schedule is the scheduler process: it fires what is due until ctx ends, each occurrence
// exactly once, however many schedulers run, reads the mailboxes to which bounces come, and
// tells others by webhook what happens.
func (a *App) Schedule(ctx context.Context) error {
	defer a.enlist(presence.Scheduler, nil)()
	return a.fire(ctx)
}

func (a *App) fire(ctx context.Context) error {
	if err := a.Config.RequireSecrets(); err != nil {
		return err
	}
	firer := scheduler.NewFirer(a.Schedules.Stored, scheduler.FirerConfig{Maker: a.Launcher.Maker, Campaigns: a.Schedules, Told: a.told(), Log: a.log})
	a.log.Info("scheduler started", "mailboxes", len(a.Config.Feedback.Mailbox), "webhooks", len(a.Config.Webhooks))
	err := a.runBounded(ctx, func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return firer.Run(ctx) })
		g.Go(func() error { return a.readMailboxes(ctx) })
		g.Go(func() error { return a.tellOthers(ctx) })
		return g.Wait()
	})
	a.log.Info("scheduler stopped")
	return err
}

// Listen opens the port of the web process.
func (a *App) Listen(ctx context.Context) (net.Listener, error) {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", a.Config.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for http (listen, or PORT): %w", err)
	}
	return ln, nil
}

// Web is the web process: it serves readers' links on ln until ctx ends, and
// closes ln. Where feedback.listen is set it takes bounces as well.
func (a *App) Web(ctx context.Context, ln net.Listener) error {
	defer a.enlist(presence.Web, nil)()
	return a.serveReaders(ctx, ln)
}

func (a *App) serveReaders(ctx context.Context, ln net.Listener) error {
	if err := a.Config.RequireSecrets(); err != nil {
		return errors.Join(err, ln.Close())
	}

	look, err := a.theme()
	if err != nil {
		return errors.Join(err, ln.Close())
	}

	recorder := a.recorder()
	webhooks, err := a.webhooks(recorder)
	if err != nil {
		return errors.Join(err, ln.Close())
	}

	subscriptions, err := a.Subscriptions()
	if err != nil {
		return errors.Join(err, ln.Close())
	}

	programs, err := a.apiHandler()
	if err != nil {
		return errors.Join(err, ln.Close())
	}

	server, err := web.New(web.Config{
		Keys:      a.keys,
		Feedback:  recorder,
		Ready:     a.Ping,
		Hooks:     webhooks,
		API:       programs,
		Subscribe: subscriptions,
		Tracking:  tracking.New(a.Ledger, a.log),
		Topics:    a.Config.Topics, List: a.Suppression, Language: a.languageOf, Theme: look,
		PublicURL: a.Config.PublicURL, Log: a.log,
	})
	if err != nil {
		return errors.Join(err, ln.Close())
	}

	a.log.Info("web started", "listen", ln.Addr().String(), "public_url", a.Config.PublicURL)
	err = a.runBounded(ctx, func(ctx context.Context) error {
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error { return server.Run(ctx, ln) })
		g.Go(func() error { return a.takeBounces(ctx, bounces{recorder}) })
		g.Go(func() error { return subscriptions.Run(ctx) })
		g.Go(func() error {
			reply.Prepare()
			return nil
		})
		return g.Wait()
	})
	a.log.Info("web stopped")
	return err
}

// theme reads what readers' pages look like: the files next to the configuration, else
// the built-in ones.
func (a *App) theme() (*theme.Theme, error) { return theme.Load(filepath.Dir(a.Config.FileName())) }

// languageOf returns the language that the campaign of a run gives; empty when it gives
// none, or the run is forgotten.
func (a *App) languageOf(ctx context.Context, run string) (string, error) {
	rec, err := a.Ledger.Record(ctx, run)
	if errors.Is(err, ledger.ErrNoRun) {
		return "", nil
	}
	if err != nil {
		return "", err
	}

	snapshot, err := a.Ledger.Snapshot(ctx, rec.Handle())
	if errors.Is(err, ledger.ErrNoRun) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return snapshot.Language, nil
}

// server tells which Redis is in charge, and what can be asked of it.
func (a *App) server(ctx context.Context) (string, suppression.Barrier, error) {
	d, err := a.store.Durability(ctx)
	return d.RunID, suppression.Barrier{Disk: d.Disk, Replica: d.Replica}, err
}

// All is every process in one: web, worker and scheduler. When one of them
// ends with an error the others are ended too.
func (a *App) All(ctx context.Context, ln net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serveReaders(ctx, ln) })
	g.Go(func() error { return a.workAs(ctx, presence.All) })
	g.Go(func() error { return a.fire(ctx) })
	return g.Wait()
}

// Release checks what a deployment needs before its processes start: the
// store was checked by Open; this is the configuration.
func (a *App) Release() error {
	errs := []error{a.Config.RequireSecrets()}
	if a.Config.PublicURL == "" {
		errs = append(errs, failure.Invalid("public_url is not set: set it (or BROADSIDE_PUBLIC_URL) to the https address under which readers reach `broadside web`"))
	}
	if len(a.Config.Accounts) == 0 {
		errs = append(errs, account.NoneConfigured(a.Config))
	}
	_, err := a.ways()
	_, themeErr := a.theme()
	var formsErr error
	if len(a.Config.Subscribe) > 0 && a.keys != nil {
		_, formsErr = a.Subscriptions()
	}
	return errors.Join(append(errs, err, themeErr, formsErr)...)
}
