package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/access"
	"broadside/internal/launch"
	"broadside/sender/reply"
)

// A completion says what the shell offers for the arguments of a command, or for
// the value of a flag.
type completion struct {
	command string // "run show"
	flag    string // empty: its arguments
	values  values
	every   bool // for every argument, not only the first
}

// values are what may stand in a place, given what was typed of it. directive
// says what the shell may add.
type values func(typed string) (offered []string, directive cobra.ShellCompDirective)

// completions has every place whose values are known.
func (c *cli) completions() []completion {
	runs := c.stored(runNames)
	lists := c.stored(listNames)
	campaigns := c.campaignNames()
	schedules := c.stored(scheduleNames)
	source := c.sourceNames()

	return []completion{
		{command: "run show", values: runs},
		{command: "run watch", values: runs},
		{command: "run pause", values: runs},
		{command: "run resume", values: runs},
		{command: "run cancel", values: runs},
		{command: "run recipients", values: runs},
		{command: "run rejects", values: runs},
		{command: "run retry", values: runs},
		{command: "run resolve", values: runs},
		{command: "run report", values: runs, every: true},
		{command: "run report", flag: "format", values: fixed(reportFormats...)},
		{command: "run recipients", flag: "state", values: fixed(recipientStates()...)},
		{command: "run recipients", flag: "format", values: fixed("csv", "jsonl")},
		{command: "run rejects", flag: "format", values: fixed("csv", "jsonl")},
		{command: "run retry", flag: "state", values: fixed(campaign.Failed.String(), campaign.Bounced.String())},
		{command: "run retry", flag: "reason", values: fixed("attempts", "expired", "stuck", launch.ReasonStorm)},
		{command: "run resolve", flag: "uncertain", values: fixed("resend", "accept")},

		{command: "campaign validate", values: campaigns},
		{command: "campaign validate", flag: "format", values: fixed("text", "github")},
		{command: "campaign preview", values: campaigns},
		{command: "campaign test", values: campaigns},
		{command: "campaign launch", values: campaigns},
		{command: "campaign launch", flag: "audience", values: source},
		{command: "campaign launch", flag: "exclude", values: source},
		{command: "campaign schedule", values: campaigns},
		{command: "campaign unschedule", values: schedules},
		{command: "campaign skip", values: schedules},
		{command: "campaign run", values: schedules},
		{command: "campaign show", values: schedules},

		{command: "list import", values: lists},
		{command: "list import", flag: "mode", values: fixed(string(audience.Merge), string(audience.Replace), string(audience.Add))},
		{command: "list show", values: lists},
		{command: "list export", values: lists},
		{command: "list rm", values: lists},
		{command: "list add", values: lists},
		{command: "list remove", values: lists},
		{command: "list subscribe", values: c.formNames},
		{command: "list subscribe", flag: "language", values: fixed(configs.Languages...)},
		{command: "list restore", values: c.stored(listVersions)},

		{command: "trace", flag: "run", values: runs},
		{command: "account check", values: c.accountNames},
		{command: "lane pause", values: c.laneNames},
		{command: "lane resume", values: c.laneNames},
		{command: "lane reset", values: c.laneNames},
		{command: "send", flag: "account", values: c.accountNames},
		{command: "send", flag: "template", values: yamlFiles},
		{command: "token create", flag: "scope", values: fixed(access.Scopes...)},
		{command: "token revoke", values: c.stored(tokenIDs)},
		{command: "webhook retry", values: c.stored(deadWebhooks)},
		{command: "webhook forget", values: c.stored(removedReceivers)},
		{command: "webhook test", flag: "url", values: c.webhookURLs},
		{command: "explain", values: codeNames},
		{command: "reply explain", flag: "stage", values: fixed(texts(reply.Stages)...)},
		{command: "reply explain", flag: "provider", values: fixed(reply.Origins()...)},
		{command: "", flag: "log-level", values: fixed("debug", "info", "warn", "error")},
	}
}

// complete tells the shells what may stand where. A place that is not there is a
// mistake in the program.
func (c *cli) complete(root *cobra.Command) {
	for _, one := range c.completions() {
		cmd, rest, err := root.Find(strings.Fields(one.command))
		if err == nil && len(rest) == 0 {
			err = one.register(cmd)
		}
		if err != nil || len(rest) > 0 {
			panic("completion of " + one.command + " --" + one.flag + ": there is no such command or flag")
		}
	}

	withoutFiles(root)
	if err := root.MarkPersistentFlagFilename("config", "yaml", "yml"); err != nil {
		panic(err)
	}
}

func (one completion) register(cmd *cobra.Command) error {
	offer := func(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		if one.flag == "" && len(args) > 0 && !one.every {
			return nil, cobra.ShellCompDirectiveDefault // the next is a file, if anything
		}
		offered, directive := one.values(typed)
		return matching(offered, typed, args), directive
	}
	if one.flag != "" {
		return cmd.RegisterFlagCompletionFunc(one.flag, offer)
	}

	cmd.ValidArgsFunction = offer
	return nil
}

// matching returns what begins as it was typed and is not an argument already.
func matching(offered []string, typed string, args []string) []string {
	return slices.DeleteFunc(slices.Clone(offered), func(one string) bool {
		word, _, _ := strings.Cut(one, "\t") // without its description
		return !strings.HasPrefix(word, typed) || slices.Contains(args, word)
	})
}

// withoutFiles keeps shells from offering files to commands without arguments.
func withoutFiles(cmd *cobra.Command) {
	if !strings.Contains(cmd.Use, " ") && cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range cmd.Commands() {
		withoutFiles(sub)
	}
}

// fixed are values that are always the same.
func fixed(all ...string) values {
	return func(string) ([]string, cobra.ShellCompDirective) {
		return all, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

func texts[T ~string](all []T) []string {
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = string(one)
	}
	return out
}

// codeNames are the stable codes and what they mean.
func codeNames(string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, e := range codes.All() {
		out = append(out, cobra.CompletionWithDesc(string(e.Code), e.Title))
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
