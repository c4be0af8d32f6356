package main

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/internal/app"
	"broadside/internal/runs"
	"broadside/scheduler"
)

// rowFormat returns the format of rows that the flags ask for.
func (c *cli) rowFormat(cmd *cobra.Command, format string) (string, error) {
	switch {
	case format != "csv" && format != "jsonl":
		return "", usagef(cmd, "--format: found %q, expected csv or jsonl", format)
	case c.asJSON && cmd.Flags().Changed("format"):
		return "", usagef(cmd, "found --json and --format, expected one of them")
	case c.asJSON:
		return "json", nil
	}
	return format, nil
}

// A recipientRow is a recipient as JSON has it.
type recipientRow struct {
	Address  string  `json:"address"`
	State    string  `json:"state"`
	Attempts int     `json:"attempts"`
	Code     int     `json:"code"`
	Enhanced string  `json:"enhanced"`
	Reply    string  `json:"reply"`
	At       *string `json:"at"`
	Account  string  `json:"account"`
}

func runRecipientsCommand(c *cli) *cobra.Command {
	var state, format string
	cmd := &cobra.Command{
		Use:     "recipients RUN",
		Short:   "Who is in a run: state, attempts, last reply",
		Example: "  broadside run recipients october --state failed > failed.csv",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if known := recipientStates(); state != "" && !slices.Contains(known, state) {
				return usagef(cmd, "--state: found %q, expected one of: %s", state, strings.Join(known, ", "))
			}

			how, err := c.rowFormat(cmd, format)
			if err != nil {
				return err
			}

			return c.withRun(cmd.Context(), args[0], func(a *app.App, id string) error {
				return c.recipients(cmd, a, id, state, how)
			})
		},
	}
	cmd.Flags().StringVar(&state, "state", "", "only those in `STATE`: "+strings.Join(recipientStates(), ", "))
	cmd.Flags().StringVar(&format, "format", "csv", "`FORMAT`: csv or jsonl")

	return cmd
}

// recipientStates are the words for states; an issued recipient is shown as pending.
func recipientStates() []string {
	var words []string
	for _, s := range campaign.States {
		if s != campaign.Issued {
			words = append(words, s.String())
		}
	}
	return words
}

func (c *cli) recipients(cmd *cobra.Command, a *app.App, id, state, format string) error {
	w, err := c.rows(format, "address", "state", "attempts", "code", "enhanced", "reply", "at", "account")
	if err != nil {
		return err
	}

	err = a.Runs.Recipients(cmd.Context(), id, state, func(r runs.Recipient) error {
		row := recipientRow{r.Address, r.State, r.Attempts, r.Code, r.Enhanced, r.Reply, nil, r.Account}
		code := ""
		at := ""
		if r.At != nil {
			row.At = stamp(*r.At)
			if row.At != nil {
				at = *row.At
			}
		}

		if r.Code != 0 {
			code = strconv.Itoa(r.Code)
		}

		return w.row([]string{csvCell(r.Address), r.State, strconv.Itoa(r.Attempts), code, r.Enhanced, csvCell(r.Reply), at, csvCell(r.Account)}, row)
	})
	if err != nil {
		return err
	}

	return w.close()
}

func runRejectsCommand(c *cli) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "rejects RUN",
		Short:   "Rows of the audience that were refused: line and reason",
		Example: "  broadside run rejects october > rejects.csv",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			how, err := c.rowFormat(cmd, format)
			if err != nil {
				return err
			}

			return c.withRun(cmd.Context(), args[0], func(a *app.App, id string) error {
				rejects, err := a.Runs.Rejects(cmd.Context(), id)
				if err != nil {
					return err
				}

				w, err := c.rows(how, "line", "reason", "value")
				if err != nil {
					return err
				}

				for _, r := range rejects {
					if err := w.row([]string{strconv.Itoa(r.Line), r.Reason, csvCell(visible(r.Value))}, r); err != nil {
						return err
					}
				}

				if len(rejects) >= scheduler.KeptRejects {
					c.note("these are the first %d; run show says how many there were", len(rejects))
				}

				return w.close()
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "csv", "`FORMAT`: csv or jsonl")
	return cmd
}
