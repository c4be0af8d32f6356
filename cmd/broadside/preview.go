package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/internal/app"
	"broadside/internal/launch"
	"broadside/internal/letter"
	"broadside/scheduler"
)

// A previewRequest is how a message is to be shown.
type previewRequest struct {
	campaign, recipient, out string

	open, serve bool
	port        int
}

func previewCommand(c *cli) *cobra.Command {
	var want previewRequest
	cmd := &cobra.Command{
		Use:   "preview CAMPAIGN",
		Short: "Render the message of one recipient",
		Long: `Render the message of one recipient, the first one unless you name another, and
print its header and text part. Nothing is sent, and its links do not unsubscribe anyone.

--open shows the letter in a browser, or prints its path where there is none.
--serve shows it on a page of this machine until Ctrl-C; each reload renders it
again from the files.`,
		Example: `  broadside campaign preview october.yaml
  broadside campaign preview october.yaml --serve --open
  broadside campaign preview october.yaml --recipient ada@example.org --out preview`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			want.campaign = args[0]
			if err := want.check(cmd, c.asJSON); err != nil {
				return err
			}
			if want.serve {
				return c.servePreview(cmd.Context(), want)
			}
			return c.preview(cmd.Context(), want)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&want.recipient, "recipient", "", "`ADDRESS` of the audience, or row:N (default: the first)")
	flags.StringVar(&want.out, "out", "", "write preview.html, preview.txt and preview.eml into `DIR`")
	flags.BoolVar(&want.open, "open", false, "show it in a browser")
	flags.BoolVar(&want.serve, "serve", false, "show it on a page of this machine, until Ctrl-C")
	flags.IntVar(&want.port, "port", 0, "with --serve: `PORT` of the page (default: one that is free)")

	return cmd
}

func (w previewRequest) check(cmd *cobra.Command, asJSON bool) error {
	switch {
	case !w.serve && cmd.Flags().Changed("port"):
		return usagef(cmd, "--port needs --serve")
	case w.serve && w.out != "":
		return usagef(cmd, "found --serve and --out, expected one of them")
	case asJSON && (w.serve || w.open):
		return usagef(cmd, "found --json and --serve or --open, expected one of them")
	case w.port < 0 || w.port > 65535:
		return usagef(cmd, "--port: found %d, expected 1 to 65535, or 0 for one that is free", w.port)
	}

	return nil
}

// render renders the message of one recipient from what is in the files now.
func (c *cli) render(ctx context.Context, name, recipient string) (*letter.Preview, error) {
	draft, err := c.draft(ctx, name)
	if err != nil {
		return nil, err
	}
	defer draft.close()
	return draft.Preview(ctx, recipient)
}

func (c *cli) preview(ctx context.Context, want previewRequest) error {
	p, err := c.render(ctx, want.campaign, want.recipient)
	if err != nil {
		return err
	}

	dir := want.out
	if dir == "" && want.open {
		if dir, err = os.MkdirTemp("", "broadside-preview-"); err != nil {
			return fmt.Errorf("make a directory for the preview: %w", err)
		}
	}

	var files []string
	if dir != "" {
		if files, err = p.Write(dir); err != nil {
			return err
		}
	}

	switch {
	case c.asJSON:
		return c.json(previewDocument(p))
	case want.open:
		return c.openFile(ctx, filepath.Join(dir, letter.PreviewHTML))
	}

	for _, h := range p.Headers {
		fmt.Fprintf(c.stdout, "%s: %s\n", h.Name, printable(h.Value))
	}

	if dir == "" {
		fmt.Fprintf(c.stdout, "\n%s\n", p.Text)
		return nil
	}

	for _, f := range files {
		c.note("wrote %s", f)
	}

	return nil
}

func previewDocument(p *letter.Preview) any {
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

// A draft is a campaign that a command looks at before it is launched.
type draft struct {
	letter.Campaign
	app   *app.App // nil: the campaign needs nothing of Redis
	close func()
}

// draft reads the configuration and a campaign, so that the problems of both come out. It
// opens Redis only for what is in Redis: a stored campaign, or a list. The caller closes
// the draft.
func (c *cli) draft(ctx context.Context, name string) (*draft, error) {
	d := &draft{close: func() {}}
	d.Sources.Stdin = c.in
	cfg, cfgErr := c.load(ctx)
	d.Config = cfg
	isStored := cfgErr == nil && cfg.RedisURL != "" && !launch.IsFile(name)
	if !isStored {
		d.Def, d.Faults = campaign.Load(ctx, name)
		if cfgErr != nil || d.Def == nil {
			return nil, errors.Join(cfgErr, d.Faults)
		}
		if _, isList := audience.ListName(d.Def.Audience.Source); !isList || cfg.RedisURL == "" {
			return d, nil
		}
	}

	a, err := c.openWith(ctx, cfg, false)
	if err != nil {
		return nil, err
	}

	var schedule *scheduler.Schedule
	if isStored {
		d.Def, schedule, err = a.Schedules.Campaign(ctx, name)
		if err != nil {
			c.close(a)
			return nil, err
		}
	}

	d.Sources = a.Launcher.Sources(schedule)
	d.Sources.Stdin = c.in
	d.app = a
	d.close = func() { c.close(a) }

	return d, nil
}
