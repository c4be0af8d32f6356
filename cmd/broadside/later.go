package main

import "github.com/spf13/cobra"

// laterFlag adds a flag of a later version: it is not advertised, and refused
// by name.
func laterFlag(cmd *cobra.Command, name string) {
	cmd.Flags().Bool(name, false, "not supported yet")
	cmd.Flags().Lookup(name).Hidden = true
	before := cmd.PreRunE
	cmd.PreRunE = func(cmd *cobra.Command, args []string) error {
		if cmd.Flags().Changed(name) {
			return usagef(cmd, "--%s is not supported yet", name)
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// later are the verbs of later versions, by their nouns: they are refused by
// name, as keys and flags are, and not advertised.
var later = map[string][]string{
	"broadside": {"dkim", "audit"},
}

func notYetCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use: name, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef(cmd.Parent(), "%s is not supported yet", cmd.CommandPath())
		},
	}
}
