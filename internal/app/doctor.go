package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/doctor"
	"broadside/internal/failure"
	"broadside/internal/runs"
	"broadside/internal/store"
)

// Doctor looks at everything that a campaign needs: settings, Redis, the
// clock, the queue, readers' links and the accounts. It writes and sends
// nothing.
//
// When something failed the error says how much, and is failure.ErrUnreachable when
// Redis or an account is among it, else ErrInvalid when the settings are, else
// ErrRefused.
func Doctor(ctx context.Context, cfg *configs.Config, log *slog.Logger) ([]doctor.Finding, error) {
	out := append(settings(cfg), doctor.ConfigFile(cfg.File, cfg.SecretsInFile)...)
	a, err := Open(ctx, cfg, Options{Log: log, Unfit: true})
	switch {
	case ctx.Err() != nil, errors.Is(err, store.ErrOptions):
		return nil, err
	case err != nil:
		out = append(out, doctor.Of("redis", []store.Finding{store.FindingOf(err)})...)
	default:
		out = append(out, a.Checkup(ctx)...)
		out = append(out, a.closings(ctx)...)
		out = append(out, a.attendance(ctx)...)
		out = append(out, a.doubtfulCampaigns(ctx)...)
		if err := a.Close(); err != nil {
			log.Warn("connections to redis are closed by the end of the process", "err", err)
		}
	}
	out = append(out, doctor.Links(ctx, cfg.PublicURL))
	out = append(out, checkAccounts(ctx, cfg)...)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return out, verdict(out)
}

// Checkup returns what the store was found to be when it was opened, and how
// it fares now. Trouble with the questions is a finding too.
func (a *App) Checkup(ctx context.Context) []doctor.Finding {
	return append(doctor.Of("redis", a.store.Findings()), a.condition(ctx)...)
}

// condition looks at how the store fares.
func (a *App) condition(ctx context.Context) []doctor.Finding {
	look := doctor.Look{Namespace: a.Config.Namespace, MaxConnections: a.Config.Redis.MaxConnections}
	var err error
	if look.Runs, look.Replicated, err = a.underWay(ctx); err != nil {
		return doctor.Of("redis", []store.Finding{store.FindingOf(err)})
	}
	return doctor.Redis(ctx, a.store, look)
}

// Checked logs once, when a process starts, what Redis lacks. It keeps no
// process from starting: Open does.
func (a *App) Checked(ctx context.Context) {
	found := doctor.AtStart(a.Checkup(ctx))
	if ctx.Err() != nil {
		return
	}
	for _, f := range found {
		if f.Level != store.Good {
			a.log.Warn(f.Subject+": "+f.Text, "code", f.Code, "why", f.Why, "fix", f.Fix)
		}
	}
}

// underWay returns how many runs there are to be sent, and which runs and
// campaigns want a replica.
func (a *App) underWay(ctx context.Context) (runs int, replicated []string, err error) {
	ids, err := a.Ledger.Active(ctx)
	if err != nil {
		return 0, nil, err
	}
	for _, id := range ids {
		if rec, err := a.Ledger.Record(ctx, id); err == nil && rec.Replicated {
			replicated = append(replicated, id)
		}
	}
	entries, err := a.schedules.List(ctx)
	if err != nil {
		return 0, nil, err
	}
	for _, e := range entries {
		def, err := campaign.Parse(e.File, "", e.Source)
		if err == nil && def.Delivery.Durability == campaign.Replicated && !e.Next.IsZero() {
			replicated = append(replicated, e.ID)
		}
	}
	return len(ids), replicated, nil
}

// settings looks for what the configuration lacks; what is wrong in it is
// found when it is read.
func settings(cfg *configs.Config) []doctor.Finding {
	one := func(code codes.Code, problem error, fine, why, fix string) doctor.Finding {
		f := store.Finding{Code: code, Text: fine}
		if problem != nil {
			f = store.Finding{Code: code, Level: store.Failed, Text: strings.TrimSpace(problem.Error()), Why: why, Fix: fix}
		}
		return doctor.Finding{Subject: "settings", Finding: f}
	}
	var accounts error
	if len(cfg.Accounts) == 0 {
		accounts = errors.New(lacksAccount)
	}
	postal := store.Finding{Code: codes.PostalAddress, Text: "postal_address is set"}
	if cfg.PostalAddress == "" {
		postal = store.Finding{
			Code: codes.PostalAddress, Level: store.Warning, Text: "postal_address is not set",
			Why: "the footer of a letter does not say where its sender is, which many countries' law wants", Fix: "set postal_address",
		}
	}
	return []doctor.Finding{
		{Subject: "settings", Finding: postal},
		one(codes.Secrets, cfg.RequireSecrets(), fmt.Sprintf("%d secrets", len(cfg.Secrets)), "nothing can be launched", "set secrets (or BROADSIDE_SECRETS)"),
		one(codes.Accounts, accounts, fmt.Sprintf("%d accounts", len(cfg.Accounts)), "nothing can be sent",
			addAccount(cfg)),
	}
}

// atOnce is how many accounts are tried at the same time.
const atOnce = 4

// checkAccounts connects to every account, as `account check` does.
func checkAccounts(ctx context.Context, cfg *configs.Config) []doctor.Finding {
	names := slices.Sorted(maps.Keys(cfg.Accounts))
	found := make([][]store.Finding, len(names))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i, name := range names {
		g.Go(func() error {
			check, err := CheckAccount(ctx, cfg, name)
			found[i] = accountFindings(check, err)
			return nil
		})
	}
	_ = g.Wait() // none fails: what went wrong is a finding
	var out []doctor.Finding
	for i, name := range names {
		out = append(out, doctor.Of("account "+name, found[i])...)
	}
	return out
}

func accountFindings(check *AccountCheck, err error) []store.Finding {
	failed := store.Finding{Code: codes.Account, Level: store.Failed, Why: "nothing can be sent by this account"}
	if check == nil {
		failed.Text, failed.Fix = err.Error(), "correct the settings of the account"
		return []store.Finding{failed}
	}
	var out []store.Finding
	if check.OK {
		out = append(out, store.Finding{Code: codes.Account, Text: check.Address + " takes the login"})
	}
	for _, p := range check.Problems {
		f := store.Finding{Code: codes.Account, Level: store.Warning, Text: p.Problem, Why: "it works now", Fix: p.Fix}
		if !check.OK {
			f.Level, f.Why = failed.Level, failed.Why
			f.Text = check.Address + ": " + p.Problem
		}
		out = append(out, f)
	}
	return out
}

// doubtfulCampaigns tells what a scheduled campaign may say, and yet does harm.
func (a *App) doubtfulCampaigns(ctx context.Context) []doctor.Finding {
	entries, err := a.schedules.List(ctx)
	if err != nil {
		return doctor.Of("redis", []store.Finding{store.FindingOf(err)})
	}
	var out []doctor.Finding
	for _, e := range entries {
		def, err := campaign.Parse(e.File, "", e.Source)
		if err != nil || e.Next.IsZero() {
			continue
		}
		for _, warning := range def.Warnings() {
			out = append(out, doctor.Finding{Subject: "campaign " + e.ID, Finding: store.Finding{
				Code: codes.Campaign, Level: store.Warning, Text: warning.Error(),
				Why: "it is sent as it is", Fix: "correct the file and schedule it again",
			}})
		}
	}
	return out
}

// closings tells of accounts and lanes that the workers have closed.
func (a *App) closings(ctx context.Context) []doctor.Finding {
	all, err := a.Accounts.Closings(ctx, a.accountNames()...)
	if err != nil {
		return doctor.Of("redis", []store.Finding{store.FindingOf(err)})
	}
	var out []doctor.Finding
	for _, c := range all {
		if c.Code == string(codes.BrokenState) {
			continue // it is listed with all that cannot be read
		}
		w := runs.ClosingWait(c)
		out = append(out, doctor.Finding{Subject: "account " + c.Account, Finding: store.Finding{
			Code: w.Code, Level: store.Warning,
			Text: fmt.Sprintf("%s %s is closed by a worker until %s: %s", w.For, w.What, c.Until.UTC().Format("2006-01-02T15:04:05Z"), strings.TrimRight(c.Reason, ". ")),
			Why:  "what is to be sent by it waits", Fix: "it opens by itself; see `broadside account check " + c.Account + "`",
		}})
	}
	return out
}

// attendance says where something is due and nobody is there to do it, and what
// cannot be read. The embedded store has no other processes.
func (a *App) attendance(ctx context.Context) []doctor.Finding {
	if a.Embedded() {
		return nil
	}
	found, err := a.duty(ctx)
	if err != nil {
		return append(found, doctor.Of("redis", []store.Finding{store.FindingOf(err)})...)
	}
	return found
}

// verdict returns nil when nothing failed.
func verdict(found []doctor.Finding) error {
	kind, failed := ErrRefused, 0
	for _, f := range found {
		if f.Level != store.Failed {
			continue
		}
		failed++
		switch f.Code {
		case codes.RedisUnreachable, codes.Account:
			kind = failure.ErrUnreachable
		case codes.Secrets, codes.Accounts, codes.PublicURL:
			if kind != failure.ErrUnreachable {
				kind = ErrInvalid
			}
		}
	}
	if failed == 0 {
		return nil
	}
	return failure.New(kind, fmt.Sprintf("%d of %d checks failed", failed, len(found)), nil)
}
