package main

import "github.com/spf13/cobra"

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
