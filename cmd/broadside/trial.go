package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign/address"
	"broadside/internal/account"
	"broadside/internal/letter"
	"broadside/sender/oauth"
)

func trialCommand(c *cli) *cobra.Command {
	var o letter.TestOptions
	var yes bool
	cmd := &cobra.Command{
		Use:   "test CAMPAIGN --to ADDRESS,...",
		Short: "Send marked copies to yourself",
		Long: `Send copies with [Test] in the subject now: as the first recipient, and as the one
with the most blanks among the fields that the campaign uses. Their links
unsubscribe no one, and nothing is stored. A suppressed address has to be confirmed.`,
		Example: `  broadside campaign test october.yaml --to me@acme.example
  broadside campaign test october.yaml --to me@acme.example,you@acme.example --as row:17`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n := len(o.To); n == 0 || n > letter.MaxTestAddresses {
				return usagef(cmd, "--to has %d addresses, expected 1 to %d", n, letter.MaxTestAddresses)
			}
			return trial(cmd.Context(), c, args[0], o, yes)
		},
	}
	cmd.Flags().StringSliceVar(&o.To, "to", nil, "`ADDRESSES` to send copies to, at most 10")
	cmd.Flags().StringVar(&o.As, "as", "", "`ADDRESS` of the audience, or row:N, whose message it is")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")

	return cmd
}

func trial(ctx context.Context, c *cli, name string, o letter.TestOptions, yes bool) error {
	draft, err := c.draft(ctx, name)
	if err != nil {
		return err
	}
	defer draft.close()
	if err := c.confirmTrial(ctx, draft, o.To, yes); err != nil {
		return err
	}
	if tokens, done := draft.tokens(ctx, c); tokens != nil {
		defer done()
		draft.Tokens = tokens
	}
	results, err := draft.SendTest(ctx, o)
	if err != nil && len(results) == 0 {
		return err
	}

	if err := errors.Join(c.printTrial(results), err); err != nil {
		return err
	}

	refused := 0
	for _, r := range results {
		if !r.Accepted {
			refused++
		}
	}

	if refused > 0 {
		return fmt.Errorf("%d of %d copies were not accepted", refused, len(results))
	}

	return nil
}

// confirmTrial asks before a copy goes to a suppressed address. A test needs no Redis:
// when Redis does not answer, a note says so and nothing is asked.
func (c *cli) confirmTrial(ctx context.Context, draft *draft, to []string, yes bool) error {
	if yes || draft.Config.RedisURL == "" || draft.Def == nil {
		return nil
	}

	a := draft.app
	if a == nil {
		var err error
		if a, err = c.openWith(ctx, draft.Config, false); err != nil {
			c.note("suppressions could not be looked up: %v", err)
			return nil
		}
		defer c.close(a)
	}

	addresses, err := address.ParseAll(to)
	if err != nil {
		return err
	}

	found, err := a.Suppression.Among(ctx, draft.Def.Topic, addresses)
	if err != nil || len(found) == 0 {
		return err
	}

	return c.agree(strings.Join(found, ", ")+" is suppressed for this topic", "yes", false)
}

func (c *cli) printTrial(results []letter.TestCopy) error {
	if c.asJSON {
		return c.json(results)
	}

	var rows [][]string
	for _, r := range results {
		outcome := "accepted"
		if !r.Accepted {
			outcome = "not accepted"
		}
		rows = append(rows, []string{r.To, r.As, strconv.Itoa(r.Row), outcome, r.Reply})
	}

	return c.table([]string{"TO", "AS", "ROW", "OUTCOME", "REPLY"}, rows)
}

// tokens returns where the access tokens of the campaign's account are kept; nil where
// it has none, or no Redis.
func (d *draft) tokens(ctx context.Context, c *cli) (*oauth.Store, func()) {
	if d.app != nil {
		return d.app.Tokens, func() {}
	}
	for _, name := range account.Names(d.Config) {
		if d.Config.Accounts[name].OAuth2 != nil {
			known, done := c.sharedOf(ctx, d.Config, name)
			return known.Tokens, done
		}
	}
	return nil, func() {}
}
