package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"broadside/internal/app"
	"broadside/internal/backup"
	"broadside/internal/input"
)

func backupCommand(c *cli) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "Write lists, suppressions, topics, subscriptions and schedules to one file",
		Long: `Write what campaign files and configuration do not have to one compressed file:
suppressions, topics, proofs of subscriptions, lists (the newest version; empty ones
are left out) and the schedules that are still to come, with their files. It holds addresses, and no
secret of the configuration.

Others may go on writing meanwhile. The file is complete or not there; restore
refuses one that was cut off. Without --out it goes to the standard output.`,
		Example: `  broadside backup --out broadside-$(date +%F).backup
  broadside backup | age -r age1... > broadside.backup.age`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			toStdout := out == "" || out == "-"
			switch f, ok := c.stdout.(*os.File); {
			case toStdout && c.asJSON:
				return usagef(cmd, "the backup itself goes to the standard output: add --out FILE to have --json there")
			case toStdout && ok && term.IsTerminal(int(f.Fd())):
				return usagef(cmd, "a backup is not for the eye: add --out FILE, or send the output on")
			}
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error { return c.backUp(ctx, a, out, toStdout) })
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` to write (only its owner can read it)")
	return cmd
}

func (c *cli) backUp(ctx context.Context, a *app.App, out string, toStdout bool) error {
	if toStdout {
		counts, err := a.Backup.Write(ctx, c.stdout)
		if err != nil {
			return err
		}
		c.note("%s", countsText(counts))
		return nil
	}

	var counts backup.Counts
	err := whole(out, func(w io.Writer) (err error) {
		counts, err = a.Backup.Write(ctx, w)
		return err
	})
	if err != nil {
		return err
	}

	if c.asJSON {
		return c.json(struct {
			File string `json:"file"`
			backup.Counts
			Proofs int64 `json:"proofs"` // also when there are none
		}{out, counts, counts.Proofs})
	}

	_, err = fmt.Fprintf(c.stdout, "%s: %s\n", out, countsText(counts))
	return err
}

func countsText(n backup.Counts) string {
	return fmt.Sprintf("%d suppressions, %d topics, %d proofs of subscriptions, %d lists with %d people, %d schedules",
		n.Suppressions, n.Topics, n.Proofs, n.Lists, n.People, n.Schedules)
}

func restoreCommand(c *cli) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Merge a backup into what there is",
		Long: `Merge a backup into what there is: who is missing from the suppressions and the
lists is added, missing proofs of subscriptions and schedules are stored. Nothing is changed or
removed: who was taken off the suppressions since the backup is on them again.
Times of a schedule that passed since the backup are not made up for.

The whole file is read before anything is written. Restoring twice adds nothing,
so that what was interrupted can be done again. FILE - is the standard input.`,
		Example: `  broadside restore broadside-2026-10-01.backup --dry-run
  broadside restore broadside-2026-10-01.backup`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, name, err := c.input(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer in.Close() //nolint:errcheck // only read
			var file io.ReadSeeker
			if f, ok := in.(*input.File); ok && !f.IsPipe() {
				file = f
			} else {
				spooled, err := spool(in)
				if err != nil {
					return err
				}
				defer spooled.Close() //nolint:errcheck // it has no name any more
				file = spooled
			}

			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				done, err := a.Backup.Restore(ctx, file, name, dryRun)
				if err != nil {
					return err
				}
				return c.restored(done, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say what would be added, and change nothing")
	return cmd
}

// spool copies a stream that cannot be read twice to a file without a name.
func spool(r io.Reader) (*os.File, error) {
	f, err := os.CreateTemp("", ".broadside-restore-*") // 0o600: addresses
	if err != nil {
		return nil, fmt.Errorf("keep it to read it twice (TMPDIR names another directory): %w", err)
	}

	_, err = io.Copy(f, r)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}

	if err = errors.Join(err, os.Remove(f.Name())); err != nil {
		return nil, errors.Join(fmt.Errorf("keep it to read it twice (TMPDIR names another directory): %w", err), f.Close())
	}

	return f, nil
}

func (c *cli) restored(r backup.Restored, dryRun bool) error {
	if c.asJSON {
		return c.json(restoredDocument(r, dryRun))
	}

	rows := [][]string{
		{"suppressions", itoa(r.Suppressions.Added), itoa(r.Suppressions.Kept), ""},
		{"topics", itoa(r.Topics.Added), itoa(r.Topics.Kept), ""},
		{"proofs of subscriptions", itoa(r.Proofs.Added), itoa(r.Proofs.Kept), ""},
	}
	for _, l := range r.Lists {
		rows = append(rows, []string{"list " + l.Name, itoa(l.Added), itoa(l.Kept), fmt.Sprintf("%d people", l.Total)})
	}

	for _, s := range r.Schedules {
		row := []string{"schedule " + s.ID, "0", "0", ""}
		switch s.State {
		case backup.ScheduleAdded:
			row[1] = "1"
			row[3] = "next " + s.Next.Format(time.RFC3339)
		case backup.ScheduleKept:
			row[2] = "1"
		case backup.SchedulePast:
			row[3] = "left out: its time has passed"
		}
		rows = append(rows, row)
	}

	if err := c.table([]string{"WHAT", "ADDED", "KEPT", ""}, rows); err != nil {
		return err
	}
	if dryRun {
		c.note("dry run: nothing was changed")
	}

	return nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// restoredDocument is what --json prints of a restore.
func restoredDocument(r backup.Restored, dryRun bool) any {
	type schedule struct {
		ID    string  `json:"schedule"`
		State string  `json:"state"`
		Next  *string `json:"next"`
	}
	schedules := []schedule{}
	for _, s := range r.Schedules {
		schedules = append(schedules, schedule{s.ID, s.State, stamp(s.Next)})
	}

	return struct {
		DryRun       bool                  `json:"dry_run"`
		Created      *string               `json:"created"`
		Namespace    string                `json:"namespace"`
		Suppressions backup.Merged         `json:"suppressions"`
		Topics       backup.Merged         `json:"topics"`
		Proofs       backup.Merged         `json:"proofs"`
		Lists        []backup.RestoredList `json:"lists"`
		Schedules    []schedule            `json:"schedules"`
	}{dryRun, stamp(r.Header.Created), r.Header.Namespace, r.Suppressions, r.Topics, r.Proofs, r.Lists, schedules}
}
