package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"broadside/configs/units"
	"broadside/internal/account"
)

func presetsCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:   "presets [ID...]",
		Short: "The relays that are known: ports, limits, and where each figure comes from",
		Long: `The relays that an account can name as its preset. The limits are those in force until
the configuration says otherwise. With an ID everything that is known of it is shown.`,
		Example: "  broadside account presets\n  broadside account presets ses\n  broadside account presets --json",
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var ids []string
			for _, p := range account.Presets() {
				ids = append(ids, p.ID+"\t"+p.Name)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			presets := account.Presets()
			if len(args) > 0 {
				presets = nil
			}
			for _, id := range args {
				p, err := account.FindPreset(id)
				if err != nil {
					return err
				}
				presets = append(presets, p)
			}

			switch {
			case c.asJSON:
				return c.json(presets)
			case len(args) > 0:
				return c.printPresets(presets)
			}
			return c.tableOfPresets(presets)
		},
	}
}

func (c *cli) tableOfPresets(presets []account.Preset) error {
	var rows [][]string
	for _, p := range presets {
		source := p.Source[0]
		if more := len(p.Source) - 1; more > 0 {
			source += fmt.Sprintf(" and %d more", more)
		}
		rows = append(rows, []string{
			p.ID, p.Name, p.Host, portList(p), limitsText(p.Limits), source, p.Date,
		})
	}
	if err := c.table([]string{"ID", "NAME", "HOST", "PORTS", "LIMITS", "SOURCE", "DATE"}, rows); err != nil {
		return err
	}
	c.note("`broadside account presets ID` shows what else is known of one, and each source")
	return nil
}

// printPresets prints all that is known of presets.
func (c *cli) printPresets(presets []account.Preset) error {
	for i, p := range presets {
		if i > 0 {
			fmt.Fprintln(c.stdout)
		}
		fmt.Fprintf(c.stdout, "%s (%s)\n", p.ID, p.Name)
		line := func(name string, texts ...string) {
			for _, text := range texts {
				if text != "" {
					fmt.Fprintf(c.stdout, "  %-10s  %s\n", name, text)
				}
				name = ""
			}
		}
		line("host", p.Host)
		line("regions", strings.Join(p.Regions, ", "))
		line("ports", portList(p))
		line("login", strings.Join(p.Auth, ", "))
		line("username", p.Username)
		line("password", p.Password)
		line("limits", limitsText(p.Limits))
		line("documented", append(documentedTexts(p.Documented), p.Documented.Also...)...)
		line("notes", p.Notes...)
		line("unverified", strings.Join(p.Unverified, ", "))
		line("confidence", p.Confidence)
		line("sources", p.Source...)
		line("read on", p.Date)
	}
	return nil
}

// portList names the ports by the way in which TLS begins, the one that is used first.
func portList(p account.Preset) string {
	var modes []string
	numbers := map[string][]string{}
	for _, port := range p.Ports {
		if numbers[port.TLS] == nil {
			modes = append(modes, port.TLS)
		}
		numbers[port.TLS] = append(numbers[port.TLS], strconv.Itoa(port.Port))
	}

	var texts []string
	for _, mode := range modes {
		texts = append(texts, mode+" "+strings.Join(numbers[mode], " "))
	}
	return strings.Join(texts, ", ")
}

func limitsText(l account.Limits) string {
	texts := []string{
		units.FormatRate(l.RatePerS), fmt.Sprintf("%d connections", l.Connections), fmt.Sprintf("%d messages each", l.MessagesPerConnection),
	}
	if l.ConnectionRatePerS > 0 {
		texts = append(texts, units.FormatRate(l.ConnectionRatePerS)+" opened")
	}
	if l.PerHour > 0 {
		texts = append(texts, fmt.Sprintf("%d an hour", l.PerHour))
	}
	if l.PerDay > 0 {
		texts = append(texts, fmt.Sprintf("%d a day", l.PerDay))
	}
	return strings.Join(texts, ", ")
}

func documentedTexts(d account.Documented) []string {
	var texts []string
	for _, f := range []struct {
		n    int
		what string
	}{
		{d.PerDay, "messages a day"},
		{d.Connections, "connections"},
		{d.MessagesPerConnection, "messages a connection"},
		{d.RecipientsPerMessage, "recipients a message"},
	} {
		if f.n > 0 {
			texts = append(texts, fmt.Sprintf("%d %s", f.n, f.what))
		}
	}
	if d.RatePerS > 0 {
		texts = append(texts, units.FormatRate(d.RatePerS))
	}
	if d.MaxSize > 0 {
		texts = append(texts, units.FormatBytes(int64(d.MaxSize))+" a message")
	}
	return texts
}
