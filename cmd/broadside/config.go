package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

func configCommand(c *cli) *cobra.Command {
	show := &cobra.Command{
		Use:     "show",
		Short:   "Every setting, its value and where it came from; no secrets",
		Example: "  broadside config show\n  broadside config show --json",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := c.load(cmd.Context())
			if err != nil {
				return err
			}
			if c.asJSON {
				return c.json(cfg.Rows())
			}
			var rows [][]string
			for _, r := range cfg.Rows() {
				rows = append(rows, []string{r.Key, r.Value, r.Source})
			}
			return c.table([]string{"KEY", "VALUE", "SOURCE"}, rows)
		},
	}
	return noun("config", "The configuration in force", show)
}

func versionCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "The version of this program",
		Example: "  broadside version --json",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			v := struct {
				Version  string `json:"version"`
				Revision string `json:"revision"`
				Modified bool   `json:"modified"` // built from a tree with changes
				Go       string `json:"go"`
			}{Version: "unknown", Go: runtime.Version()}
			if info, ok := debug.ReadBuildInfo(); ok {
				v.Version = info.Main.Version
				for _, s := range info.Settings {
					switch s.Key {
					case "vcs.revision":
						v.Revision = s.Value
					case "vcs.modified":
						v.Modified = s.Value == "true"
					}
				}
			}
			if c.asJSON {
				return c.json(v)
			}
			fmt.Fprintf(c.stdout, "broadside %s (%s)\n", v.Version, v.Go)
			return nil
		},
	}
}
