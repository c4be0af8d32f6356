package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/subscribe"
	"broadside/sender/reply"
)

func subscribeListCommand(c *cli) *cobra.Command {
	var link bool
	source := "operator"
	language := "en"
	cmd := &cobra.Command{
		Use:   "subscribe FORM [ADDRESS]",
		Short: "The link of a form to subscribe, or a confirmation for one address",
		Long: `With --link, print the address of a form of the configuration (subscribe), on which
people put themselves on a list. With ADDRESS, send that address the message whose link
puts it on the list: for people who have asked in another way, such as on paper.

Nobody is on the list before they have confirmed. The message keeps the limits of the
form for one address, and is not sent to an address that is suppressed for another reason
than that it has left the topic (docs/subscribe.md).`,
		Example: `  broadside list subscribe newsletter --link
  broadside list subscribe newsletter ada@example.org --source "fair in Ulm"`,
		Args: args(cobra.RangeArgs(1, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case link && len(args) == 2:
				return usagef(cmd, "found --link and an address, expected one of the two")
			case !slices.Contains(configs.Languages, language):
				return usagef(cmd, "--language: found %q, expected one of %s", language, strings.Join(configs.Languages, ", "))
			case link:
				return c.printForm(cmd.Context(), args[0])
			case len(args) == 1:
				return usagef(cmd, "expected --link, or an address that the message is sent to")
			}
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				return c.invite(ctx, a, subscribe.Request{Form: args[0], Address: args[1], Source: source, Language: language})
			})
		},
	}
	cmd.Flags().BoolVar(&link, "link", false, "print the address of the form, and send nothing")
	cmd.Flags().StringVar(&source, "source", source, "`TEXT` that is kept with the proof: where the person has asked")
	cmd.Flags().StringVar(&language, "language", language, "`LANGUAGE` of the message where the form has none: en, de, fr or es")
	return cmd
}

// form returns a form of the configuration.
func form(cfg *configs.Config, name string) (configs.SubscribeForm, error) {
	if f, ok := cfg.Subscribe[name]; ok {
		return f, nil
	}
	return configs.SubscribeForm{}, failure.Invalid(fmt.Sprintf("no form %q to subscribe in %s; %s (docs/subscribe.md)", name, cfg.Where(), configs.Known(name, cfg.Subscribe)))
}

func (c *cli) printForm(ctx context.Context, name string) error {
	cfg, err := c.load(ctx)
	if err != nil {
		return err
	}
	f, err := form(cfg, name)
	if err != nil {
		return err
	}
	link, err := cfg.SubscribeLink(name)
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.json(struct {
			Form string `json:"form"`
			List string `json:"list"`
			Link string `json:"link"`
		}{name, f.List, link})
	}
	_, err = fmt.Fprintln(c.stdout, link)
	return err
}

func (c *cli) invite(ctx context.Context, a *app.App, r subscribe.Request) error {
	if _, err := form(a.Config, r.Form); err != nil {
		return err
	}
	forms, err := a.Subscriptions()
	if err != nil {
		return err
	}
	answer, err := forms.Invite(ctx, r)
	if err != nil {
		return err
	}

	accepted := reply.Classify(answer).Verdict == reply.Accepted
	if c.asJSON {
		err = c.json(struct {
			To       string `json:"to"`
			Accepted bool   `json:"accepted"`
			Code     int    `json:"code"`
			Enhanced string `json:"enhanced"`
			Reply    string `json:"reply"`
		}{r.Address, accepted, answer.Code, answer.Enhanced, answer.String()})
	} else if accepted {
		_, err = fmt.Fprintf(c.stdout, "sent to %s: %s\n", printable(r.Address), printable(answer.String()))
	}
	if err != nil || accepted {
		return err
	}
	return fmt.Errorf("the message was not accepted: %s", address.Redact(answer.String()))
}

// A listed is a list with what was confirmed for it.
type listed struct {
	audience.List
	Confirmed int64 `json:"confirmed"` // subscriptions that their owners have confirmed
}

// withConfirmed counts what was confirmed for lists.
func withConfirmed(ctx context.Context, a *app.App, lists ...audience.List) ([]listed, error) {
	counts, err := a.Subscribers.Counts(ctx)
	if err != nil {
		return nil, err
	}
	all := []listed{}
	for _, l := range lists {
		all = append(all, listed{l, counts[l.Name]})
	}
	return all, nil
}
