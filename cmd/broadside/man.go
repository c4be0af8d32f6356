package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "man DIR",
		Short: "Write the manual pages",
		Long: `Write a manual page of each command into DIR, which is made when it is missing,
over those of an earlier version.`,
		Example: `  broadside man /usr/local/share/man/man1
  broadside man man && man -l man/broadside-campaign-launch.1`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error { return writeManual(cmd.Root(), args[0]) },
	}
}

// writeManual writes a page of root and of each command below it that is
// advertised. Pages are of the time at which the program was committed, so that
// the same build writes the same bytes.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the directory of the manual: %w", err)
	}

	built := thisBuild()
	header := &doc.GenManHeader{Section: "1", Source: "Broadside " + built.Version, Manual: "Broadside manual"}
	if at, err := time.Parse(time.RFC3339, built.time); err == nil {
		header.Date = &at
	}

	asMarkdown(root)
	root.DisableAutoGenTag = true
	if err := doc.GenManTree(root, header, dir); err != nil {
		return fmt.Errorf("write the manual: %w", err)
	}

	return nil
}

// asMarkdown makes Markdown of the descriptions of a command and all below it,
// as cobra's generator reads them.
func asMarkdown(cmd *cobra.Command) {
	cmd.Short = escapeMarkdown.Replace(cmd.Short)
	var paragraphs []string
	for paragraph := range strings.SplitSeq(cmd.Long, "\n\n") {
		paragraphs = append(paragraphs, markdownOf(paragraph))
	}
	cmd.Long = strings.Join(paragraphs, "\n\n")
	for _, sub := range cmd.Commands() {
		asMarkdown(sub)
	}
}

// markdownOf keeps the lines of a paragraph that has columns, and fills any
// other.
func markdownOf(paragraph string) string {
	if strings.Contains(paragraph, "  ") {
		return "```\n" + paragraph + "\n```"
	}
	return escapeMarkdown.Replace(paragraph)
}

var escapeMarkdown = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "<", `\<`, "[", `\[`)
