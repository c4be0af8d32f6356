package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/outgoing"
)

// completionTime bounds how long a shell waits for values. When Redis is away
// there are none, and nothing is said.
const completionTime = time.Second

// look returns what find finds in Redis, within completionTime.
func (c *cli) look(find func(ctx context.Context, a *app.App) ([]string, error)) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	found := make(chan []string, 1)
	go func() { found <- c.lookNow(ctx, find) }()
	select {
	case values := <-found:
		return values
	case <-ctx.Done():
		return nil // what still hangs ends with the process
	}
}

func (c *cli) lookNow(ctx context.Context, find func(ctx context.Context, a *app.App) ([]string, error)) []string {
	cfg, err := c.load(ctx)
	if err != nil || cfg.RedisURL == "" {
		return nil
	}

	a, err := app.Open(ctx, cfg, app.Options{Log: slog.New(slog.DiscardHandler), Unfit: true})
	if err != nil {
		return nil
	}

	values, err := find(ctx, a)
	if err != nil {
		return nil
	}

	return values
}

// stored are values that are in Redis alone.
func (c *cli) stored(find func(ctx context.Context, a *app.App) ([]string, error)) values {
	return func(string) ([]string, cobra.ShellCompDirective) {
		return c.look(find), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// runNames are the campaigns that have runs, which stand for their latest one,
// and all runs, the newest first.
func runNames(ctx context.Context, a *app.App) ([]string, error) {
	ids, err := a.Ledger.List(ctx, "")
	if err != nil {
		return nil, err
	}

	var out []string
	seen := map[string]bool{}
	for _, id := range ids {
		if of := campaign.OfRun(id); !seen[of] {
			seen[of] = true
			out = append(out, cobra.CompletionWithDesc(of, "its latest run, "+id))
		}
	}

	return append(out, ids...), nil
}

func listNames(ctx context.Context, a *app.App) ([]string, error) {
	lists, err := a.Lists.Ls(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, l := range lists {
		out = append(out, cobra.CompletionWithDesc(l.Name, fmt.Sprintf("%d recipients", l.Count)))
	}
	return out, nil
}

// listVersions are the versions that `list restore` takes.
func listVersions(ctx context.Context, a *app.App) ([]string, error) {
	lists, err := a.Lists.Ls(ctx)
	if err != nil {
		return nil, err
	}

	var out []string
	for _, l := range lists {
		for _, v := range l.Versions {
			out = append(out, cobra.CompletionWithDesc(fmt.Sprintf("%s@%d", l.Name, v.N), fmt.Sprintf("%d recipients", v.Count)))
		}
	}

	return out, nil
}

func tokenIDs(ctx context.Context, a *app.App) ([]string, error) {
	all, err := a.Access.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, token := range all {
		out = append(out, cobra.CompletionWithDesc(token.ID, token.Name))
	}
	return out, nil
}

func scheduleNames(ctx context.Context, a *app.App) ([]string, error) {
	all, err := a.Schedules.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range all {
		out = append(out, e.ID)
	}
	return out, nil
}

// campaignNames are campaign files, and campaigns that are scheduled.
func (c *cli) campaignNames() values {
	return func(typed string) ([]string, cobra.ShellCompDirective) {
		files, directive := yamlFiles(typed)
		return append(files, c.look(scheduleNames)...), directive
	}
}

// sourceNames are lists and runs once list: or run: was begun, else files.
func (c *cli) sourceNames() values {
	return func(typed string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, kind := range []struct {
			prefix string
			find   func(ctx context.Context, a *app.App) ([]string, error)
		}{{"list:", listNames}, {"run:", runNames}} {
			if typed == "" || !strings.HasPrefix(typed, kind.prefix) && !strings.HasPrefix(kind.prefix, typed) {
				continue
			}
			for _, name := range c.look(kind.find) {
				out = append(out, kind.prefix+name)
			}
		}

		return out, cobra.ShellCompDirectiveDefault
	}
}

// configured are values that the configuration has; none when it cannot be read.
func (c *cli) configured(of func(cfg *configs.Config) []string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	cfg, err := c.load(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return of(cfg), cobra.ShellCompDirectiveNoFileComp
}

// accountNames are the accounts of the configuration.
func (c *cli) accountNames(string) ([]string, cobra.ShellCompDirective) {
	return c.configured(func(cfg *configs.Config) []string { return slices.Sorted(maps.Keys(cfg.Accounts)) })
}

// formNames are the forms of the configuration on which people subscribe.
func (c *cli) formNames(string) ([]string, cobra.ShellCompDirective) {
	return c.configured(func(cfg *configs.Config) []string { return slices.Sorted(maps.Keys(cfg.Subscribe)) })
}

// webhookURLs are the receivers of the configuration.
func (c *cli) webhookURLs(string) ([]string, cobra.ShellCompDirective) {
	return c.configured(func(cfg *configs.Config) (urls []string) {
		for _, w := range cfg.Webhooks {
			urls = append(urls, w.String())
		}
		return urls
	})
}

// deadWebhooks are the first of the dead events.
func deadWebhooks(ctx context.Context, a *app.App) ([]string, error) {
	const most = 100
	var out []string
	err := a.Webhooks.Dead(ctx, func(d outgoing.Dead) bool {
		out = append(out, cobra.CompletionWithDesc(d.ID, d.Type+" "+d.Run))
		return len(out) < most
	})
	return out, err
}

// removedReceivers are those for which something waits and that are not configured.
func removedReceivers(ctx context.Context, a *app.App) ([]string, error) {
	all, err := a.Webhooks.List(ctx)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, s := range all {
		if s.URL == "" {
			out = append(out, s.ID)
		}
	}
	return out, nil
}

// laneNames are the lanes of the accounts of the configuration: of mailbox providers,
// and of domains with limits.
func (c *cli) laneNames(string) ([]string, cobra.ShellCompDirective) {
	return c.configured(func(cfg *configs.Config) (out []string) {
		for _, name := range slices.Sorted(maps.Keys(cfg.Accounts)) {
			names := map[string]bool{}
			for _, p := range campaign.Providers {
				names[string(p)] = true
			}
			for lane := range cfg.Accounts[name].Lanes {
				names[lane] = true
			}
			for _, lane := range slices.Sorted(maps.Keys(names)) {
				out = append(out, name+"/"+lane)
			}
		}
		return out
	})
}

// yamlFiles are the YAML files that begin as it was typed, and the directories
// on the way to others. broadside.yaml is no campaign.
func yamlFiles(typed string) ([]string, cobra.ShellCompDirective) {
	dir, _ := filepath.Split(typed)
	entries, err := os.ReadDir(filepath.Clean(dir + "."))
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}

	var files, dirs []string
	for _, e := range entries {
		name := dir + e.Name()
		switch ending := filepath.Ext(name); {
		case strings.HasPrefix(e.Name(), ".") || !strings.HasPrefix(name, typed):
		case e.IsDir():
			dirs = append(dirs, name+string(filepath.Separator))
		case (ending == ".yaml" || ending == ".yml") && e.Name() != "broadside.yaml":
			files = append(files, name)
		}
	}

	if len(files) == 0 && len(dirs) > 0 {
		return dirs, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}

	return append(files, dirs...), cobra.ShellCompDirectiveNoFileComp
}
