package main

import (
	"context"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/internal/app"
	"broadside/internal/launch"
)

func runRetryCommand(c *cli) *cobra.Command {
	var (
		f launchFlags
		o launch.RetryOptions
	)
	var state string
	cmd := &cobra.Command{
		Use:   "retry RUN",
		Short: "Send once more to those who failed, or bounced in a storm",
		Long: `Make a run of just those recipients of a run that is over who failed.
It has that run's content, accounts and settings, whatever became of the files,
and is linked to it: "run show" of either names the other. Suppressed people are
left out and counted. Recipients who got the message by another run that is linked
to the same one are left out too.

Recipients that bounced are suppressed since and are not tried again. But when a server called
everybody dead, "lane reset --discard" takes their suppressions away, and --state
bounced --reason storm sends to them.

--reason takes those whose last reply says so: any part of its code, enhanced
code and text as "run recipients" shows them, or one of the words attempts (no
attempt was left), expired and stuck.`,
		Example: `  broadside run retry october --state failed --dry-run
  broadside run retry october --state failed --reason "5.7.1" --wait
  broadside run retry october --state failed --reason expired --yes
  broadside run retry october --state bounced --reason storm`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch state {
			case campaign.Failed.String():
				o.State = campaign.Failed
			case campaign.Bounced.String():
				o.State = campaign.Bounced
				if o.Reason != launch.ReasonStorm {
					return usagef(cmd, "--state bounced: found --reason %q, expected --reason storm: recipients that bounced are suppressed, and only those of a storm (`broadside lane reset ACCOUNT/PROVIDER --discard`) are sent to again", o.Reason)
				}
			case campaign.Uncertain.String():
				return usagef(cmd, "--state: found uncertain; they may have the message: `broadside run resolve %s --uncertain resend` sends it once more", args[0])
			default:
				return usagef(cmd, "--state: found %q, expected failed or bounced", state)
			}

			if cmd.Flags().Changed("reason") && o.Reason == "" {
				return usagef(cmd, "--reason: found nothing, expected a part of a reply, or attempts, expired or stuck")
			}

			return c.retry(cmd, args[0], o, f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&state, "state", "", "those who `STATE`: failed or bounced (required)")
	flags.StringVar(&o.Reason, "reason", "", "only those whose last reply contains `TEXT`, or attempts, expired, stuck; of bounced ones: storm")
	flags.BoolVar(&f.again, "again", false, "although they were retried before; who got it since is left out")
	f.sending(cmd)

	return cmd
}

func runResolveCommand(c *cli) *cobra.Command {
	var (
		f   launchFlags
		how string
	)
	cmd := &cobra.Command{
		Use:   "resolve RUN",
		Short: "Decide about recipients who may or may not have got the message",
		Long: `Decide about the uncertain recipients of a run: the server took the message, and
the connection ended before it said so. Nothing else is ever sent to them.

accept    counts them as accepted: you know it, from the server's log perhaps.
resend    sends them the same message once more, in a run that is linked to this
          one, with the Message-ID, return path and unsubscribe link of the first,
          so that a server that has it can drop the second. They stay uncertain
          in this run; the linked one says what came of it.`,
		Example: `  broadside run recipients october --state uncertain
  broadside run resolve october --uncertain accept
  broadside run resolve october --uncertain resend --wait`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch how {
			case "resend":
				return c.retry(cmd, args[0], launch.RetryOptions{State: campaign.Uncertain}, f)
			case "accept":
				for _, name := range []string{"dry-run", "wait", "timeout", "rate", "limit", "max-failed", "again"} {
					if cmd.Flags().Changed(name) {
						return usagef(cmd, "--%s is for --uncertain resend: accept sends nothing", name)
					}
				}
				return c.accept(cmd.Context(), args[0])
			}

			return usagef(cmd, "--uncertain: found %q, expected resend or accept", how)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&how, "uncertain", "", "`HOW` they are resolved: resend or accept (required)")
	flags.BoolVar(&f.again, "again", false, "although these recipients were retried before; those that got the message since, or may have got it, are left out")
	f.sending(cmd)

	return cmd
}

// retry makes a run that is linked to another one, as launch makes a run.
func (c *cli) retry(cmd *cobra.Command, name string, o launch.RetryOptions, f launchFlags) error {
	ctx := cmd.Context()
	opts, timeout, err := f.parse(cmd)
	if err != nil {
		return err
	}

	o.Again = opts.Again
	o.Rate = opts.Rate
	o.Limit = opts.Limit

	return c.kept(ctx, f.wait && !f.dryRun, func(ctx context.Context, a *app.App) error {
		id, err := c.findRun(ctx, a, name)
		if err != nil {
			return err
		}

		o.Progress = c.rowsRead()
		if f.dryRun {
			plan, before, err := a.Launcher.PlanRetry(ctx, id, o)
			if err != nil {
				return err
			}
			if before != "" {
				c.note("already retried by run %s: it would be refused (see --again)", before)
			}
			return c.printPlan(plan)
		}

		o.Confirm = c.confirm(f.yes)
		launched, err := a.Launcher.Retry(ctx, id, o)
		if err != nil {
			return notMade(ctx, err)
		}

		c.noteRetry(id, launched)
		if !f.wait {
			return c.launched(ctx, a, launched.Run)
		}

		return c.attend(ctx, a, launched.Run, timeout, f.maxFailed)
	})
}

// noteRetry says how many recipients of run id are in the run that retries it, and
// how many were left out.
func (c *cli) noteRetry(id string, l launch.Launched) {
	p := l.Plan
	c.note("run %s is ready: %d recipients of run %s, %d of them suppressed and not mailed", l.Run, p.Total, id, p.Suppressed)
	if p.Skipped.Excluded > 0 {
		c.note("left out: %d who got the message since, may have got it, or are getting it", p.Skipped.Excluded)
	}
}

// accept makes the uncertain accepted.
func (c *cli) accept(ctx context.Context, name string) error {
	return c.withRun(ctx, name, func(a *app.App, id string) error {
		n, err := a.Runs.AcceptUncertain(ctx, id)
		if err != nil {
			return err
		}

		c.note("%d uncertain recipients of run %s are accepted now", n, id)
		if !c.asJSON {
			return nil
		}

		r, err := a.Runs.Report(ctx, id)
		if err != nil {
			return err
		}

		return c.json(r)
	})
}
