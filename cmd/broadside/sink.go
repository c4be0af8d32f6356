package main

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"broadside/internal/sink"
)

func sinkCommand(c *cli) *cobra.Command {
	var listen, out string
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "A mail server for development that delivers nothing",
		Long: `Take mail and deliver none, until Ctrl-C; then print what was counted. The local
part of an address chooses the reply (what follows + is ignored):

  defer@  450 always            defer-2x@  450 twice, then 250
  bounce@ 550 5.1.1             policy@    550 5.7.1
  full@   452 4.2.2             slow@      2 s before each reply
  drop@   closes at RCPT        drop-after-dot@  closes without a last reply`,
		Example: `  broadside sink
  broadside sink --listen 127.0.0.1:2525 --out mail   # each message as one .eml file`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			log, err := c.logger(false)
			if err != nil {
				return err
			}
			return c.serveSink(cmd, listen, sink.Config{Out: out, Logger: log})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:2525", "`ADDRESS` to listen on")
	cmd.Flags().StringVar(&out, "out", "", "keep each message as one .eml file in `DIR`")

	return cmd
}

// serveSink runs a sink until the command is told to stop, which is its
// regular end.
func (c *cli) serveSink(cmd *cobra.Command, listen string, cfg sink.Config) error {
	if !c.quiet {
		cfg.Record = func(e sink.Event) {
			fmt.Fprintf(c.stderr, "%-15s %7d  %s\n", e.Outcome, e.Size, printable(e.To))
		}
	}

	s, err := sink.Listen(listen, cfg)
	if err != nil {
		return err
	}

	c.note("listening on %s", s.Addr())
	s.Serve(cmd.Context())

	return c.printCounts(s.Counts())
}

func (c *cli) printCounts(n sink.Counts) error {
	if c.asJSON {
		return c.json(n)
	}

	var rows [][]string
	for _, r := range []struct {
		what string
		n    int64
	}{
		{"connections", n.Connections},
		{sink.Accepted.String(), n.Accepted},
		{sink.Deferred.String(), n.Deferred},
		{sink.Bounced.String(), n.Bounced},
		{sink.Policy.String(), n.Policy},
		{sink.Full.String(), n.Full},
		{sink.Dropped.String(), n.Dropped},
		{sink.DroppedAfterDot.String(), n.DroppedAfterDot},
		{sink.Refused.String(), n.Refused},
		{"bytes", n.Bytes},
	} {
		rows = append(rows, []string{r.what, strconv.FormatInt(r.n, 10)})
	}

	return c.table([]string{"OUTCOME", "RECIPIENTS"}, rows)
}
