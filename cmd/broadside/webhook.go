package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/outgoing"
)

// maxDeadListed is how many dead events one call lists.
const maxDeadListed = 10_000

func webhookCommand(c *cli) *cobra.Command {
	return noun("webhook", "Others that are told what happens", webhookListCommand(c), webhookRetryCommand(c), webhookTestCommand(c), webhookForgetCommand(c))
}

func webhookListCommand(c *cli) *cobra.Command {
	var dead bool
	cmd := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "The receivers of webhooks, and how they fare",
		Long: `List the receivers under webhooks in the configuration: how many events wait for each,
how many were delivered in the last 24 hours, how many are dead (not taken for a day, or
refused with 410 Gone) and for how many there was no room.

What waits for a receiver that is not configured any more, or is dead, is listed with
the id of that receiver: "webhook forget" removes it.

With --dead it lists the dead events, the newest first. A scheduler sends; events wait for
one.`,
		Example: "  broadside webhook ls\n  broadside webhook ls --dead --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				if dead {
					return c.printDeadWebhooks(ctx, a)
				}
				return c.printWebhooks(ctx, a)
			})
		},
	}
	cmd.Flags().BoolVar(&dead, "dead", false, "the events that are not tried any more")
	return cmd
}

func (c *cli) printWebhooks(ctx context.Context, a *app.App) error {
	all, err := a.Webhooks.List(ctx)
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.json(all)
	}
	if len(all) == 0 {
		c.note("nobody is told: set webhooks in %s", a.Config.Where())
		return nil
	}

	var rows [][]string
	for _, s := range all {
		name := s.URL
		state := "ok"
		switch {
		case name == "":
			name = "(not configured) " + s.ID
			state = "removed"
		case s.Failing:
			state = "failing: " + s.Failure
		case s.DeliveredAt == nil:
			state = "nothing sent yet"
		}
		rows = append(rows, []string{
			name, strings.Join(s.Events, ","), figure(s.Waiting), figure(s.Retried), figure(s.LastDay), figure(s.Dead), figure(s.Dropped), state,
		})
	}
	return c.table([]string{"RECEIVER", "EVENTS", "WAITING", "RETRYING", "DELIVERED 24H", "DEAD", "DROPPED", "LAST TRY"}, rows)
}

func figure(n int64) string { return strconv.FormatInt(n, 10) }

func (c *cli) printDeadWebhooks(ctx context.Context, a *app.App) error {
	all := []outgoing.Dead{}
	err := a.Webhooks.Dead(ctx, func(d outgoing.Dead) bool {
		all = append(all, d)
		return len(all) < maxDeadListed
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(x, y outgoing.Dead) int { return y.At.Compare(x.At) })
	if c.asJSON {
		return c.json(all)
	}
	if len(all) == 0 {
		c.note("no webhook is dead")
		return nil
	}

	var rows [][]string
	for _, d := range all {
		rows = append(rows, []string{d.ID, d.URL, d.Type, d.Run, d.Made.UTC().Format(time.RFC3339), strconv.Itoa(d.Tries), d.Error})
	}
	return c.table([]string{"ID", "RECEIVER", "EVENT", "RUN", "HAPPENED", "TRIES", "LAST ERROR"}, rows)
}

func webhookRetryCommand(c *cli) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "retry ID | --all",
		Short: "Send dead webhooks once more",
		Long: `Let a dead event be tried once more, or all of them. ID is that of "webhook ls --dead",
or the beginning of one. When the try fails they are dead again. --all also begins to
count anew what was dropped for want of room: that is gone.`,
		Example: "  broadside webhook retry msg_3v9qk2\n  broadside webhook retry --all",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) == 1) {
				return usagef(cmd, "expected the id of a dead webhook, or --all")
			}
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				var n int
				var err error
				if all {
					n, err = a.Webhooks.RetryAll(ctx)
				} else {
					n, err = a.Webhooks.Retry(ctx, args[0])
				}
				if err != nil {
					return err
				}
				return c.printRetried(n)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "every dead event of every receiver")
	return cmd
}

func (c *cli) printRetried(n int) error {
	if c.asJSON {
		return c.json(struct {
			Retried int `json:"retried"`
		}{n})
	}
	_, err := fmt.Fprintf(c.stdout, "tried once more, as soon as a scheduler is alive: %d\n", n)
	return err
}

func webhookForgetCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "forget ID|URL",
		Short: "Remove what waits for a receiver that is not configured",
		Long: `Remove everything that Redis has of a receiver that does not stand under webhooks in the
configuration any more: events that wait for it, and those that are dead. ID is that of
"webhook ls", URL its address as it stood in the configuration.`,
		Example: "  broadside webhook forget 5b1c9f0a7d3e\n  broadside webhook forget https://crm.acme.example/hook",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
				n, err := a.Webhooks.Forget(ctx, args[0])
				if err != nil {
					return err
				}
				if c.asJSON {
					return c.json(struct {
						Removed int `json:"removed"`
					}{n})
				}
				_, err = fmt.Fprintf(c.stdout, "forgotten, with the events that waited for it or were dead: %d\n", n)
				return err
			})
		},
	}
}

func webhookTestCommand(c *cli) *cobra.Command {
	var address string
	cmd := &cobra.Command{
		Use:   "test",
		Short: "Send a signed example now, and print the answer",
		Long: `Send an event of the type "test", signed as all are, to each receiver in the
configuration, once, and print what it answers. It needs no Redis and stores nothing.

Exit codes: 0 all took it; 1 one answered something else than 2xx; 4 one could not be
reached.`,
		Example: "  broadside webhook test\n  broadside webhook test --url https://crm.acme.example/hook",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd.Context())
			if err != nil {
				return err
			}
			some, err := chosenWebhooks(cfg, address)
			if err != nil {
				return err
			}
			return c.testWebhooks(cmd.Context(), some)
		},
	}
	cmd.Flags().StringVar(&address, "url", "", "only this one of the receivers: its `URL` as in the configuration")
	return cmd
}

// chosenWebhooks returns the receivers with an address; all of them when it is empty.
func chosenWebhooks(cfg *configs.Config, address string) ([]configs.Webhook, error) {
	if len(cfg.Webhooks) == 0 {
		return nil, failure.Invalid("there is no receiver: set webhooks in " + cfg.Where())
	}
	if address == "" {
		return cfg.Webhooks, nil
	}

	var known []string
	for _, w := range cfg.Webhooks {
		if w.URL == address || w.String() == address {
			return []configs.Webhook{w}, nil
		}
		known = append(known, w.String())
	}
	text := fmt.Sprintf("--url: found %s, expected one of webhooks in %s: %s", strictyaml.Quote(address), cfg.Where(), strings.Join(known, ", "))
	if meant := strictyaml.Suggest(address, known); meant != "" {
		text += "; did you mean " + meant + "?"
	}
	return nil, failure.Invalid(text)
}

// A webhookTest is a receiver in `webhook test --json`.
type webhookTest struct {
	URL    string  `json:"url"`
	Status int     `json:"status"` // 0: there was no answer
	TookMS int64   `json:"took_ms"`
	Answer string  `json:"answer"`
	Error  *string `json:"error"`
}

func (c *cli) testWebhooks(ctx context.Context, some []configs.Webhook) error {
	results := make([]webhookTest, len(some))
	unreached := 0
	refused := 0
	for i, w := range some {
		answer, err := outgoing.Test(ctx, w)
		if err != nil {
			unreached++
		} else if err = answer.Refusal(); err != nil {
			refused++
		}
		results[i] = webhookTest{URL: w.String(), Status: answer.Status, TookMS: answer.Took.Milliseconds(), Answer: answer.Body}
		if err != nil {
			text := err.Error()
			results[i].Error = &text
		}
	}

	if err := c.printWebhookTests(results); err != nil {
		return err
	}
	switch {
	case unreached > 0:
		return failure.Unreachable(fmt.Sprintf("%d of %d receivers cannot be reached", unreached, len(some)))
	case refused > 0:
		return fmt.Errorf("%d of %d receivers did not take the example", refused, len(some))
	}
	return nil
}

func (c *cli) printWebhookTests(results []webhookTest) error {
	if c.asJSON {
		return c.json(results)
	}
	for _, r := range results {
		text := fmt.Sprintf("taken: answered %d after %d ms", r.Status, r.TookMS)
		if r.Error != nil {
			text = "not taken: " + *r.Error
		}
		if r.Answer != "" {
			text += ": " + r.Answer
		}
		if _, err := fmt.Fprintf(c.stdout, "%s: %s\n", r.URL, printable(text)); err != nil {
			return fmt.Errorf("write the answers: %w", err)
		}
	}
	return nil
}
