package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"broadside/internal/app"
	"broadside/internal/doctor"
	"broadside/internal/store"
)

func doctorCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Look at settings, Redis, clock, links and accounts: what is wrong, and the fix",
		Long: `Look at everything that a campaign needs, and say of each thing what was found,
what comes of it and what to do. Nothing is written or sent. What is the matter
with Redis is also logged when worker, scheduler, web or all starts.

Exit codes: 0 nothing failed, there may be warnings; 4 Redis or an account cannot
be reached; else 3 settings are missing; else 6 something else failed.`,
		Example: "  broadside doctor\n  broadside doctor --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd.Context())
			if err != nil {
				return err
			}

			log, err := c.logger(false)
			if err != nil {
				return err
			}

			found, err := app.Examine(cmd.Context(), cfg, log)
			if found == nil {
				return err
			}

			return errors.Join(c.printFindings(found), err)
		},
	}
}

// A finding is the outcome of one check of doctor and release.
type finding struct {
	Subject string `json:"subject"`
	Code    string `json:"code"`
	Level   string `json:"level"`
	Text    string `json:"text"`
	Why     string `json:"why,omitempty"`
	Fix     string `json:"fix,omitempty"`
}

// printFindings prints findings as a list for people, or as an array.
func (c *cli) printFindings(found []doctor.Finding) error {
	if c.asJSON {
		out := make([]finding, len(found))
		for i, f := range found {
			out[i] = finding{f.Subject, string(f.Code), f.Level.String(), f.Text, f.Why, f.Fix}
		}
		return c.json(out)
	}

	for _, f := range found {
		level := c.ink().word(fmt.Sprintf("%-8s", f.Level))
		if f.Level == store.Good {
			fmt.Fprintf(c.stdout, "%s %s: %s\n", level, f.Subject, printable(f.Text))
			continue
		}
		fmt.Fprintf(c.stdout, "%s %s: %s: %s\n%-8s fix: %s (%s)\n", level, f.Subject, printable(f.Text), f.Why, "", f.Fix, f.Code)
	}

	return nil
}
