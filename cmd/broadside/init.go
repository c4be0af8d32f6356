package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"broadside/internal/project"
	"broadside/internal/web/theme"
)

func initCommand(c *cli) *cobra.Command {
	var themeOnly bool
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Write a project to start from",
		Long: `Write a project that works at once: configuration with a secret of its own,
campaign, letter, a few subscribers, Procfile and .gitignore. Nothing that is
there is overwritten.

--theme writes, into a project, what readers see behind unsubscribe links and where
they subscribe: two pages and a stylesheet to change (docs/unsubscribe.md). Of a theme
that is there it writes what is missing.`,
		Example: `  broadside init
  broadside init newsletter
  broadside init newsletter --theme`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(_ *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}

			if themeOnly {
				return c.initTheme(dir)
			}

			files, err := project.New(dir)
			if err != nil {
				return err
			}
			if err := c.written(dir, files); err != nil {
				return err
			}
			c.note("%s", nextSteps(dir))
			return nil
		},
	}
	cmd.Flags().BoolVar(&themeOnly, "theme", false, "write the theme of readers' pages, and nothing else")
	return cmd
}

// initTheme writes the files of the theme that a project does not have.
func (c *cli) initTheme(dir string) error {
	files, kept, err := theme.Write(dir)
	if err != nil {
		return err
	}
	if len(kept) > 0 {
		c.note("there already, and left as it is: %s", strings.Join(kept, ", "))
	}
	return c.written(dir, files)
}

// written prints the files that a command has written.
func (c *cli) written(dir string, files []string) error {
	if c.asJSON {
		return c.json(struct {
			Dir   string   `json:"dir"`
			Files []string `json:"files"`
		}{dir, files})
	}

	for _, f := range files {
		if _, err := fmt.Fprintln(c.stdout, f); err != nil {
			return fmt.Errorf("write the list of files: %w", err)
		}
	}

	return nil
}

func nextSteps(dir string) string {
	cd := ""
	if dir != "." {
		cd = "\n  cd " + dir
	}

	return `
Next:` + cd + `
  broadside sink                               a mail server that delivers nothing (leave it running)
  broadside campaign launch campaign.yaml      in another terminal: sends the letter to it
  broadside campaign preview campaign.yaml     shows the letter

To mail real people, set in broadside.yaml: an account, public_url, postal_address
and REDIS_URL. The secret in it signs unsubscribe links: keep it, and out of git.`
}
