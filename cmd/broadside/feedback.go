package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/mailfile"
	"broadside/sender/bounce"
	"broadside/sender/reply"
)

// maxIngested is how many notices one call prints.
const maxIngested = 100_000

func feedbackCommand(c *cli) *cobra.Command {
	return noun("feedback", "What mail systems and readers send back", ingestCommand(c), pollCommand(c), feedbackListCommand(c))
}

func ingestCommand(c *cli) *cobra.Command {
	var dryRun, lenient bool
	cmd := &cobra.Command{
		Use:   "ingest [FILE|-]",
		Short: "Read bounce messages and feedback reports",
		Long: `Reads one message, an mbox or a maildir, and says for each recipient that it finds
what became of the message to it; then it counts that, and suppresses addresses that
are dead. Without FILE the standard input is read: a pipe of Postfix or procmail.

With --dry-run it needs no store, and changes nothing. A message that cannot be
understood, or is not proven to be about one of ours, is no error; a file that is no
message at all is one (exit 3), unless --lenient is given: a pipe must not bounce.`,
		Example: "  broadside feedback ingest bounce.eml --dry-run\n  broadside feedback ingest ~/Maildir\n  broadside feedback ingest --lenient < message",
		Args:    args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			file := "-"
			if len(args) > 0 {
				file = args[0]
			}
			if !dryRun {
				return c.kept(cmd.Context(), false, func(ctx context.Context, a *app.App) error {
					return c.record(ctx, file, a, lenient)
				})
			}
			rules, err := c.replyRules(cmd.Context())
			if err != nil {
				return err
			}
			return c.ingest(cmd.Context(), file, rules, lenient)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "show what the messages mean, and change nothing")
	cmd.Flags().BoolVar(&lenient, "lenient", false, "exit 0 also when something is no message")
	return cmd
}

// An ingested is what a notice comes to, for people and programs.
type ingested struct {
	Recipient string `json:"recipient"`
	Class     string `json:"class"`
	Reason    string `json:"reason"`
	reply     string
}

// ingest reads the messages and prints what they mean. What is no message is reported
// when the others have been read.
func (c *cli) ingest(ctx context.Context, file string, rules *reply.Rules, lenient bool) error {
	all := []ingested{}
	var wrong []error
	err := c.eachMessage(ctx, file, func(m mailfile.Message) error {
		notices, err := bounce.Decode(m)
		if errors.Is(err, bounce.ErrNoMessage) {
			wrong = append(wrong, fmt.Errorf("%w: %s: %w", failure.ErrInvalid, m.Name, err))
			return tooMany(len(wrong))
		}
		if err != nil {
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		for _, n := range notices {
			all = append(all, judged(rules, n))
		}
		return tooMany(len(all))
	})
	if err != nil {
		return err
	}

	if err := c.printIngested(all, len(wrong) > 0); err != nil {
		return err
	}
	return c.noMessages(wrong, lenient)
}

func tooMany(n int) error {
	if n <= maxIngested {
		return nil
	}
	return failure.Invalid(fmt.Sprintf("found more than %d notices, which is the limit of one call: divide the file", maxIngested))
}

// record records what the messages of a file say. What is no message is reported when
// the others have been recorded.
func (c *cli) record(ctx context.Context, file string, a *app.App, lenient bool) error {
	read := 0
	var wrong []error
	err := c.eachMessage(ctx, file, func(m mailfile.Message) error {
		err := a.Ingest(ctx, "ingest", m)
		switch {
		case errors.Is(err, failure.ErrInvalid):
			wrong = append(wrong, fmt.Errorf("%s: %w", m.Name, err))
			return tooMany(len(wrong))
		case err != nil:
			return fmt.Errorf("%s: %w", m.Name, err)
		}
		read++
		return nil
	})
	if err != nil {
		return err
	}

	if err := c.printRecorded(read, len(wrong)); err != nil {
		return err
	}
	return c.noMessages(wrong, lenient)
}

func (c *cli) printRecorded(read, wrong int) error {
	if c.asJSON {
		return c.json(struct {
			Read  int `json:"read"`
			Wrong int `json:"wrong"`
		}{read, wrong})
	}
	_, err := fmt.Fprintf(c.stdout, "%d messages read; `broadside feedback ls` shows what they meant\n", read)
	return err
}

// noMessages reports what was no message: as an error, or as notes for a lenient caller.
func (c *cli) noMessages(wrong []error, lenient bool) error {
	if !lenient {
		return errors.Join(wrong...)
	}
	for _, err := range wrong {
		c.note("%v", err)
	}
	return nil
}

// eachMessage reads the messages of a file or of the standard input.
func (c *cli) eachMessage(ctx context.Context, file string, do func(mailfile.Message) error) error {
	if file == "-" {
		return mailfile.EachOf(c.in, stdinName, do)
	}
	var failed error // of do, which has its own words
	err := mailfile.Each(ctx, file, func(m mailfile.Message) error {
		failed = do(m)
		return failed
	})
	if err != nil && failed == nil {
		return strictyaml.FileProblem(file, err)
	}
	return err
}

func judged(rules *reply.Rules, n campaign.Notice) ingested {
	class, reason, _ := bounce.Judge(rules, n)
	return ingested{n.Recipient, publicClass(class), reason, n.Reply}
}

// publicClass returns the class as this command prints it. It has fewer than the
// program: the reason tells a delay from another soft bounce, and an unsubscribe from
// another complaint.
func publicClass(class campaign.Class) string {
	switch class {
	case campaign.ClassDelayed:
		return string(campaign.ClassSoft)
	case campaign.ClassUnsubscribed:
		return string(campaign.ClassComplaint)
	case campaign.ClassDelivered:
		return string(campaign.ClassOther)
	}
	return string(class)
}

// maxReplyShown is how much of a reply a line has, in characters.
const maxReplyShown = 80

// printIngested prints what was found. wrong: something else was, which is said elsewhere.
func (c *cli) printIngested(all []ingested, wrong bool) error {
	switch {
	case c.asJSON:
		return c.json(all)
	case len(all) == 0 && wrong:
		return nil
	case len(all) == 0:
		c.note("there are no messages")
		return nil
	}

	rows := make([][]string, 0, len(all))
	for _, i := range all {
		shown := []rune(i.reply)
		rows = append(rows, []string{i.Class, i.Recipient, i.Reason, string(shown[:min(len(shown), maxReplyShown)])})
	}
	return c.table([]string{"CLASS", "RECIPIENT", "REASON", "REPLY"}, rows)
}
