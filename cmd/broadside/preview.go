package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/internal/app"
)

func previewCommand(c *cli) *cobra.Command {
	var recipient, out string
	cmd := &cobra.Command{
		Use:   "preview CAMPAIGN",
		Short: "Render the message of one recipient",
		Long: `Render the message of one recipient, the first one unless you name another, and
print its header and text part. Nothing is sent, and its links unsubscribe nobody.`,
		Example: `  broadside campaign preview october.yaml
  broadside campaign preview october.yaml --recipient ada@example.org --out preview`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := notYet(cmd, "serve"); err != nil {
				return err
			}
			return preview(cmd.Context(), c, args[0], recipient, out)
		},
	}
	cmd.Flags().StringVar(&recipient, "recipient", "", "`ADDRESS` of the audience, or row:N (default: the first)")
	cmd.Flags().StringVar(&out, "out", "", "write preview.html, preview.txt and preview.eml into `DIR`")
	cmd.Flags().Bool("serve", false, "show it in a browser (not supported yet)")
	return cmd
}

func preview(ctx context.Context, c *cli, name, recipient, out string) error {
	proof, done, err := c.proof(ctx, name)
	if err != nil {
		return err
	}
	defer done()
	p, err := app.NewPreview(ctx, proof, recipient)
	if err != nil {
		return err
	}
	var files []string
	if out != "" {
		if files, err = p.Write(out); err != nil {
			return err
		}
	}
	if c.asJSON {
		return c.json(previewDocument(p))
	}
	for _, h := range p.Headers {
		fmt.Fprintf(c.stdout, "%s: %s\n", h.Name, printable(h.Value))
	}
	if out == "" {
		fmt.Fprintf(c.stdout, "\n%s\n", p.Text)
		return nil
	}
	for _, f := range files {
		c.note("wrote %s", f)
	}
	return nil
}

func previewDocument(p *app.Preview) any {
	headers := map[string]string{}
	for _, h := range p.Headers {
		headers[h.Name] = h.Value
	}
	return struct {
		Subject string            `json:"subject"`
		From    string            `json:"from"`
		To      string            `json:"to"`
		Headers map[string]string `json:"headers"`
		HTML    string            `json:"html"`
		Text    string            `json:"text"`
	}{p.Subject, p.From, p.To, headers, p.HTML, p.Text}
}

// proof reads configuration and campaign, so that the problems of both come out;
// those of a campaign file that can be read in part are p.Faults.
// Redis is only opened for what is in it: a stored campaign, or a list. The
// caller calls done.
func (c *cli) proof(ctx context.Context, name string) (p app.Proof, done func(), err error) {
	p.Stdin = c.in
	cfg, cfgErr := c.load(ctx)
	if p.Config = cfg; cfgErr == nil && cfg.RedisURL != "" && !app.IsFile(name) {
		if p.App, err = c.openWith(ctx, cfg, false); err != nil {
			return p, nil, err
		}
		if p.Def, p.Stored, err = p.App.Campaign(ctx, name); err != nil {
			c.close(p.App)
			return p, nil, err
		}
		return p, func() { c.close(p.App) }, nil
	}
	p.Def, p.Faults = campaign.Load(ctx, name)
	if cfgErr != nil || p.Def == nil {
		return p, nil, errors.Join(cfgErr, p.Faults)
	}
	if _, isList := audience.ListName(p.Def.Audience.Source); !isList || cfg.RedisURL == "" {
		return p, func() {}, nil
	}
	if p.App, err = c.openWith(ctx, cfg, false); err != nil {
		return p, nil, err
	}
	return p, func() { c.close(p.App) }, nil
}

func trialCommand(c *cli) *cobra.Command {
	var t app.Trial
	var yes bool
	cmd := &cobra.Command{
		Use:   "test CAMPAIGN --to ADDRESS,...",
		Short: "Send marked copies to yourself",
		Long: `Send copies with [Test] in the subject now: as the first recipient, and as the one
with the most blanks among the fields that the campaign uses. Their links
unsubscribe nobody, and nothing is stored. A suppressed address has to be confirmed.`,
		Example: `  broadside campaign test october.yaml --to me@acme.example
  broadside campaign test october.yaml --to me@acme.example,you@acme.example --as row:17`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if n := len(t.To); n == 0 || n > app.MaxTrial {
				return usagef(cmd, "--to has %d addresses, expected 1 to %d", n, app.MaxTrial)
			}
			return trial(cmd.Context(), c, args[0], t, yes)
		},
	}
	cmd.Flags().StringSliceVar(&t.To, "to", nil, "`ADDRESSES` to send copies to, at most 10")
	cmd.Flags().StringVar(&t.As, "as", "", "`ADDRESS` of the audience, or row:N, whose message it is")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

func trial(ctx context.Context, c *cli, name string, t app.Trial, yes bool) error {
	proof, done, err := c.proof(ctx, name)
	if err != nil {
		return err
	}
	defer done()
	if err := c.confirmTrial(ctx, proof, t.To, yes); err != nil {
		return err
	}
	results, err := app.SendTrial(ctx, proof, t)
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

// confirmTrial asks before a copy goes to somebody who must not be mailed. A trial
// needs no Redis: when it does not answer, that is said, and nobody is asked.
func (c *cli) confirmTrial(ctx context.Context, proof app.Proof, to []string, yes bool) error {
	if yes || proof.Config.RedisURL == "" || proof.Def == nil {
		return nil
	}
	a := proof.App
	if a == nil {
		var err error
		if a, err = c.openWith(ctx, proof.Config, false); err != nil {
			c.note("suppressions could not be looked up: %v", err)
			return nil
		}
		defer c.close(a)
	}
	found, err := a.Suppressed(ctx, proof.Def.Topic, to)
	if err != nil || len(found) == 0 {
		return err
	}
	return c.agree(strings.Join(found, ", ")+" is suppressed for this topic", "yes", false)
}

func (c *cli) printTrial(results []app.TrialResult) error {
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
