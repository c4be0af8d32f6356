package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"broadside/campaign/feed"
	"broadside/internal/app"
)

// needsAt refuses a command line without --at.
func needsAt(cmd *cobra.Command, at string) error {
	if at == "" {
		return usagef(cmd, "--at: expected a time of the schedule, such as 2026-12-28T09:00")
	}
	return nil
}

func runOccurrenceCommand(c *cli) *cobra.Command {
	var at string
	cmd := &cobra.Command{
		Use:   "run ID --at TIME",
		Short: "Make the run of one time of a scheduled campaign now",
		Long: "Make the run of one time of a scheduled campaign now. When the time comes no other run is made of it.\n" +
			"The time is as in `campaign show`; without an offset it is by the clock of the schedule.",
		Example: "  broadside campaign run weekly --at 2026-12-28T09:00",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := needsAt(cmd, at); err != nil {
				return err
			}
			return c.withSchedule(ctx, args[0], func(a *app.App, id string) error {
				run, err := a.Schedules.RunNow(ctx, id, at)
				if errors.Is(err, feed.ErrNothingNew) {
					return c.nothingNew(id, err)
				}
				if err != nil {
					return err
				}
				if c.asJSON {
					return c.json(map[string]any{"id": id, "run": run})
				}
				fmt.Fprintln(c.stdout, run)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "TIME whose run is made, such as 2026-12-28T09:00")
	return cmd
}

func skipCommand(c *cli) *cobra.Command {
	var at string
	var undo bool
	cmd := &cobra.Command{
		Use:   "skip ID --at TIME",
		Short: "Leave out one time of a scheduled campaign",
		Long: "Leave out one time of a scheduled campaign: no run is made of it, and `campaign show` has it as skipped.\n" +
			"The time is as in `campaign show`; without an offset it is by the clock of the schedule.",
		Example: "  broadside campaign skip weekly --at 2026-12-28T09:00\n  broadside campaign skip weekly --at 2026-12-28T09:00 --undo",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := needsAt(cmd, at); err != nil {
				return err
			}
			return c.withSchedule(ctx, args[0], func(a *app.App, id string) error {
				skip := a.Schedules.Skip
				if undo {
					skip = a.Schedules.Unskip
				}
				e, when, err := skip(ctx, id, at)
				if err != nil {
					return err
				}

				if c.asJSON {
					return c.json(map[string]any{"id": id, "at": stamp(when), "skipped": !undo})
				}
				word := "skipped"
				if undo {
					word = "not skipped any more:"
				}
				fmt.Fprintf(c.stdout, "%s %s of %s\n", word, moment(when, e.Timing), id)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "TIME that is left out, such as 2026-12-28T09:00")
	cmd.Flags().BoolVar(&undo, "undo", false, "send at that time after all")
	return cmd
}
