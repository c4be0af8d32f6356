package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/app"
	"broadside/internal/failure"
)

// cli is what all commands share: the streams, the environment and the flags
// that every command has.
type cli struct {
	stdin     io.Reader // looked at only; read is in
	in        io.Reader // stdin, until a signal comes
	stdout    io.Writer
	stderr    io.Writer // term
	stdoutTTY bool
	term      *terminal
	env       []string

	configFile string
	asJSON     bool
	quiet      bool
	logLevel   string
}

const longHelp = `Broadside sends newsletters in bulk: a campaign file and a list of people go in,
one message per person comes out of a pool of SMTP connections, and every
recipient ends in exactly one state.

Exit codes: 0 done; 1 failed while working; 2 wrong usage; 3 invalid input;
4 a service is not reachable; 5 more failed than --max-failed; 6 refused;
7 still running when --timeout ended; 130 interrupted.`

func rootCommand(c *cli) *cobra.Command {
	groups := commandGroups(c)
	var commands []*cobra.Command
	for _, g := range groups {
		commands = append(commands, g.commands...)
	}

	root := noun("broadside", "Bulk newsletters, nobody mailed twice", commands...)
	for _, g := range groups {
		g.addTo(root)
	}

	root.Long = longHelp
	root.Example = `  broadside demo                               a whole campaign, here and now
  broadside init                               a project to start from
  broadside campaign launch campaign.yaml      send it`
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usagef(cmd, "%v", err) })
	flags := root.PersistentFlags()
	flags.StringVar(&c.configFile, "config", "", "configuration `FILE` (default broadside.yaml, if it is there)")
	flags.BoolVar(&c.asJSON, "json", false, "print one JSON document")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "no progress, no notes, no colours")
	flags.StringVar(&c.logLevel, "log-level", "", "`LEVEL`: debug, info, warn or error (default $LOG_LEVEL; info for processes, else warn)")
	versionFlag(c, root)
	withoutUsageOfNouns(root)
	root.SetHelpCommandGroupID("This program:")
	root.SetCompletionCommandGroupID("This program:")
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			verbs(cmd)
			cmd.Example = "  broadside completion bash > /etc/bash_completion.d/broadside"
		}
	}

	c.complete(root)
	return root
}

// A commandGroup is commands that the help of broadside shows together.
type commandGroup struct {
	title    string
	commands []*cobra.Command
}

func commandGroups(c *cli) []commandGroup {
	return []commandGroup{
		{"Begin:", []*cobra.Command{demoCommand(c), initCommand(c), sinkCommand(c)}},
		{"Send:", []*cobra.Command{campaignCommand(c), runCommand(c), sendCommand(c), listCommand(c), suppressionCommand(c), personCommand(c), accountCommand(c), laneCommand(c)}},
		{"Processes:", []*cobra.Command{workerCommand(c), schedulerCommand(c), webCommand(c), allCommand(c), releaseCommand(c), processesCommand(c)}},
		{"Find out:", []*cobra.Command{doctorCommand(c), explainCommand(c), replyCommand(c), feedbackCommand(c), traceCommand(c), webhookCommand(c), configCommand(c), benchCommand(c)}},
		{"Keep:", []*cobra.Command{backupCommand(c), restoreCommand(c), tokenCommand(c)}},
		{"This program:", []*cobra.Command{manCommand(), versionCommand(c)}},
	}
}

// addTo shows the group in the help of root.
func (g commandGroup) addTo(root *cobra.Command) {
	root.AddGroup(&cobra.Group{ID: g.title, Title: g.title})
	for _, cmd := range g.commands {
		cmd.GroupID = g.title
	}
}

// withoutUsageOfNouns takes the usage line without a verb out of the help of
// commands that need one.
func withoutUsageOfNouns(root *cobra.Command) {
	usage := strings.Replace(root.UsageTemplate(), "{{if .Runnable}}", "{{if and .Runnable (not .HasAvailableSubCommands)}}", 1)
	root.SetUsageTemplate(usage)
}

// noun returns a command that only has verbs.
func noun(name, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: name, Short: short}
	cmd.AddCommand(commands...)
	verbs(cmd)
	var examples []string
	for _, verb := range commands {
		first, _, _ := strings.Cut(verb.Example, "\n")
		examples = append(examples, first)
	}

	cmd.Example = strings.Join(examples, "\n")
	for _, name := range later[name] {
		cmd.AddCommand(notYetCommand(name))
	}

	return cmd
}

// verbs makes a missing or unknown verb of a noun a wrong usage.
func verbs(cmd *cobra.Command) {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var known []string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				known = append(known, sub.Name())
			}
		}

		if len(args) == 0 {
			return usagef(cmd, "%sexpected one of: %s", nounOf(cmd), strings.Join(known, ", "))
		}

		text := fmt.Sprintf("%sfound %q, expected one of: %s", nounOf(cmd), args[0], strings.Join(known, ", "))
		if meant := strictyaml.Suggest(args[0], known); meant != "" {
			text += fmt.Sprintf("; did you mean %s?", meant)
		}

		return usagef(cmd, "%s", text)
	}
}

// nounOf begins a message about a verb of cmd; the program's own name stands
// in front of every message.
func nounOf(cmd *cobra.Command) string {
	if !cmd.HasParent() {
		return ""
	}
	return cmd.CommandPath() + ": "
}

// args makes a wrong number of arguments a wrong usage; use what the command
// expects in its Use line.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check(cmd, args) != nil {
			return usagef(cmd, "found %d arguments; usage: %s", len(args), cmd.UseLine())
		}
		return nil
	}
}

// load reads the configuration.
func (c *cli) load(ctx context.Context) (*configs.Config, error) {
	return configs.Load(ctx, configs.Options{File: c.configFile, Env: c.env})
}

// open reads the configuration and opens the installation, the embedded store
// when there is no Redis. sends: this process will send. The caller closes.
func (c *cli) open(ctx context.Context, sends bool) (*app.App, error) {
	cfg, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	return c.openWith(ctx, cfg, sends)
}

// openWith is open with the configuration at hand.
func (c *cli) openWith(ctx context.Context, cfg *configs.Config, sends bool) (*app.App, error) {
	log, err := c.logger(false)
	if err != nil {
		return nil, err
	}
	return app.Open(ctx, cfg, app.Options{Log: log, Sends: sends})
}

// close closes what open returned. What cannot be closed ends with the
// process.
func (c *cli) close(a *app.App) {
	if err := a.Close(); err != nil {
		fmt.Fprintf(c.stderr, "broadside: %v\n", err)
	}
}

// openKept is open for commands on what was kept from earlier: without Redis
// there is nothing.
func (c *cli) openKept(ctx context.Context, sends bool) (*app.App, error) {
	cfg, err := c.load(ctx)
	if err != nil {
		return nil, err
	}
	if cfg.RedisURL == "" {
		return nil, fmt.Errorf("%w: %s", failure.ErrUnreachable, needRedis(cfg))
	}
	return c.openWith(ctx, cfg, sends)
}

// kept runs do on what openKept opens.
func (c *cli) kept(ctx context.Context, sends bool, do func(ctx context.Context, a *app.App) error) error {
	a, err := c.openKept(ctx, sends)
	if err != nil {
		return err
	}
	defer c.close(a)
	return do(ctx, a)
}

// needRedis is why a command on what was kept from earlier does not go on.
func needRedis(cfg *configs.Config) string {
	return "there is no Redis configured, and the embedded store forgets at exit: set REDIS_URL, or redis_url in " + cfg.Where() + ", to redis://HOST:6379/0"
}

// logger returns the log: JSON lines on stdout for a process, text on stderr
// for a command.
func (c *cli) logger(process bool) (*slog.Logger, error) {
	text := c.logLevel
	level := slog.LevelWarn
	if process {
		level = slog.LevelInfo
	}
	if text == "" {
		text = c.getenv("LOG_LEVEL")
	}

	if text != "" {
		if err := level.UnmarshalText([]byte(text)); err != nil {
			return nil, &usageError{"", fmt.Sprintf("--log-level or LOG_LEVEL: found %q, expected debug, info, warn or error", text)}
		}
	}

	if process {
		return slog.New(slog.NewJSONHandler(c.stdout, &slog.HandlerOptions{Level: level})), nil
	}

	return slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: level})), nil
}

// getenv returns the last value of a variable, as os.Getenv would.
func (c *cli) getenv(name string) string {
	for i := len(c.env) - 1; i >= 0; i-- {
		if value, ok := strings.CutPrefix(c.env[i], name+"="); ok {
			return value
		}
	}
	return ""
}

// asks reports whether a person can be asked: both ends are a terminal.
func (c *cli) asks() bool {
	f, ok := c.stdin.(*os.File)
	return ok && c.term.tty && term.IsTerminal(int(f.Fd()))
}
