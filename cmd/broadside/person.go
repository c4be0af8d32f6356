package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign/address"
	"broadside/internal/app"
	"broadside/internal/person"
)

func personCommand(c *cli) *cobra.Command {
	return noun("person", "What is known of one address, and erasing it", exportPersonCommand(c), erasePersonCommand(c))
}

// withPerson opens the store for one address that a person named.
func (c *cli) withPerson(cmd *cobra.Command, text string, do func(ctx context.Context, p *person.People, a address.Address) error) error {
	addresses, err := address.ParseAll([]string{text})
	if err != nil {
		return err
	}
	return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
		p := &person.People{Suppression: a.Suppression, Lists: a.Lists, Ledger: a.Ledger, Runs: a.Runs, Subscribers: a.Subscribers, Webhooks: a.Webhooks, Singles: a.SingleStore}
		return do(ctx, p, addresses[0])
	})
}

func exportPersonCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "export ADDRESS",
		Short: "Everything that is known of an address",
		Long: `Everything in Redis that is known of an address: suppressions, lists, the proof
of subscriptions that its owner has confirmed, and runs with what became of it there. It reads all lists and all runs whose addresses are kept.`,
		Example: `  broadside person export ada@example.org --json`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPerson(cmd, args[0], func(ctx context.Context, p *person.People, a address.Address) error {
				known, err := p.Export(ctx, a)
				if err != nil {
					return err
				}
				c.noteUnread(known.Unread)
				if c.asJSON {
					return c.json(known)
				}
				return c.table([]string{"WHAT", "WHERE", "STATE", "DETAIL"}, knownRows(known))
			})
		},
	}
}

func knownRows(known person.Known) [][]string {
	var rows [][]string
	for _, r := range known.Suppressions {
		rows = append(rows, []string{"suppression", r.Entry.Scope, r.Entry.Reason, r.Entry.Source + " " + r.Entry.At.UTC().Format(time.RFC3339)})
	}
	for _, name := range known.Lists {
		rows = append(rows, []string{"list", name, "", ""})
	}
	for _, p := range known.Subscriptions {
		detail := fmt.Sprintf("asked %s by %s %s, text %s in %s", p.Asked.Format(time.RFC3339), p.Source, p.Network, p.Text, p.Language)
		rows = append(rows, []string{"subscription", p.List, "confirmed " + p.Confirmed.Format(time.RFC3339), printable(detail)})
	}
	for _, r := range known.Runs {
		rows = append(rows, []string{"run", r.Run, r.State, strings.TrimSpace(fmt.Sprintf("%d attempts %s", r.Attempts, r.Reply))})
	}
	for _, m := range known.Messages {
		rows = append(rows, []string{"message", m.Template, m.State, strings.TrimSpace(fmt.Sprintf("%s %s", m.ID, m.Reply))})
	}
	return rows
}

// noteUnread says which runs may have an address that no one could look for.
func (c *cli) noteUnread(runs []string) {
	if len(runs) > 0 {
		c.note("not looked at, because they are being made: %s; repeat this when they are made", strings.Join(runs, ", "))
	}
}

func erasePersonCommand(c *cli) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "erase ADDRESS",
		Short: "Forget an address, and do not mail it again",
		Long: `Take an address out of all lists, runs, suppressions, confirmed subscriptions, single messages and webhooks that wait. Its hash stays on the
suppression list, so that it is not mailed again, even if it is imported; a run that is under
way does not mail it either. Older versions of a list that have it are removed.

What this does not reach is in docs/privacy.md: files, backups, and what a schedule has
stored. It cannot be undone, and asks nothing.`,
		Example: `  broadside person erase ada@example.org --dry-run
  broadside person erase ada@example.org`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.withPerson(cmd, args[0], func(ctx context.Context, p *person.People, a address.Address) error {
				erased, err := p.Erase(ctx, a, dryRun)
				if err != nil {
					return err
				}
				c.noteUnread(erased.Unread)
				return c.printErased(erased)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "say where the address is, and change nothing")

	return cmd
}

func (c *cli) printErased(e person.Erased) error {
	if c.asJSON {
		return c.json(e)
	}
	verb := "erased from"
	if e.DryRun {
		verb = "would be erased from"
	}
	_, err := fmt.Fprintf(c.stdout, "%s %d lists and %d runs; its hash stays suppressed\n", verb, len(e.Lists), len(e.Runs))
	if err == nil && e.Messages > 0 {
		_, err = fmt.Fprintf(c.stdout, "%s %d single messages\n", verb, e.Messages)
	}
	if err == nil && e.Webhooks > 0 {
		_, err = fmt.Fprintf(c.stdout, "%s %d webhooks that wait or are dead\n", verb, e.Webhooks)
	}
	if err != nil || len(e.Subscriptions) == 0 {
		return err
	}
	_, err = fmt.Fprintf(c.stdout, "%s the confirmed subscriptions of %s\n", verb, strings.Join(e.Subscriptions, ", "))
	return err
}
