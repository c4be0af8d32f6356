package main

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"broadside/internal/app"
	"broadside/internal/doctor"
	"broadside/internal/failure"
)

// process opens an installation for a process that runs until a signal ends
// it: JSON logs on stdout, and a Redis that others can reach unless alone.
func (c *cli) process(ctx context.Context, sends, alone bool, serve func(a *app.App) error) error {
	cfg, err := c.load(ctx)
	if err != nil {
		return err
	}

	if cfg.RedisURL == "" && !alone {
		return fmt.Errorf("%w: %s", failure.ErrUnreachable, needRedis(cfg))
	}

	log, err := c.logger(true)
	if err != nil {
		return err
	}

	a, err := app.Open(ctx, cfg, app.Options{Log: log, Sends: sends})
	if err != nil {
		return err
	}
	defer c.close(a)
	if a.Embedded() {
		log.Warn("no redis_url: the embedded store is used, it forgets everything at exit and sends to this machine only; set REDIS_URL to keep runs, lists and unsubscribes")
	} else {
		a.Doctor.LogAtStart(ctx)
	}

	err = serve(a)
	if ctx.Err() != nil && err != nil {
		log.Warn("not everything was put down in order", "err", err)
		return nil
	}

	return err
}

func workerCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "worker",
		Short: "Process: send what runs need",
		Long: `Send what runs need, until SIGTERM. What is on the wire then is finished, the
rest is given back; it is gone within 25 s. Start as many as you like.`,
		Example: "  broadside worker",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.process(cmd.Context(), true, false, func(a *app.App) error { return a.Work(cmd.Context()) })
		},
	}
}

func schedulerCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "scheduler",
		Short: "Process: make runs of campaigns whose time has come",
		Long: `Make a run of each scheduled campaign at its time, until SIGTERM. One is enough;
more do no harm: each time is fired exactly once. A worker sends the runs.

It also reads the mailboxes of feedback.mailbox, and tells the receivers of webhooks what
happens.`,
		Example: "  broadside scheduler",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.process(cmd.Context(), false, false, func(a *app.App) error { return a.Schedule(cmd.Context()) })
		},
	}
}

func webCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "web",
		Short:   "Process: readers' links, /healthz and /readyz",
		Example: "  broadside web\n  PORT=8080 broadside web",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.process(cmd.Context(), false, false, func(a *app.App) error {
				return listening(cmd.Context(), a, a.Web)
			})
		},
	}
}

func allCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "all",
		Short:   "Process: web, worker and scheduler in one",
		Example: "  broadside all",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.process(cmd.Context(), true, true, func(a *app.App) error {
				return listening(cmd.Context(), a, a.All)
			})
		},
	}
}

// listening opens the port and serves on it.
func listening(ctx context.Context, a *app.App, serve func(context.Context, net.Listener) error) error {
	ln, err := a.Listen(ctx)
	if err != nil {
		return err
	}
	return serve(ctx, ln)
}

func releaseCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "release",
		Short:   "Check configuration and Redis before a deployment starts",
		Example: "  broadside release",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				err := a.Release()
				if printErr := c.printFindings(doctor.AtStart(a.Doctor.Redis(ctx))); printErr != nil || c.asJSON {
					return errors.Join(printErr, err)
				}
				if err == nil {
					fmt.Fprintf(c.stdout, "%-8s configuration: %d accounts\n", "ok", len(a.Config.Accounts))
				}
				return err
			})
		},
	}
}
