package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign/codes"
	"broadside/configs/units"
	"broadside/internal/failure"
	"broadside/sender/reply"
)

func replyCommand(c *cli) *cobra.Command {
	return noun("reply", "What a server's reply means", explainReplyCommand(c))
}

func explainReplyCommand(c *cli) *cobra.Command {
	var stage, provider string
	cmd := &cobra.Command{
		Use:   "explain REPLY",
		Short: "Which rule matches a reply, and what would happen",
		Example: `  broadside reply explain "550 5.1.1 no such user"
  broadside reply explain "421 4.7.0 too many connections" --stage connect
  broadside reply explain "421 4.7.28 unusual rate" --provider gmail`,
		Args: args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := reply.Parse(strings.Join(args, " "))
			if err != nil {
				return fmt.Errorf("%w: %w", failure.ErrInvalid, err)
			}
			if r.Stage, err = stageOfReply(cmd, stage, r); err != nil {
				return err
			}
			if r, err = replyFrom(cmd, provider, r); err != nil {
				return err
			}

			rules, err := c.replyRules(cmd.Context())
			if err != nil {
				return err
			}
			return c.explain(r, rules.Classify(r))
		},
	}
	cmd.Flags().StringVar(&stage, "stage", "", "`STAGE` of the dialogue: connect, ehlo, auth, mail, rcpt, data, dot (default: rcpt; dot for a 2xx)")
	cmd.Flags().StringVar(&provider, "provider", "", "mailbox `PROVIDER` of the recipient, such as gmail, or the relay, such as ses")
	return cmd
}

func stageOfReply(cmd *cobra.Command, name string, r reply.Reply) (reply.Stage, error) {
	switch {
	case name == "" && r.OK():
		return reply.Dot, nil
	case name == "":
		return reply.Rcpt, nil
	case slices.Contains(reply.Stages, reply.Stage(name)):
		return reply.Stage(name), nil
	}
	var known []string
	for _, s := range reply.Stages {
		known = append(known, string(s))
	}
	return "", usagef(cmd, "--stage: found %q, expected one of %s", name, strings.Join(known, ", "))
}

// replyFrom returns the reply as that of a mailbox provider or relay.
func replyFrom(cmd *cobra.Command, name string, r reply.Reply) (reply.Reply, error) {
	if name == "" {
		return r, nil
	}
	if r, known := r.From(name); known {
		return r, nil
	}

	text := fmt.Sprintf("--provider: found %q, expected one of %s", name, strings.Join(reply.Origins(), ", "))
	if meant := reply.MeantOrigin(name); meant != "" {
		text += fmt.Sprintf("; did you mean %s?", meant)
	}
	return r, usagef(cmd, "%s", text)
}

// replyRules reads the rules of the configuration; nil when there are none.
func (c *cli) replyRules(ctx context.Context) (*reply.Rules, error) {
	cfg, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	return reply.Open(ctx, cfg.ReplyRules)
}

// effects say what a verdict does.
var effects = map[reply.Verdict]string{
	reply.Accepted:       "the message is delivered to the server",
	reply.RetryRecipient: "this recipient is tried again later",
	reply.RetryLane:      "nothing about the recipient: the lane slows down and tries again",
	reply.PauseLane:      "the lane closes for a while; no recipient is charged an attempt",
	reply.PauseAccount:   "the account closes until it is put right; no recipient is charged an attempt",
	reply.SuppressHard:   "the address is bad: bounced, and suppressed from now on",
	reply.FailNoSuppress: "failed for good, but not the address's fault: not suppressed",
	reply.MailboxFull:    "the mailbox is full: tried again later",
	reply.Greylisted:     "greylisted: tried again soon, the first time is free",
	reply.Uncertain:      "perhaps delivered: uncertain, never sent again by itself",
}

func (c *cli) explain(r reply.Reply, d reply.Decision) error {
	if c.asJSON {
		return c.json(struct {
			Rule     string        `json:"rule"`
			Verdict  reply.Verdict `json:"verdict"`
			Confirm  int           `json:"confirm,omitempty"`
			Code     codes.Code    `json:"code,omitempty"`
			Enhanced string        `json:"enhanced"`
			Text     string        `json:"text"`
		}{d.Rule, d.Verdict, d.Confirm, d.Code, r.Enhanced, r.Text})
	}
	fmt.Fprintf(c.stdout, "rule      %s (stage %s)\n", d.Rule, r.Stage)
	fmt.Fprintf(c.stdout, "verdict   %s: %s\n", d.Verdict, effects[d.Verdict])
	if d.Confirm > 0 {
		fmt.Fprintf(c.stdout, "confirm   it takes %d such replies, at least a day apart, to show that the address is dead; a single one does not suppress it\n", d.Confirm)
	}
	if d.Code != "" {
		fmt.Fprintf(c.stdout, "code      %s: `broadside explain %[1]s` says what to do\n", d.Code)
	}
	if pause := pauseText(d); pause != "" {
		fmt.Fprintf(c.stdout, "pause     %s\n", pause)
	}
	if often := escalationText(d.Escalate); often != "" {
		fmt.Fprintf(c.stdout, "often     %s\n", often)
	}
	if r.Enhanced != "" {
		fmt.Fprintf(c.stdout, "enhanced  %s\n", r.Enhanced)
	}
	fmt.Fprintf(c.stdout, "text      %s\n", r.Text)
	if d.Note != "" {
		fmt.Fprintf(c.stdout, "note      %s\n", d.Note)
	}
	return nil
}

// pauseText says how long a lane or account pauses. Recipients are tried again as
// their campaign says.
func pauseText(d reply.Decision) string {
	switch {
	case d.Verdict != reply.RetryLane && d.Verdict != reply.PauseLane && d.Verdict != reply.PauseAccount:
		return ""
	case d.Manual:
		return "until somebody looks at it"
	case d.AtOnce:
		return "none, on a new connection"
	case d.Backoff == 0:
		return ""
	case d.Factor > 1 && d.MaxBackoff > 0:
		return fmt.Sprintf("%s, then %g times as long each time, up to %s", units.FormatDuration(d.Backoff), d.Factor, units.FormatDuration(d.MaxBackoff))
	}
	return units.FormatDuration(d.Backoff)
}

// escalationText says what many such replies do.
func escalationText(e reply.Escalate) string {
	if e.Count == 0 {
		return ""
	}
	text := fmt.Sprintf("%d times in %s: %s", e.Count, units.FormatDuration(e.Window), e.Verdict)
	if e.Pause > 0 {
		text += " for " + units.FormatDuration(e.Pause)
	}
	return text
}
