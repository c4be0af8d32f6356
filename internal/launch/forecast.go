package launch

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/window"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/forecast"
	"broadside/scheduler"
	"broadside/throttle"
)

// hasLane returns what reports whether a domain has a lane of its own at one of the
// accounts; nil when none has.
func (l *Launcher) hasLane(accounts []string) func(domain string) bool {
	domains := map[string]bool{}
	for _, name := range accounts {
		for lane := range l.Config.Accounts[name].Lanes {
			if strings.Contains(lane, ".") {
				domains[lane] = true
			}
		}
	}
	if len(domains) == 0 {
		return nil
	}
	return func(domain string) bool { return domains[domain] }
}

// forecast says how long the run takes, with the limits that hold when it begins now, or
// when its window opens. The window does not close any more.
func (l *Launcher) forecast(ctx context.Context, spec campaign.RunSpec, read scheduler.Plan, now time.Time) (forecast.Forecast, error) {
	zone, _ := l.Config.Location()
	s := spec.Snapshot
	s.SpreadRate = scheduler.SpreadRate(spec.Spread, read)
	if opens := spec.Window.Next(now); !opens.IsZero() {
		now = opens
	}
	in := forecast.Input{
		Now: now, Zone: zone, Rate: s.Pace(), People: peopleOf(read),
		Canary: spec.Guard.Canary, CanaryWait: spec.Guard.CanaryWait,
	}
	if spec.Delivery.ExpiresAfter > 0 {
		in.Expires = now.Add(spec.Delivery.ExpiresAfter)
	}
	if read.Local != nil {
		in.Waves = wavesOf(read.Local)
		in.Expires = now.Add(read.Local.Expires)
	}

	for _, name := range s.Accounts {
		acct := l.Config.Accounts[name]
		held, err := l.Held(ctx, name)
		if err != nil {
			return forecast.Forecast{}, err
		}
		acct.Warmup = acct.Warmup.Later(held)
		a := accountOf(acct, now, zone)
		a.Weight = s.Weights.Of(name)
		used, err := l.Used(ctx, name)
		if err != nil {
			return forecast.Forecast{}, err
		}
		a.Used = used
		in.Accounts = append(in.Accounts, a)
	}
	return forecast.Of(in), nil
}

// spreadSteps is into how many steps a wave is divided whose recipients get the message at
// some moment after it has begun.
const spreadSteps = 12

// wavesOf returns when the recipients become due.
func wavesOf(local *scheduler.LocalPlan) []forecast.Wave {
	var waves []forecast.Wave
	for _, w := range local.Waves {
		steps := 1
		if local.Spread > 0 {
			steps = spreadSteps
		}
		for i := range steps {
			at := w.At.Add(time.Duration(i) * local.Spread / time.Duration(steps))
			waves = append(waves, forecast.Wave{At: at, Recipients: float64(w.Recipients) / float64(steps)})
		}
	}
	return waves
}

// within moves the times of a forecast to where a window is open: it is made as if the
// window did not close any more. What quotas allow while it is closed is left out.
func within(w *window.Window, f forecast.Forecast) forecast.Forecast {
	if w == nil {
		return f
	}
	move := func(t *time.Time) {
		if !t.IsZero() {
			*t = w.After(f.Now, t.Sub(f.Now))
		}
	}

	move(&f.Finish)
	move(&f.Expires)
	for i := range f.Lanes {
		move(&f.Lanes[i].Starts)
		move(&f.Lanes[i].Finish)
	}
	for i := range f.Waits {
		move(&f.Waits[i].At)
		move(&f.Waits[i].Until)
	}
	return f
}

// accountOf returns an account with its limits, without its weight and what is used.
func accountOf(acct configs.Account, now time.Time, zone *time.Location) forecast.Account {
	a := forecast.Account{
		Name: acct.Name, Rate: acct.Limits.Rate, Connections: acct.Limits.Connections,
		ConnectionRate: acct.Limits.ConnectionRate, MessagesPerConnection: acct.Limits.MessagesPerConnection,
		PerMessage: forecast.PerMessage, Lanes: map[string]forecast.Lane{},
	}
	if acct.Loopback() {
		a.PerMessage = forecast.PerMessageHere
	}
	for name, lane := range acct.Lanes {
		a.Lanes[name] = forecast.Lane{Rate: lane.Rate, Connections: lane.Connections}
	}
	a.Quotas = func(at time.Time) []throttle.Quota { return account.Quotas(acct, at, zone, 0) }
	if day, _, _, _, on := acct.Warmup.Day(now, zone); on {
		a.WarmupDay = day
	}
	return a
}

// peopleOf returns who is mailed, by provider and by the domains that were counted.
func peopleOf(read scheduler.Plan) []forecast.People {
	mailed := read.Mailed
	if mailed == nil { // the audience was not read: another process has made the run
		mailed = read.Parts
	}
	rest := maps.Clone(mailed)
	var people []forecast.People
	for _, domain := range slices.Sorted(maps.Keys(read.Domains)) {
		n := read.Domains[domain]
		rest[campaign.PartOf(domain)] -= n
		people = append(people, forecast.People{Provider: campaign.ProviderOf(domain), Domain: domain, Number: n})
	}
	for _, part := range slices.Sorted(maps.Keys(rest)) {
		people = append(people, forecast.People{Provider: campaign.Providers[part], Number: rest[part]})
	}
	return people
}
