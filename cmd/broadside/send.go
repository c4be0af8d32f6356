package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/single"
)

func sendCommand(c *cli) *cobra.Command {
	var r single.Request
	var data string
	cmd := &cobra.Command{
		Use:   "send --template FILE --to ADDRESS",
		Short: "Send one message to one address, now",
		Long: `Send a message that answers something that one person did: a receipt, a link for a new
password. FILE is a campaign file without audience and schedule; its topic may be left
out. --data has the merge fields, a JSON object of texts and numbers.

The message leaves at once, by the account for transactional mail (stream: transactional),
within its limits and never behind bulk mail. A server that says "later" is asked again by a
worker, as often as delivery.retry in the file says. Who has unsubscribed from newsletters
gets it all the same; an address that has bounced or complained does not.

With --key the same call can be repeated: it sends nothing again, and prints the message of
the first time. docs/send.md has the rest, and the same over HTTP.`,
		Example: `  echo '{"name": "Ada", "order": 17}' | broadside send --template receipt.yaml --to ada@example.org --data -
  broadside send --template receipt.yaml --to ada@example.org --data order.json --key order-17 --json`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if r.Template == "" || r.To == "" {
				return usagef(cmd, "expected --template FILE and --to ADDRESS")
			}
			if cmd.Flags().Changed("key") && r.Key == "" {
				return usagef(cmd, "--key: found nothing, expected a name such as order-17")
			}
			return c.send(cmd.Context(), r, data)
		},
	}
	cmd.Flags().StringVar(&r.Template, "template", "", "`FILE` of the message: a campaign file without audience and schedule")
	cmd.Flags().StringVar(&r.To, "to", "", "`ADDRESS` that it goes to")
	cmd.Flags().StringVar(&data, "data", "", "`FILE` with the merge fields as JSON, or - for the standard input")
	cmd.Flags().StringVar(&r.Key, "key", "", "`KEY` of this message: a repeated call gets the same one")
	cmd.Flags().StringVar(&r.Account, "account", "", "`NAME` of the account (default that of the file, else the one for transactional mail)")
	return cmd
}

func (c *cli) send(ctx context.Context, r single.Request, file string) error {
	cfg, err := c.load(ctx)
	if err != nil {
		return err
	}
	if r.Key != "" && cfg.RedisURL == "" {
		return fmt.Errorf("%w: --key is remembered in Redis: %s", failure.ErrUnreachable, needRedis(cfg))
	}
	if r.Data, err = c.mergeFields(ctx, file); err != nil {
		return err
	}
	a, err := c.openWith(ctx, cfg, false)
	if err != nil {
		return err
	}
	defer c.close(a)

	singles, err := a.Singles()
	if err != nil {
		return err
	}
	st, created, err := singles.Send(ctx, r)
	if err != nil && st.State == campaign.Accepted {
		return fmt.Errorf("the server has the message (%s), so do not send it again; that could not be recorded: %w", st.Reply, err)
	}
	if err != nil {
		return err
	}
	if err := c.printSent(st, created); err != nil {
		return err
	}
	return sent(ctx, a, st, created)
}

// mergeFields reads the data of a message; none without a file.
func (c *cli) mergeFields(ctx context.Context, file string) (map[string]string, error) {
	if file == "" {
		return map[string]string{}, nil
	}
	in, name, err := c.input(ctx, file)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	text, err := io.ReadAll(io.LimitReader(in, single.MaxData+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return single.ParseData(text)
}

func (c *cli) printSent(st single.Status, created bool) error {
	if c.asJSON {
		return c.json(single.DocumentOf(st))
	}
	if !created {
		c.note("the key was used on %s, and this is the message of that time", st.Created.Format(time.RFC3339))
	}
	line := st.State.String()
	if st.Account != "" {
		line += " by " + st.Account
	}
	if st.Reply != "" {
		line += ": " + printable(st.Reply)
	}
	_, err := fmt.Fprintf(c.stdout, "%s\nid %s\nmessage-id <%s>\n", line, st.ID, st.MessageID)
	return err
}

// sent returns the error of a message that was not accepted.
func sent(ctx context.Context, a *app.App, st single.Status, created bool) error {
	again := "a worker tries it again at " + st.Next.UTC().Format(time.RFC3339) + ", and so does this command with the same --key"
	if a.Embedded() {
		again = "nothing tries it again without redis_url"
	}
	switch {
	case st.State == campaign.Cancelled && ctx.Err() != nil:
		return errors.Join(errInterrupted, errors.New("nothing was sent"))
	case st.Waits() && st.Code == 0:
		return failure.Unreachable("not sent yet: " + st.Reply + "; " + again)
	case st.Waits():
		return failure.New(failure.ErrTimeout, "not accepted yet: "+st.Reply+"; "+again, nil)
	case !created, st.State == campaign.Accepted:
		return nil
	case st.State == campaign.Sending:
		return failure.New(failure.ErrTimeout, "another process is sending it now", nil)
	case st.State == campaign.Suppressed:
		return failure.Refused("not sent: the address is " + st.Reply)
	case st.State == campaign.Uncertain:
		return errors.New("no reply was seen after the whole message was sent: it may have arrived, and is not sent again")
	}
	return errors.New("the message was not accepted: " + st.Reply)
}
