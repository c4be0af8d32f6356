package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// A build says what this program was made from.
type build struct {
	Version  string `json:"version"`
	Revision string `json:"revision"`
	Modified bool   `json:"modified"` // built from a tree with changes
	Go       string `json:"go"`

	time string // of the revision, RFC 3339; empty when it is not known
}

func thisBuild() build {
	b := build{Version: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}

	b.Version = info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		case "vcs.time":
			b.time = s.Value
		}
	}

	return b
}

func versionCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "The version of this program",
		Example: "  broadside version --json",
		Args:    args(cobra.NoArgs),
		RunE:    func(*cobra.Command, []string) error { return c.printVersion() },
	}
}

// versionFlag makes --version of the root command the same as the command version.
func versionFlag(c *cli, root *cobra.Command) {
	shown := root.Flags().Bool("version", false, "print the version of this program")
	otherwise := root.RunE
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if *shown && len(args) == 0 {
			return c.printVersion()
		}
		return otherwise(cmd, args)
	}
}

func (c *cli) printVersion() error {
	b := thisBuild()
	if c.asJSON {
		return c.json(b)
	}
	_, err := fmt.Fprintf(c.stdout, "broadside %s (%s)\n", b.Version, b.Go)
	return err
}
