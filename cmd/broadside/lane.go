package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"broadside/configs/units"
	"broadside/internal/app"
	"broadside/internal/lanes"
	"broadside/throttle"
)

func laneCommand(c *cli) *cobra.Command {
	return noun(
		"lane", "What an account sends to one mailbox provider: pace, pause, reset",
		listLanesCommand(c), pauseLaneCommand(c), resumeLaneCommand(c), resetLaneCommand(c),
	)
}

func listLanesCommand(c *cli) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "The lanes that are not open, have work, or have limits of their own",
		Long: `The lanes of all accounts that are not open, have recipients waiting, or have limits
of their own. A lane is slowed when its provider asked for less mail: it climbs
by itself, next at UNTIL. It is paused when the provider takes nothing: one
message tries it at UNTIL. It is closed until somebody opens it, by an operator
(lane resume) or by the storm guard (lane reset).`,
		Example: "  broadside lane ls\n  broadside lane ls --watch\n  broadside lane ls --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				if watch {
					return c.watchLanes(ctx, a)
				}
				all, err := a.LaneControl.List(ctx, time.Now())
				if err != nil {
					return err
				}
				if len(all) == 0 && !c.asJSON {
					c.note("all lanes are open, and none has work or limits of its own")
					return nil
				}
				return c.printLanes(all)
			})
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "again each second, until Ctrl-C")
	return cmd
}

// watchEvery is how often lanes that are watched are shown.
const watchEvery = time.Second

// watchLanes shows the lanes each second until ctx ends: on a terminal in place, and
// elsewhere one block after the other.
func (c *cli) watchLanes(ctx context.Context, a *app.App) error {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		all, err := a.LaneControl.List(ctx, time.Now())
		if ctx.Err() != nil {
			return errInterrupted
		}
		if err != nil {
			return err
		}

		switch {
		case c.stdoutTTY && !c.asJSON:
			fmt.Fprint(c.stdout, clearScreen)
		case !first && !c.asJSON:
			fmt.Fprintln(c.stdout)
		}
		if err := c.printLanes(all); err != nil {
			return err
		}

		select {
		case <-ctx.Done():
			return errInterrupted
		case <-tick.C:
		}
	}
}

// clearScreen empties a terminal and goes to its first line (ECMA-48 ED, CUP).
const clearScreen = "\x1b[2J\x1b[H"

func (c *cli) printLanes(all []lanes.Lane) error {
	if c.asJSON {
		return c.json(all)
	}
	var rows [][]string
	for _, l := range all {
		until := ""
		if !l.Until.IsZero() {
			until = l.Until.UTC().Format(time.RFC3339)
		}
		rows = append(rows, []string{
			l.Name(), string(l.State), rateText(l.Rate), rateText(l.Ceiling), countText(l.Connections), countText(l.Queued), until, l.Reason,
		})
	}
	return c.table([]string{"LANE", "STATE", "RATE", "CEILING", "CONNECTIONS", "QUEUED", "UNTIL", "REASON"}, rows)
}

// rateText returns a rate for people; nil is no ceiling, 0 that nothing leaves.
func rateText(rate *float64) string {
	switch {
	case rate == nil:
		return "none"
	case *rate == 0:
		return "0/s"
	}
	return units.FormatRate(*rate)
}

// countText returns a number for people; nothing for one that is not counted.
func countText[N int | int64](n *N) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(int64(*n), 10)
}

// withLane opens what was kept and does something with the lane that text means.
func (c *cli) withLane(ctx context.Context, text string, do func(a *app.App, name lanes.Name) (lanes.Lane, error)) error {
	return c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		name, err := lanes.Parse(a.Config, text)
		if err != nil {
			return err
		}
		l, err := do(a, name)
		if err != nil {
			return err
		}
		return c.printLane(l)
	})
}

// printLane says how a lane stands after a change.
func (c *cli) printLane(l lanes.Lane) error {
	if c.asJSON {
		return c.json(l)
	}
	text := fmt.Sprintf("lane %s is %s", l.Name(), l.State)
	if l.State != throttle.LaneOpen {
		text += ": " + printable(l.Reason)
	}
	c.note("%s", text)
	return nil
}

func pauseLaneCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "pause ACCOUNT/PROVIDER",
		Short: "Close a lane: nothing leaves by it until it is resumed",
		Long: `Close a lane within a second, for all workers. Other lanes go on. Recipients of
the lane wait, or go by another account of their campaign, and are not charged an
attempt; the expires_after of their run goes on.

In place of PROVIDER a domain of the long tail (slow.example) names its lane.`,
		Example: "  broadside lane pause ses-main/gmail\n  broadside lane pause ses-main/slow.example",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withLane(ctx, args[0], func(a *app.App, name lanes.Name) (lanes.Lane, error) {
				return a.LaneControl.Pause(ctx, time.Now(), name)
			})
		},
	}
}

func resumeLaneCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "resume ACCOUNT/PROVIDER",
		Short: "Open a lane that was paused",
		Long: `Open a lane that an operator or a server has paused. It goes on at the rate that
it had: "lane reset" forgets that too.`,
		Example: "  broadside lane resume ses-main/gmail",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			return c.withLane(ctx, args[0], func(a *app.App, name lanes.Name) (lanes.Lane, error) {
				return a.LaneControl.Resume(ctx, time.Now(), name)
			})
		},
	}
}

func resetLaneCommand(c *cli) *cobra.Command {
	var discard, confirm bool
	cmd := &cobra.Command{
		Use:   "reset ACCOUNT/PROVIDER",
		Short: "Open a lane and forget what was learnt about it",
		Long: `Open a lane and forget what was learnt about it, whatever its state. It asks nothing.

A lane that is closed because its server called too many addresses dead needs a
decision. --discard: the addresses exist, the server was wrong. Their suppressions
since the storm began are taken away again, except those that stood on the list
before or were added for another reason too; "run retry" sends to them. --confirm,
which is also what happens without a flag: the suppressions stay.`,
		Example: "  broadside lane reset ses-main/gmail\n  broadside lane reset ses-main/gmail --discard\n  broadside lane reset ses-main/gmail --confirm",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			switch {
			case discard && confirm:
				return usagef(cmd, "found --discard and --confirm, expected one of them")
			case discard:
				return c.discardStorm(ctx, args[0])
			}
			return c.withLane(ctx, args[0], func(a *app.App, name lanes.Name) (lanes.Lane, error) {
				return a.LaneControl.Reset(ctx, time.Now(), name)
			})
		},
	}
	cmd.Flags().BoolVar(&discard, "discard", false, "after a storm: take its suppressions away again")
	cmd.Flags().BoolVar(&confirm, "confirm", false, "after a storm: keep its suppressions (the default)")
	return cmd
}

// discardStorm resets a lane and takes the suppressions of its storm away.
func (c *cli) discardStorm(ctx context.Context, text string) error {
	return c.kept(ctx, false, func(ctx context.Context, a *app.App) error {
		name, err := lanes.Parse(a.Config, text)
		if err != nil {
			return err
		}
		d, err := a.LaneControl.Discard(ctx, time.Now(), name)
		if err != nil {
			return err
		}
		if c.asJSON {
			return c.json(d)
		}

		c.note("%d suppressions were taken away again", d.Suppressions)
		for _, run := range d.Runs {
			c.note("broadside run retry %s --state bounced --reason storm    sends to them when the run is over", run)
		}
		return c.printLane(d.Lane)
	})
}
