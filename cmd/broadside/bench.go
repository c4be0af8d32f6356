package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"broadside/internal/bench"
)

func benchCommand(c *cli) *cobra.Command {
	o := bench.Defaults()
	size := strconv.Itoa(o.Size>>10) + "KB"
	cmd := &cobra.Command{
		Use:   "bench [STAGE...]",
		Short: "Measure this machine, in ratios",
		Long: `Measure what this machine makes of Broadside, and compare it with what Postfix's
smtp-source does in the same minute to the same server. Redis, the workers and
the SMTP server are processes of their own, started for this and gone afterwards.

Stages (default: all):
  expand   read, check and store a list; nothing is sent
  enqueue  put tasks into the queue, and take them out again
  render   make messages on one core
  send     send them, then let smtp-source send as many`,
		Example: `  broadside bench
  broadside bench --recipients 20000 send
  broadside bench --rtt 50ms --connections 3 --recipients 500 send
  broadside bench --redis-rtt 1ms --recipients 30000 send
  broadside bench --aof --json > before.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, stages []string) error {
			var err error
			if o.Size, err = parseSize(size); err != nil {
				return usagef(cmd, "--size: %v", err)
			}
			return c.bench(cmd, o, stages)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.Recipients, "recipients", o.Recipients, "how many people are on the list")
	f.IntVar(&o.Fields, "fields", o.Fields, "how many fields each has in addition to the address, 1 to 12")
	f.StringVar(&size, "size", size, "`SIZE` of one message")
	f.IntVar(&o.Connections, "connections", o.Connections, "connections to the SMTP server, over all workers")
	f.IntVar(&o.Workers, "workers", o.Workers, "worker processes")
	f.StringVar(&o.Pipelining, "pipelining", o.Pipelining, "`MODE` of the account: auto, envelope or off")
	f.StringVar(&o.Sink, "sink", "", "`NAME` of what is started as SMTP server: smtp-sink (Postfix's; the default where it is installed) or own")
	f.StringVar(&o.SMTP, "smtp", "", "`HOST:PORT` of a test server on this machine (default: start a sink)")
	f.DurationVar(&o.RTT, "rtt", 0, "how far the sink is away, as a round-trip time")
	f.DurationVar(&o.RedisRTT, "redis-rtt", 0, "how far Redis is away from the workers, as a round-trip time")
	f.StringVar(&o.Redis, "redis", "", "`URL` of a Redis for tests, which nothing else uses during the measurement (default: start a redis-server)")
	f.BoolVar(&o.AOF, "aof", false, "the redis-server that is started writes an AOF (everysec)")
	f.BoolVar(&o.Limits, "limits", false, "set every limit of the account and its lanes, so high that none is reached")
	f.DurationVar(&o.For, "for", 0, "stop sending after this `DURATION` (default: when all is sent)")
	f.BoolVar(&o.Alone, "alone", false, "do not let smtp-source send too")
	f.StringVar(&o.ProfileDir, "profile", "", "`DIR` for CPU and allocation profiles of the workers")
	cmd.AddCommand(benchAgentCommand(c))

	return cmd
}

func (c *cli) bench(cmd *cobra.Command, o bench.Options, stages []string) error {
	if err := c.benchAround(&o); err != nil {
		return err
	}

	o.Stages = stages
	res, err := bench.Run(cmd.Context(), o)
	var option *bench.OptionError
	if errors.As(err, &option) {
		return usagef(cmd, "%v", option)
	}
	if err != nil {
		return err
	}
	if c.asJSON {
		return c.json(res)
	}

	fmt.Fprintln(c.stdout, res.Title())
	return c.table([]string{"STAGE", "WHAT", "VALUE", "UNIT"}, res.Rows())
}

// benchAround fills in what surrounds a measurement.
func (c *cli) benchAround(o *bench.Options) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start it again: %w", err)
	}

	if o.Log, err = c.logger(false); err != nil {
		return err
	}

	o.Agent = []string{self, "bench", "agent"}
	o.Stderr = c.stderr
	o.Say = func(text string) { c.note("bench: %s", text) }

	return nil
}

// benchAgentCommand is a child process of a measurement, and of no other use.
func benchAgentCommand(c *cli) *cobra.Command {
	return &cobra.Command{
		Use: "agent ROLE ARGUMENT...", Short: "A process of a measurement", Hidden: true,
		Example: "  broadside bench agent sink",
		Args:    args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			log := slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
			return bench.Agent(cmd.Context(), args, c.stdin, c.stdout, log)
		},
	}
}

// parseSize reads a number of bytes: 20480, 20KB or 1MB (1 KB is 1024 bytes).
func parseSize(text string) (int, error) {
	digits := strings.ToUpper(strings.TrimSpace(text))
	unit := 1
	for _, u := range []struct {
		suffix string
		bytes  int
	}{{"KB", 1 << 10}, {"MB", 1 << 20}, {"K", 1 << 10}, {"M", 1 << 20}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(digits, u.suffix); ok {
			digits = rest
			unit = u.bytes
			break
		}
	}

	n, err := strconv.Atoi(strings.TrimSpace(digits))
	if err != nil || n < 1 || n > 1<<20 {
		return 0, fmt.Errorf("found %q, expected a size such as 20KB, at most 1MB", text)
	}

	return min(n*unit, 1<<30), nil
}
