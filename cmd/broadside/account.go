package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/configs/units"
	"broadside/internal/account"
)

func accountCommand(c *cli) *cobra.Command {
	return noun("account", "The ways out: SMTP relays with their limits", accountsCommand(c), checkAccountCommand(c), presetsCommand(c))
}

func accountsCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "All accounts: limits, open connections, and which are closed",
		Example: `  broadside account ls`,
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			a, err := c.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer c.close(a)
			if a.Embedded() {
				c.note("no redis_url: this is what is configured; what is open or closed is known with REDIS_URL only")
			}
			states, err := a.AccountStates(cmd.Context())
			if err != nil {
				return err
			}
			if c.asJSON {
				return c.json(states)
			}
			return c.printAccounts(states)
		},
	}
}

func (c *cli) printAccounts(states []account.State) error {
	var rows [][]string
	for _, s := range states {
		state := "open"
		if s.Closed != nil {
			state = fmt.Sprintf("closed until %s: %s", s.Closed.Until.UTC().Format(time.RFC3339), s.Closed.Reason)
		}
		rows = append(rows, []string{
			s.Name, s.Preset, s.Stream, s.Host + ":" + strconv.Itoa(s.Port), s.TLS, units.FormatRate(s.Limits.RatePerS),
			fmt.Sprintf("%d of %d", s.Connections, s.Limits.Connections), strconv.Itoa(s.Limits.MessagesPerConnection),
			quotaText(s), warmupText(s.Warmup), state,
		})
	}
	return c.table([]string{"NAME", "PRESET", "STREAM", "SERVER", "TLS", "RATE", "CONNECTIONS", "PER CONNECTION", "QUOTA", "WARM-UP", "STATE"}, rows)
}

// quotaText says how much of its quotas an account has used; empty when it has none.
func quotaText(s account.State) string {
	var texts []string
	if s.Limits.PerHour > 0 {
		texts = append(texts, fmt.Sprintf("%d of %d an hour", s.Used.Hour, s.Limits.PerHour))
	}
	if s.Limits.PerDay > 0 {
		texts = append(texts, fmt.Sprintf("%d of %d a day", s.Used.Day, s.Limits.PerDay))
	}
	return strings.Join(texts, ", ")
}

// warmupText says which day of its warm-up an account has; empty when it has none.
func warmupText(w *account.Warmup) string {
	switch {
	case w == nil:
		return ""
	case w.Day == 0:
		return "not begun"
	}

	text := fmt.Sprintf("day %d: %d of %d", w.Day, w.Used, w.Allowance)
	if w.Held > 0 {
		text += fmt.Sprintf(" (%d steps not taken: too many deferrals or complaints)", w.Held)
	}
	return text
}
