package main

import "github.com/spf13/cobra"

func feedbackCommand(c *cli) *cobra.Command {
	return noun("feedback", "What mail systems and readers send back", feedbackListCommand(c))
}
