package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/internal/app"
	"broadside/internal/report"
	"broadside/internal/runs"
)

func runCommand(c *cli) *cobra.Command {
	return noun(
		"run", "Runs: watch, pause, cancel, report, retry",
		runListCommand(c), runShowCommand(c), runWatchCommand(c),
		runPauseCommand(c), runResumeCommand(c), runCancelCommand(c),
		runReportCommand(c), runRecipientsCommand(c), runRejectsCommand(c),
		runRetryCommand(c), runResolveCommand(c),
	)
}

// findRun returns the run that a person named, and says so where it is the
// latest run of a campaign.
func (c *cli) findRun(ctx context.Context, a *app.App, name string) (string, error) {
	id, latest, err := a.Runs.Find(ctx, name)
	if latest {
		c.note("%s: run %s (its latest)", name, id)
	}
	return id, err
}

// withRun opens what was kept and finds the run that an id, the unique beginning
// of one, or a campaign stands for.
func (c *cli) withRun(ctx context.Context, name string, do func(a *app.App, id string) error) error {
	return c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		id, err := c.findRun(ctx, a, name)
		if err != nil {
			return err
		}
		return do(a, id)
	})
}

// printRun prints one run: the document, or the report for people.
func (c *cli) printRun(r report.Run) error {
	if c.asJSON {
		return c.json(r)
	}
	return report.Text(c.stdout, r, c.ink().word)
}

func runListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "list", Aliases: []string{"ls"},
		Short:   "All runs, the newest first",
		Example: "  broadside run list\n  broadside run list --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				runs, err := a.Runs.List(ctx)
				if err != nil {
					return err
				}

				if c.asJSON {
					return c.json(runs)
				}

				if len(runs) == 0 {
					c.note("no runs yet")
					return nil
				}

				header := []string{"RUN", "STATE", "TOTAL", "ACCEPTED", "DEFERRED", "BOUNCED", "FAILED", "UNCERTAIN", "CREATED"}
				linked := slices.ContainsFunc(runs, func(r report.Run) bool { return r.Parent != "" })
				if linked {
					header = append(header, "FOLLOWS")
				}

				var rows [][]string
				for _, r := range runs {
					n := func(s campaign.State) string { return strconv.FormatInt(r.Counts.Report(s), 10) }
					row := []string{
						r.Run, string(r.State), strconv.FormatInt(r.Total, 10), n(campaign.Accepted), n(campaign.Deferred), n(campaign.Bounced),
						n(campaign.Failed), n(campaign.Uncertain), r.CreatedAt.UTC().Format("2006-01-02 15:04:05Z"),
					}
					if linked {
						row = append(row, r.Parent)
					}
					rows = append(rows, row)
					if r.State == campaign.Broken {
						c.note("%s", printable(r.Reason))
					}
				}

				return c.table(header, rows)
			})
		},
	}
}

func runShowCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "show RUN",
		Short:   "One run: counts, providers, replies",
		Example: "  broadside run show october-news-20261001T070000Z\n  broadside run show october --json",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withRun(cmd.Context(), args[0], func(a *app.App, id string) error {
				r, err := a.Runs.Report(cmd.Context(), id)
				if err != nil {
					return err
				}
				return c.printRun(r)
			})
		},
	}
}

func runWatchCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "watch RUN",
		Short:   "Follow a run until it is over",
		Long:    "Follow a run until it is over, through pauses too. Ctrl-C ends the watching, not the run.",
		Example: "  broadside run watch october",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withRun(ctx, args[0], func(a *app.App, id string) error {
				progress := c.progress()
				s, err := a.Runs.Watch(ctx, id, progress.see)
				progress.end()
				if ctx.Err() != nil {
					return watchInterrupted(id, s)
				}
				if err != nil {
					return err
				}

				r, err := a.Runs.Report(ctx, id)
				if err != nil {
					return err
				}

				return c.printRun(r)
			})
		},
	}
}

// turned says what became of a run.
func (c *cli) turned(ctx context.Context, a *app.App, id string) error {
	r, err := a.Runs.Summary(ctx, id)
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.json(r)
	}
	c.note("run %s is %s: %d of %d accepted", id, r.State, r.Counts[campaign.Accepted], r.Total)
	return nil
}

func runPauseCommand(c *cli) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:     "pause RUN | --all",
		Short:   "Stop a run for a while",
		Long:    "Stop a run for a while: within a second no message begins any more.",
		Example: "  broadside run pause october\n  broadside run pause --all",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			switch {
			case all && len(args) > 0:
				return usagef(cmd, "found a run and --all, expected one of them")
			case all:
				return c.pauseAll(ctx)
			case len(args) == 0:
				return usagef(cmd, "found no run, expected one, or --all")
			}

			return c.withRun(ctx, args[0], func(a *app.App, id string) error {
				if err := a.Runs.Pause(ctx, id); err != nil {
					return err
				}
				return c.turned(ctx, a, id)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every run that is running")
	return cmd
}

func (c *cli) pauseAll(ctx context.Context) error {
	return c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		ids, err := a.Runs.PauseAll(ctx)
		if c.asJSON {
			return errors.Join(err, c.json(ids))
		}
		for _, id := range ids {
			fmt.Fprintln(c.stdout, id)
		}
		c.note("%d runs paused", len(ids))
		return err
	})
}

func runResumeCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "resume RUN",
		Short:   "Go on with a run that is paused or held",
		Example: "  broadside run resume october",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withRun(ctx, args[0], func(a *app.App, id string) error {
				if err := a.Runs.Resume(ctx, id); err != nil {
					return err
				}
				return c.turned(ctx, a, id)
			})
		},
	}
}

func runCancelCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "cancel RUN",
		Short:   "End a run: those who have not been sent to get nothing",
		Example: "  broadside run cancel october",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withRun(ctx, args[0], func(a *app.App, id string) error {
				if err := a.Runs.Cancel(ctx, id); err != nil {
					return err
				}
				return c.turned(ctx, a, id)
			})
		},
	}
}

// watchInterrupted says what can be done with a run that is watched no more.
func watchInterrupted(id string, s runs.Status) error {
	next := "pause " + id + "     stops it for a while"
	if s.Record != nil && (s.State == campaign.Paused || s.State == campaign.Held) {
		next = "resume " + id + "    goes on with it"
	}
	return fmt.Errorf("%w: run %s is not stopped by this\n  broadside run %s\n  broadside run cancel %s    ends it", errInterrupted, id, next, id)
}
