package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/configs/units"
	"broadside/internal/account"
	"broadside/internal/doctor"
)

func accountCommand(c *cli) *cobra.Command {
	return noun("account", "The ways out: SMTP relays with their limits", accountsCommand(c), checkAccountCommand(c), presetsCommand(c))
}

func accountsCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "All accounts: limits, open connections, and which are closed",
		Example: `  broadside account ls`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer c.close(a)
			if a.Embedded() {
				c.note("no redis_url: this is what is configured; what is open or closed is known with REDIS_URL only")
			}
			states, err := a.AccountStates(cmd.Context())
			if err != nil {
				return err
			}
			if c.asJSON {
				return c.json(states)
			}
			return c.printAccounts(states)
		},
	}
}

func (c *cli) printAccounts(states []account.State) error {
	var rows [][]string
	for _, s := range states {
		state := "open"
		if s.Closed != nil {
			state = fmt.Sprintf("closed until %s: %s", s.Closed.Until.UTC().Format(time.RFC3339), s.Closed.Reason)
		}
		rows = append(rows, []string{
			s.Name, s.Preset, s.Stream, s.Host + ":" + strconv.Itoa(s.Port), s.TLS, units.FormatRate(s.Limits.RatePerS),
			fmt.Sprintf("%d of %d", s.Connections, s.Limits.Connections), strconv.Itoa(s.Limits.MessagesPerConnection),
			quotaText(s), warmupText(s.Warmup), state,
		})
	}
	return c.table([]string{"NAME", "PRESET", "STREAM", "SERVER", "TLS", "RATE", "CONNECTIONS", "PER CONNECTION", "QUOTA", "WARM-UP", "STATE"}, rows)
}

// quotaText says how much of its quotas an account has used; empty when it has none.
func quotaText(s account.State) string {
	var texts []string
	if s.Limits.PerHour > 0 {
		texts = append(texts, fmt.Sprintf("%d of %d an hour", s.Used.Hour, s.Limits.PerHour))
	}
	if s.Limits.PerDay > 0 {
		texts = append(texts, fmt.Sprintf("%d of %d a day", s.Used.Day, s.Limits.PerDay))
	}
	return strings.Join(texts, ", ")
}

// warmupText says which day of its warm-up an account has; empty when it has none.
func warmupText(w *account.Warmup) string {
	switch {
	case w == nil:
		return ""
	case w.Day == 0:
		return "not begun"
	}
	return fmt.Sprintf("day %d: %d of %d", w.Day, w.Used, w.Allowance)
}

func checkAccountCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check NAME",
		Short: "Connect to an account: TLS, login, what is offered, what to mend",
		Long: `Connect to an account as a worker would: EHLO, TLS and login. Nothing is sent, and no
Redis is needed.`,
		Example: `  broadside account check ses-main`,
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.checkAccount(cmd.Context(), args[0])
		},
	}
	laterFlag(cmd, "mailbox")
	return cmd
}

func (c *cli) checkAccount(ctx context.Context, name string) error {
	cfg, err := c.load(ctx)
	if err != nil {
		return err
	}
	check, err := doctor.CheckAccount(ctx, cfg, name)
	if check == nil {
		return err
	}
	if c.asJSON {
		return errors.Join(c.json(check), err)
	}
	fmt.Fprintf(c.stdout, "%s (%s)\n", check.Account, check.Address)
	for _, s := range check.Steps {
		fmt.Fprintln(c.stdout, strings.TrimRight(fmt.Sprintf("  %-8s %s %s", s.Step, c.ink().word(fmt.Sprintf("%-8s", s.Outcome)), printable(s.Detail)), " "))
	}
	if check.Offers != nil {
		fmt.Fprintf(c.stdout, "  offers   %s\n", offersText(check.Offers))
	}
	l := check.Limits
	fmt.Fprintf(c.stdout, "  limits   rate %s, %d connections, %d messages each\n", units.FormatRate(l.RatePerS), l.Connections, l.MessagesPerConnection)
	notes := check.Problems
	if !check.OK {
		notes = notes[:len(notes)-1] // the error says the last one
	}
	for _, p := range notes {
		fmt.Fprintf(c.stdout, "  note     %s: %s\n", printable(p.Problem), p.Fix)
	}
	return err
}

func offersText(o *doctor.AccountOffers) string {
	var all []string
	for _, e := range []struct {
		name string
		has  bool
	}{{"PIPELINING", o.Pipelining}, {"8BITMIME", o.EightBit}, {"SMTPUTF8", o.SMTPUTF8}} {
		if e.has {
			all = append(all, e.name)
		}
	}
	if o.Size > 0 {
		all = append(all, fmt.Sprintf("SIZE %d", o.Size))
	}
	if len(o.Auth) > 0 {
		all = append(all, "AUTH "+strings.Join(o.Auth, " "))
	}
	if len(all) == 0 {
		return "nothing"
	}
	return printable(strings.Join(all, ", "))
}
