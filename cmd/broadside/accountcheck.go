package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/configs"
	"broadside/internal/doctor"
)

func checkAccountCommand(c *cli) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check NAME",
		Short: "Connect to an account: TLS, login, what is offered, what to mend",
		Long: `Connect to an account as a worker would: EHLO, TLS and login. Nothing is sent, and no
Redis is needed; where there is one it says whether workers have closed the account, and
the access token of an account with oauth2 is shared through it. When nothing answers,
the other ports of the server are tried.`,
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
	o, done := c.sharedOf(ctx, cfg, name)
	defer done()
	check, err := doctor.CheckAccount(ctx, cfg, name, o)
	if check == nil {
		return err
	}
	if c.asJSON {
		return errors.Join(c.json(check), err)
	}
	c.printCheck(check, err)
	return err
}

// sharedOf returns what the workers know of an account: its access tokens, and whether it
// is closed; and how to let go of it. Without Redis nothing is known.
func (c *cli) sharedOf(ctx context.Context, cfg *configs.Config, name string) (doctor.AccountOptions, func()) {
	acct, known := cfg.Accounts[name]
	if cfg.RedisURL == "" || !known {
		return doctor.AccountOptions{}, func() {}
	}

	a, err := c.openWith(ctx, cfg, false)
	if err != nil {
		c.note("no access token is shared with the workers, and whether they have closed the account is not known: %v", err)
		return doctor.AccountOptions{}, func() {}
	}

	closed, err := a.AccountClosed(ctx, name)
	if err != nil {
		c.note("whether the account is closed is not known: %v", err)
	}
	o := doctor.AccountOptions{Closed: closed}
	if acct.OAuth2 != nil {
		o.Tokens = a.Tokens
	}
	return o, func() { c.close(a) }
}

// printCheck prints what was found; err is printed by the caller.
func (c *cli) printCheck(check *doctor.AccountCheck, err error) {
	line := func(label, text string) { fmt.Fprintf(c.stdout, "  %-8s %s\n", label, text) }
	fmt.Fprintf(c.stdout, "%s (%s)\n", check.Account, check.Address)
	for _, s := range check.Steps {
		line(s.Step, strings.TrimRight(fmt.Sprintf("%s %s", c.ink().word(fmt.Sprintf("%-8s", s.Outcome)), printable(s.Detail)), " "))
	}
	if check.Offers != nil {
		for i, text := range offersText(check.Offers) {
			line(labelOf("offers", i), text)
		}
		line("message", check.Offers.Dialogue)
	}
	for i, text := range check.Ceilings {
		line(labelOf("limits", i), text)
	}

	if check.Closed != nil {
		line("closed", fmt.Sprintf("until %s: %s", check.Closed.Until.UTC().Format(time.RFC3339), printable(check.Closed.Reason)))
	}

	notes := check.Problems
	if !check.OK {
		notes = notes[:len(notes)-1] // the error says the last one
	}
	for _, p := range notes {
		line("note", printable(p.Problem)+": "+printable(p.Fix))
	}
	if err != nil {
		if fix := check.Problems[len(notes)].Fix; !strings.Contains(err.Error(), fix) {
			line("fix", printable(fix))
		}
	}
}

// labelOf returns the label of the nth line under it.
func labelOf(label string, n int) string {
	if n > 0 {
		return ""
	}
	return label
}

// offersText says what a server offers, a line for each keyword.
func offersText(o *doctor.AccountOffers) []string {
	if len(o.Keywords) == 0 {
		return []string{"nothing"}
	}
	var lines []string
	for _, k := range o.Keywords {
		text := printable(k.Keyword)
		if k.Meaning != "" {
			text += ": " + k.Meaning
		}
		lines = append(lines, text)
	}
	return lines
}
