package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/internal/app"
	"broadside/internal/failure"
)

func listCommand(c *cli) *cobra.Command {
	return noun("list", "Named audiences, kept in Redis",
		importListCommand(c), listsCommand(c), showListCommand(c), exportListCommand(c), removeListCommand(c),
		changeListCommand(c, "add", "Add addresses to a list, which is made when it is missing", addToList),
		changeListCommand(c, "remove", "Take addresses off a list", removeFromList),
		restoreListCommand(c), subscribeListCommand(c))
}

func importListCommand(c *cli) *cobra.Command {
	var opts audience.Options
	var mode string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Read a file into a list",
		Long: `Read a CSV, XLSX or JSONL file (.gz, .zst too; - for the standard input, list:NAME for
another list) into a list. A file that is at fault leaves the list as it was; the
last three versions are kept (list restore).

  merge    a row replaces the one of its address; columns it lacks keep their value
  replace  the list is the new rows alone
  add      only new addresses are added`,
		Example: `  broadside list import subscribers people.csv
  broadside list import subscribers people.csv --mode replace --dry-run`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			modes := []string{string(audience.Merge), string(audience.Replace), string(audience.Add)}
			if !slices.Contains(modes, mode) {
				return usagef(cmd, "--mode: found %q, expected one of %s", mode, strings.Join(modes, ", "))
			}
			o := audience.ImportOptions{Mode: audience.Mode(mode), DryRun: dryRun}
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				return c.importList(ctx, a, args[0], args[1], opts, o)
			})
		},
	}
	cmd.Flags().StringVar(&mode, "mode", string(audience.Merge), "`MODE`: merge, replace or add")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count, and change nothing")
	cmd.Flags().StringVar(&opts.Email, "email", "", "`HEADER` of the column with the addresses (default: the one that fits)")
	cmd.Flags().StringVar(&opts.Sheet, "sheet", "", "`NAME` of the worksheet of an .xlsx file (default: the first)")
	cmd.Flags().StringVar(&opts.Encoding, "encoding", "", "`CHARSET` of the file, such as windows-1252 (default: UTF-8)")

	return cmd
}

func (c *cli) importList(ctx context.Context, a *app.App, name, source string, opts audience.Options, o audience.ImportOptions) error {
	var r *audience.Reader
	var err error
	if from, ok := audience.ListName(source); ok {
		r, err = a.Lists.Open(ctx, from, opts)
	} else {
		r, err = audience.Open(ctx, audience.Source{Path: source, Reader: c.in}, opts)
	}

	if err != nil {
		return err
	}
	defer r.Close() //nolint:errcheck // only read
	shown := 0
	o.OnReject = func(r *audience.Reject) {
		shown++
		if shown <= maxRejectsShown {
			c.note("%s: %s", source, printable(r.Error()))
		}
	}
	sum, err := a.ImportList(ctx, name, r, o)
	if err != nil {
		return err
	}

	if shown > maxRejectsShown {
		c.note("... and %d more", shown-maxRejectsShown)
	}
	if c.asJSON {
		return c.json(sum)
	}

	fmt.Fprintf(c.stdout, "%s: %d rows: %d added, %d updated, %d known, %d invalid, %d duplicate\n",
		name, sum.Rows, sum.Added, sum.Updated, sum.Known, sum.Invalid, sum.Duplicate)
	switch {
	case o.DryRun:
		fmt.Fprintf(c.stdout, "dry run: nothing was changed; it would have %d recipients\n", sum.Total)
	case sum.Version == 0:
		fmt.Fprintf(c.stdout, "nothing changed: %d recipients\n", sum.Total)
	default:
		fmt.Fprintf(c.stdout, "version %d: %d recipients\n", sum.Version, sum.Total)
	}

	return nil
}

func listsCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "All lists",
		Example: `  broadside list ls`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				all, err := a.Lists.Ls(ctx)
				if err != nil {
					return err
				}
				lists, err := withConfirmed(ctx, a, all...)
				if err != nil {
					return err
				}

				if c.asJSON {
					return c.json(lists)
				}

				var rows [][]string
				for _, l := range lists {
					if l.Broken != "" {
						rows = append(rows, []string{l.Name, "", "", l.Broken, ""})
						continue
					}
					rows = append(rows, []string{l.Name, strconv.FormatInt(l.Count, 10), strconv.FormatInt(l.Confirmed, 10), strings.Join(l.Columns, ","), l.Updated.UTC().Format(time.RFC3339)})
				}

				return c.table([]string{"NAME", "RECIPIENTS", "CONFIRMED", "COLUMNS", "UPDATED"}, rows)
			})
		},
	}
}

func showListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "A list and its versions",
		Example: `  broadside list show subscribers`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				found, err := a.Lists.Show(ctx, args[0])
				if err != nil {
					return err
				}
				all, err := withConfirmed(ctx, a, found)
				if err != nil {
					return err
				}

				l := all[0]
				if c.asJSON {
					return c.json(l)
				}
				if l.Confirmed > 0 {
					c.note("%d subscriptions were confirmed by their owners", l.Confirmed)
				}

				var rows [][]string
				for _, v := range l.Versions {
					rows = append(rows, []string{
						fmt.Sprintf("%s@%d", l.Name, v.N), strconv.FormatInt(v.Count, 10), v.Created.UTC().Format(time.RFC3339), v.Change, v.From, strings.Join(v.Columns, ","),
					})
				}

				return c.table([]string{"VERSION", "RECIPIENTS", "CREATED", "CHANGE", "FROM", "COLUMNS"}, rows)
			})
		},
	}
}

func exportListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "export NAME [FILE]",
		Short: "Write a list as CSV",
		Long: `Write a list as CSV, to the standard output without FILE. import reads it back the
same. --json prints an array of objects instead.`,
		Example: `  broadside list export subscribers people.csv`,
		Args:    args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				return c.export(args[1:], func(w io.Writer) error { return a.Lists.Export(ctx, args[0], w) })
			})
		},
	}
}

func removeListCommand(c *cli) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:     "rm NAME",
		Short:   "Remove a list and all its versions",
		Example: `  broadside list rm subscribers --yes`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				l, err := a.Lists.Show(ctx, args[0])
				if err != nil {
					return err
				}

				if err := c.agree(fmt.Sprintf("this removes list %s with %d recipients and all its versions", l.Name, l.Count), l.Name, yes); err != nil {
					return err
				}
				if err := a.Lists.Rm(ctx, l.Name); err != nil {
					return err
				}

				if c.asJSON {
					return c.json(struct {
						Removed string `json:"removed"`
					}{l.Name})
				}

				_, err = fmt.Fprintf(c.stdout, "removed list %s\n", l.Name)
				return err
			})
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// agree has a word typed before something is done that cannot be undone. Without
// a terminal only --yes will do.
func (c *cli) agree(what, word string, yes bool) error {
	if yes {
		return nil
	}
	if !c.asks() {
		return fmt.Errorf("%w: %s, and there is no terminal to ask at: add --yes; nothing was done", failure.ErrRefused, what)
	}

	fmt.Fprintf(c.stderr, "%s; type %s to go on, anything else stops: ", what, word)
	got, err := c.answer()
	if err != nil {
		return err
	}

	if got != word {
		return fmt.Errorf("%w: found %q, expected %s; nothing was done", failure.ErrRefused, printable(got), word)
	}

	return nil
}

// A listChange changes a list by a few addresses and says in how many of them it
// differs now.
type listChange func(ctx context.Context, a *app.App, name string, addresses []string) (int64, error)

func addToList(ctx context.Context, a *app.App, name string, texts []string) (int64, error) {
	addresses, err := address.ParseAll(texts)
	if err != nil {
		return 0, err
	}
	sum, err := a.Lists.Add(ctx, name, addresses...)
	return sum.Added, err
}

func removeFromList(ctx context.Context, a *app.App, name string, texts []string) (int64, error) {
	addresses, err := address.ParseAll(texts)
	if err != nil {
		return 0, err
	}
	return a.Lists.Remove(ctx, name, addresses...)
}

func changeListCommand(c *cli, verb, short string, change listChange) *cobra.Command {
	return &cobra.Command{
		Use:     verb + " NAME ADDRESS...",
		Short:   short,
		Example: "  broadside list " + verb + " subscribers ada@example.org grace@example.net",
		Args:    args(cobra.MinimumNArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				n, err := change(ctx, a, args[0], args[1:])
				if err != nil {
					return err
				}

				l, err := a.Lists.Show(ctx, args[0])
				if err != nil {
					return err
				}

				if c.asJSON {
					return c.json(struct {
						List    string `json:"list"`
						Changed int64  `json:"changed"`
						Total   int64  `json:"total"`
					}{l.Name, n, l.Count})
				}

				_, err = fmt.Fprintf(c.stdout, "%s: %d of %d addresses made a difference: %d recipients\n", l.Name, n, len(args)-1, l.Count)
				return err
			})
		},
	}
}

func restoreListCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "restore NAME@N",
		Short:   "Make an earlier version the newest again",
		Example: `  broadside list restore subscribers@3`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, number, ok := strings.Cut(args[0], "@")
			n, err := strconv.Atoi(number)
			if !ok || err != nil || n < 1 {
				return usagef(cmd, "found %q, expected NAME@N, such as subscribers@3 (see list show)", args[0])
			}

			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				v, err := a.Lists.Restore(ctx, name, n)
				if err != nil {
					return err
				}
				if c.asJSON {
					return c.json(v)
				}
				_, err = fmt.Fprintf(c.stdout, "%s: version %d is version %d again: %d recipients\n", name, v.N, n, v.Count)
				return err
			})
		},
	}
}
