package main

import (
	"context"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/throttle"
)

// openApp opens the installation of the project of a script.
func openApp(ts *testscript.TestScript) *app.App {
	cfg, err := configs.Load(context.Background(), configs.Options{
		Dir: ts.MkAbs("."), Env: []string{"REDIS_URL=" + ts.Getenv("REDIS_URL"), "SMTP_URL=" + ts.Getenv("SMTP_URL")},
	})
	ts.Check(err)
	a, err := app.Open(context.Background(), cfg, app.Options{})
	ts.Check(err)
	return a
}

// laneState puts a lane into a state as workers do: slowed, paused, or storm RUN. A
// storm has suppressed those recipients of the run who bounced.
func laneState(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: lanestate ACCOUNT/LANE slowed|paused|storm [RUN]")
	}
	a := openApp(ts)
	defer a.Close() //nolint:errcheck // nothing was written

	now := time.Now()
	signal := throttle.Signal{Rate: 20, Code: string(codes.LaneSlowed), Reason: "450 4.7.0 slow down"}
	account, lane, _ := strings.Cut(args[0], "/")
	_, _, err := a.Lanes.Change(context.Background(), account, lane, func(l throttle.Lane) throttle.Lane {
		switch args[1] {
		case "slowed":
			return l.Slow(now, signal)
		case "paused":
			signal.Block = true
			signal.Code = string(codes.LanePaused)
			return l.Slow(now, signal)
		case "storm":
			l = l.Close(now, string(codes.LaneStorm), codes.LaneStorm.Reason("the server calls too many addresses dead"))
			l.From = now.Add(-time.Minute)
			return l
		}
		ts.Fatalf("lanestate: found %q, expected slowed, paused or storm", args[1])
		return l
	})
	ts.Check(err)
	if len(args) > 2 {
		suppressBounced(ts, a, args[0], args[2], now)
	}
}

// suppressBounced makes the suppressions of those who bounced in a run name a lane.
func suppressBounced(ts *testscript.TestScript, a *app.App, lane, run string, now time.Time) {
	ctx := context.Background()
	rec, err := a.Ledger.Record(ctx, run)
	ts.Check(err)
	err = a.Runs.Each(ctx, rec.Handle(), func(part, index int, cell ledger.Cell, row audience.Row) error {
		if cell.State != campaign.Bounced {
			return nil
		}
		address := row.Address.Canonical()
		if _, err := a.Suppression.Rm(ctx, address); err != nil {
			return err
		}
		_, err := a.Suppression.Add(ctx, suppression.Entry{
			Address: address, Reason: suppression.ReasonBounce, Source: "smtp", Run: run, Lane: lane, Part: part, Index: index, At: now,
		})
		return err
	})
	ts.Check(err)
}
