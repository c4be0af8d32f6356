// Package app puts Broadside together: it opens the store, builds every part from the
// configuration, and runs the processes. What a part does is decided in its own package.
//
// A process that is told to end returns within worker.drain, even when Redis hangs.
package app

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/access"
	"broadside/internal/account"
	"broadside/internal/backup"
	"broadside/internal/doctor"
	"broadside/internal/failpoint"
	"broadside/internal/feedback"
	"broadside/internal/lanes"
	"broadside/internal/launch"
	"broadside/internal/letter"
	"broadside/internal/mailbox"
	"broadside/internal/outage"
	"broadside/internal/outgoing"
	"broadside/internal/presence"
	"broadside/internal/queue"
	"broadside/internal/runs"
	"broadside/internal/single"
	"broadside/internal/store"
	"broadside/internal/subscribe"
	"broadside/scheduler"
	"broadside/sender"
	"broadside/sender/oauth"
	"broadside/sender/reply"
	"broadside/throttle"
)

// An App is one process's view of an installation.
type App struct {
	Config      *configs.Config
	Ledger      *ledger.Ledger
	Lists       *audience.Lists
	Suppression *suppression.Store
	Subscribers *subscribe.Store
	Accounts    *throttle.Accounts
	Lanes       *throttle.Lanes
	LaneControl *lanes.Lanes
	Tokens      *oauth.Store // access tokens of accounts
	Processes   *presence.Register
	Mailboxes   *mailbox.Register
	Runs        *runs.Runs
	Launcher    *launch.Launcher
	Schedules   *launch.Schedules
	Backup      *backup.Installation
	Doctor      *doctor.Doctor
	Feedback    *feedback.Journal
	Webhooks    *outgoing.Webhooks
	SingleStore *single.Store
	Access      *access.Tokens // of programs that use the API

	log   *slog.Logger
	store *store.Store
	keys  *token.Keys // nil without secrets
	conns *throttle.Conns
	days  *throttle.Days
	rules *reply.Rules // about replies, with those of the user in front
	pacer *throttle.Pacer
	queue *queue.Client

	left atomic.Bool // a part of the process was left behind
}

// Options say what the process will do.
type Options struct {
	Log *slog.Logger
	// Sends sets connections aside for claims.
	Sends bool
	// Unfit opens a store that is not fit to send from, to look at it.
	Unfit bool
}

// Open connects to the store and builds the parts. Without redis_url it is the
// embedded one.
func Open(ctx context.Context, cfg *configs.Config, o Options) (*App, error) {
	rules, err := reply.Open(ctx, cfg.ReplyRules)
	if err != nil {
		return nil, err
	}

	st, err := openStore(ctx, cfg, o)
	if err != nil {
		return nil, err
	}

	rdb, lua := st.Client(), st.Lua
	a := &App{
		Config: cfg, log: o.Log, store: st, rules: rules,
		Ledger:      ledger.New(rdb, cfg.Namespace, lua),
		Lists:       audience.NewLists(rdb, cfg.Namespace),
		Suppression: suppression.New(rdb, cfg.Namespace, lua),
		Subscribers: subscribe.NewStore(rdb, cfg.Namespace, lua),
		Accounts:    throttle.NewAccounts(rdb, cfg.Namespace, presence.Host(), lua),
		Lanes:       throttle.NewLanes(rdb, cfg.Namespace, lua).WithTempo(throttle.DefaultTempo().Scaled(failpoint.LaneTempo())),
		Feedback:    feedback.NewJournal(rdb, cfg.Namespace, lua),
		SingleStore: single.NewStore(rdb, cfg.Namespace, lua),
		Access:      access.New(rdb, cfg.Namespace),
		days:        throttle.NewDays(rdb, cfg.Namespace),
		conns:       throttle.NewConns(rdb, cfg.Namespace, lua),
		pacer:       throttle.New(rdb, cfg.Namespace, lua, o.Log),
		queue:       queue.NewClient(rdb, cfg.Namespace).WithShards(cfg.Redis.QueueShards),
	}
	a.Webhooks = &outgoing.Webhooks{
		Receivers: cfg.Webhooks, Deliveries: queue.NewDeliveries(rdb, cfg.Namespace), Register: outgoing.NewRegister(rdb, cfg.Namespace),
	}
	a.LaneControl = &lanes.Lanes{Config: cfg, Learnt: a.Lanes, Conns: a.conns, Ledger: a.Ledger, Suppression: a.Suppression}
	stored := scheduler.NewSchedules(rdb, cfg.Namespace, lua)
	sent := feed.NewSent(rdb, cfg.Namespace)
	a.Mailboxes = mailbox.NewRegister(rdb, cfg.Namespace)
	a.Processes = presence.New(rdb, cfg.Namespace, a.Ledger.Workers)
	a.Runs = runs.New(runs.Config{
		Ledger: a.Ledger, Accounts: a.Accounts, Lanes: a.Lanes, Processes: a.Processes, Firing: a.firing, Used: a.used, NextSlot: a.nextSlot, Work: a.workForLaunch,
		Embedded: st.Embedded(), KeepAddresses: cfg.Retention.Addresses, Log: o.Log,
	})
	a.Launcher = &launch.Launcher{
		Config: cfg, Store: st, Ledger: a.Ledger, Lists: a.Lists, Runs: a.Runs, Stored: stored, Feeds: sent, Used: a.used, Held: a.held,
		Maker: &scheduler.Maker{
			Ledger: a.Ledger, Suppression: a.Suppression, Room: launch.RoomForRun(st), Feeds: sent, KeepRuns: cfg.Retention.Runs, Log: o.Log,
		},
	}
	a.Schedules = &launch.Schedules{Launcher: a.Launcher, Stored: stored, Log: o.Log}
	a.Backup = &backup.Installation{
		Namespace: cfg.Namespace, Store: st, Suppression: a.Suppression, Subscribers: a.Subscribers, Lists: a.Lists, Ledger: a.Ledger, Schedules: stored,
		Import: a.ImportList,
	}
	a.Doctor = &doctor.Doctor{
		Config: cfg, Store: st, Ledger: a.Ledger, Runs: a.Runs, Lists: a.Lists, Accounts: a.Accounts, Lanes: a.Lanes, Schedules: stored,
		Processes: a.Processes, Mailboxes: a.Mailboxes, Webhooks: a.Webhooks, Log: o.Log,
	}
	if a.Tokens, err = oauth.New(rdb, cfg.Namespace, revealed(cfg.Secrets), lua, o.Log); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	if len(cfg.Secrets) > 0 {
		if a.keys, err = letter.Keys(cfg); err != nil {
			return nil, errors.Join(err, st.Close())
		}
	}

	return a, nil
}

func revealed(secrets []configs.Secret) []string {
	out := make([]string, len(secrets))
	for i, s := range secrets {
		out[i] = s.Reveal()
	}
	return out
}

func openStore(ctx context.Context, cfg *configs.Config, o Options) (*store.Store, error) {
	if cfg.RedisURL == "" {
		return store.OpenEmbedded(ctx, o.Log)
	}
	so := store.Options{
		URL: cfg.RedisURL.Reveal(), MaxConnections: cfg.Redis.MaxConnections,
		TLSInsecure: cfg.Redis.TLSInsecure, AllowVolatile: cfg.AllowVolatileRedis, Unfit: o.Unfit, Log: o.Log,
	}
	if o.Sends {
		so.Claims = store.ForClaims(cfg.Redis.MaxConnections)
	}
	return store.Open(ctx, so)
}

// Embedded reports whether the store is within this process, and forgets.
func (a *App) Embedded() bool { return a.store.Embedded() }

// Close closes the connections to the store. It does not wait for one that
// hangs, and leaves them to the end of the process when a part of it was left
// behind: asynq does not survive the loss of its client.
func (a *App) Close() error {
	if a.left.Load() {
		return nil
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	return within(over, closeTime, func(context.Context) error { return a.store.Close() })
}

// ImportList is Lists.Import that leaves Redis the memory that runs need.
func (a *App) ImportList(ctx context.Context, name string, rows *audience.Reader, o audience.ImportOptions) (audience.Imported, error) {
	free := launch.RoomForList(a.store)
	o.Room = free.Check
	sum, err := a.Lists.Import(ctx, name, rows, o)
	return sum, free.Explain(err)
}

// AccountStates returns how all accounts stand, in the order of their names.
func (a *App) AccountStates(ctx context.Context) ([]account.State, error) {
	return a.accounts().States(ctx, a.Config, time.Now())
}

// AccountClosed returns why nothing is sent through an account now; nil when it is
// open.
func (a *App) AccountClosed(ctx context.Context, name string) (*account.Closed, error) {
	return a.accounts().Closed(ctx, name)
}

// Ping asks whether the store answers.
func (a *App) Ping(ctx context.Context) error { return a.store.Client().Ping(ctx).Err() }

// Work is the worker process: it feeds active runs and sends, and sends single messages,
// until ctx ends.
// Then it drains: bodies on the wire may finish, the rest is given back. It
// returns before worker.drain is over, whatever hangs.
func (a *App) Work(ctx context.Context) error {
	return a.workAs(ctx, presence.Worker)
}

// workForLaunch is Work of a `launch --wait` that found no worker.
func (a *App) workForLaunch(ctx context.Context) error { return a.workAs(ctx, presence.Launch) }

// workAs is Work of a process that is listed under a role.
func (a *App) workAs(ctx context.Context, role string) error {
	return a.runBounded(ctx, func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		g, ctx := errgroup.WithContext(ctx)
		g.Go(func() error {
			defer cancel()
			return a.work(ctx, role)
		})
		g.Go(func() error { return a.sendSingles(ctx) })
		return g.Wait()
	})
}

func (a *App) work(ctx context.Context, role string) error {
	if err := a.Config.RequireSecrets(); err != nil {
		return err
	}

	ways, err := a.ways()
	if err != nil {
		return err
	}

	var names, counted []string
	for _, w := range ways {
		names = append(names, w.Name)
		counted = append(counted, w.Counted()...)
	}

	member, err := a.Ledger.Join(ctx, ledger.MemberConfig{
		Server: a.store.Server,
		OnDead: func(ctx context.Context, dead string) error { return a.conns.Forget(ctx, dead, counted...) },
		OnReset: func(ctx context.Context, id string) error {
			return errors.Join(a.conns.Restore(ctx, id, counted...), a.pacer.Replay(ctx))
		},
		Sever: a.store.Sever, Log: a.log,
	})
	if err != nil {
		return err
	}
	defer a.enlist(role, member.ID)()
	gate, down := queue.NewGate(a.log), shutdownOf(a.Config.Worker.Drain)
	claims := a.store.Claims(func(_ context.Context, runID string) error { return member.Admit(runID) })
	line := a.Ledger.Line(claims, a.Suppression)
	worker := sender.New(sender.Config{
		Ledger: a.Ledger, Line: line, Member: member, Suppression: a.Suppression,
		Pacer: a.pacer, Conns: a.conns, Accounts: a.Accounts, Lanes: a.Lanes, Days: a.days, Keys: a.keys, Ways: ways,
		Rules: a.rules, Storm: sender.StormLimit(a.Config.Storm),
		Tasks: func(ctx context.Context, handle func(context.Context, campaign.Task)) error {
			return a.serve(ctx, gate, handle)
		},
		Ready: gate.Pass, Drain: down.bodies, Rest: down.rest, Log: a.log,
	})
	// The way to the ledger outlives ctx: outcomes are recorded while the worker drains.
	late, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, _ := errgroup.WithContext(late)
	g.Go(func() error { return line.Run(late) })
	membership, resign := context.WithCancel(late)
	resigned := make(chan error, 1)
	go func() { resigned <- member.Run(membership) }()
	feeding, stopFeeding := context.WithCancel(ctx)
	g.Go(func() error { return a.feeder(worker).Run(feeding) })
	a.log.Info("worker started", "worker", member.ID(), "accounts", names)
	err = worker.Run(ctx)
	stopFeeding()
	resign() // first: a heartbeat would put it on the list again
	err = errors.Join(err, <-resigned)
	leave, cancel := context.WithTimeout(late, time.Second)
	defer cancel()
	err = errors.Join(err, member.Leave(leave))
	stop()
	a.log.Info("worker stopped", "worker", member.ID())
	return errors.Join(err, g.Wait())
}

// serve takes tasks from asynq.
func (a *App) serve(ctx context.Context, gate *outage.Gate, handle func(context.Context, campaign.Task)) error {
	servers := 0 // as many as are best where each has to wait for its task
	if a.Embedded() {
		servers = 4
	}
	return queue.Serve(ctx, a.store.Client(), queue.Config{
		Namespace: a.Config.Namespace, Shards: a.Config.Redis.QueueShards, Servers: servers, Concurrency: a.Config.Worker.Concurrency, Gate: gate, Log: a.log,
	}, handle)
}

func (a *App) feeder(worker *sender.Worker) *scheduler.Feeder {
	return scheduler.NewFeeder(a.Ledger, a.queue, scheduler.FeederConfig{
		ShutUntil: worker.ShutUntil, KeepRuns: a.Config.Retention.Runs, KeepAddresses: a.Config.Retention.Addresses,
		Told: a.told(), High: a.queue.High(), Log: a.log,
	})
}
