package forecast

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/throttle"
)

// noon is when the runs of the tests begin.
var noon = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// many are connections that bound nothing.
const many = 1_000_000

func people(provider campaign.Provider, n int64) People { return People{Provider: provider, Number: n} }

func hour(n int) throttle.Quota {
	return throttle.Quota{Name: "hour", Messages: n, Window: time.Hour}
}

func day(n int) throttle.Quota {
	return throttle.Quota{Name: "day", Messages: n, Window: 24 * time.Hour}
}

// always returns the same quotas at all times.
func always(quotas ...throttle.Quota) func(time.Time) []throttle.Quota {
	return func(time.Time) []throttle.Quota { return quotas }
}

// warmup allows so many messages on each day from the first of December; with 0 it has
// not begun.
func warmup(days ...int) func(time.Time) []throttle.Quota {
	return func(now time.Time) []throttle.Quota {
		n := now.UTC().Day() - 1
		if now.Month() != time.December || n >= len(days) {
			return nil
		}
		begin := now.UTC().Truncate(24 * time.Hour)
		return []throttle.Quota{{Name: "warmup", Messages: days[n], Begin: begin, End: begin.AddDate(0, 0, 1)}}
	}
}

// A line is what a test wants of a flow.
type line struct {
	account, lane string
	recipients    int64
	limit         Limit
	days          int
}

func TestForecast(t *testing.T) {
	t.Parallel()
	main := Account{Name: "main", Weight: 1, Connections: many}
	with := func(a Account, change func(*Account)) Account {
		change(&a)
		return a
	}
	for _, tt := range []struct {
		name     string
		in       Input
		finish   time.Duration // within 1 % and a second
		lines    []line
		waiting  []int64
		expired  int64
		lastDays int // of the first warm-up
	}{
		{
			name:   "a rate",
			in:     Input{Accounts: []Account{with(main, func(a *Account) { a.Rate = 10 })}, People: []People{people("gmail", 980), people("other", 980)}},
			finish: 200 * time.Second,
			lines:  []line{{"main", "gmail", 980, ByRate, 1}, {"main", "other", 980, ByRate, 1}},
		},
		{
			name: "waves: the second begins before the first is over, the third long after",
			in: Input{
				Accounts: []Account{with(main, func(a *Account) { a.Rate = 10 })}, People: []People{people("gmail", 980), people("other", 980)},
				Waves: []Wave{{noon, 980}, {noon.Add(50 * time.Second), 490}, {noon.Add(12 * time.Hour), 490}},
			},
			finish: 12*time.Hour + 50*time.Second,
			lines:  []line{{"main", "gmail", 980, ByRate, 2}, {"main", "other", 980, ByRate, 2}},
		},
		{
			name: "a wave for which a quota is not enough",
			in: Input{
				Accounts: []Account{with(main, func(a *Account) { a.Rate = 100; a.Quotas = always(hour(500)) })}, People: []People{people("other", 1000)},
				Waves:   []Wave{{noon.Add(2 * time.Hour), 900}, {noon.Add(-time.Hour), 100}},
				Expires: noon.Add(150 * time.Minute),
			},
			finish:  3*time.Hour + time.Minute + 10*time.Second,
			lines:   []line{{"main", "other", 1000, ByQuota, 1}},
			waiting: []int64{400},
			expired: 400,
		},
		{
			name: "a lane that is slower than its turn",
			in: Input{Accounts: []Account{with(main, func(a *Account) {
				a.Rate = 100
				a.Lanes = map[string]Lane{"gmail": {Rate: 1}}
			})}, People: []People{people("gmail", 98), people("other", 960)}},
			finish: 102 * time.Second,
			lines:  []line{{"main", "other", 960, ByRate, 1}, {"main", "gmail", 98, ByLane, 1}},
		},
		{
			name: "a domain with a ceiling",
			in: Input{Accounts: []Account{with(main, func(a *Account) {
				a.Rate = 100
				a.Lanes = map[string]Lane{"slow.example": {Rate: 1}}
			})}, People: []People{people("other", 960), {Provider: "other", Domain: "slow.example", Number: 98}}},
			finish: 102 * time.Second,
			lines:  []line{{"main", "other", 960, ByRate, 1}, {"main", "slow.example", 98, ByLane, 1}},
		},
		{
			name:   "the campaign's rate",
			in:     Input{Rate: 1, Accounts: []Account{main}, People: []People{people("other", 98)}},
			finish: 100 * time.Second,
			lines:  []line{{"main", "other", 98, ByCampaign, 1}},
		},
		{
			name:   "connections",
			in:     Input{Accounts: []Account{with(main, func(a *Account) { a.Connections = 2; a.Rate = 1000 })}, People: []People{people("other", 2000)}},
			finish: 100 * time.Second,
			lines:  []line{{"main", "other", 2000, ByConnections, 1}},
		},
		{
			name:    "the 501st waits for a day",
			in:      Input{Accounts: []Account{with(main, func(a *Account) { a.Rate = 100; a.Quotas = always(day(500)) })}, People: []People{people("other", 501)}},
			finish:  24*time.Hour + 5*time.Minute,
			lines:   []line{{"main", "other", 501, ByQuota, 2}},
			waiting: []int64{1},
		},
		{
			name: "a quota that is used already, of which half frees soon",
			in: Input{Accounts: []Account{with(main, func(a *Account) {
				a.Rate = 100
				a.Quotas = always(hour(500))
				a.Used = []throttle.Usage{{Quota: hour(500), Used: 500, Releases: []throttle.Release{
					{At: noon.Add(10 * time.Minute), Messages: 250}, {At: noon.Add(50 * time.Minute), Messages: 250},
				}}}
			})}, People: []People{people("other", 500)}},
			finish:  50 * time.Minute,
			lines:   []line{{"main", "other", 500, ByQuota, 1}},
			waiting: []int64{500},
		},
		{
			name:    "a quota of an hour, again and again",
			in:      Input{Accounts: []Account{with(main, func(a *Account) { a.Rate = 50; a.Quotas = always(hour(10_000)) })}, People: []People{people("other", 60_000)}},
			finish:  5*time.Hour + 210*time.Second + 5*36*time.Second,
			lines:   []line{{"main", "other", 60_000, ByQuota, 1}},
			waiting: []int64{50_000},
		},
		{
			name: "a warm-up",
			in: Input{
				Accounts: []Account{with(main, func(a *Account) { a.Rate = 100; a.Quotas = warmup(200, 400, 800); a.WarmupDay = 1 })},
				People:   []People{people("other", 1000)},
			},
			finish:   36 * time.Hour,
			lines:    []line{{"main", "other", 1000, ByWarmup, 3}},
			waiting:  []int64{800},
			lastDays: 3,
		},
		{
			name: "after the last day of a warm-up the limits alone count",
			in: Input{
				Accounts: []Account{with(main, func(a *Account) { a.Rate = 100; a.Quotas = warmup(0, 100); a.WarmupDay = 0 })},
				People:   []People{people("other", 1000)},
			},
			finish:   36 * time.Hour,
			lines:    []line{{"main", "other", 1000, ByWarmup, 2}},
			waiting:  []int64{1000},
			lastDays: 3,
		},
		{
			name: "weights, and a spare account that is not needed",
			in: Input{Accounts: []Account{
				with(main, func(a *Account) { a.Rate = 10 }),
				{Name: "big", Weight: 3, Rate: 10, Connections: many},
				{Name: "spare", Weight: 0, Rate: 10, Connections: many},
			}, People: []People{people("other", 3920)}},
			finish: 300 * time.Second,
			lines:  []line{{"main", "other", 980, ByRate, 1}, {"big", "other", 2940, ByRate, 1}},
		},
		{
			name: "a spent account hands over",
			in: Input{Accounts: []Account{
				with(main, func(a *Account) { a.Rate = 100; a.Quotas = always(day(100)) }),
				{Name: "spare", Weight: 0, Rate: 10, Connections: many},
			}, People: []People{people("other", 1080)}},
			finish:  101 * time.Second,
			lines:   []line{{"main", "other", 100, ByRate, 1}, {"spare", "other", 980, ByRate, 1}},
			waiting: []int64{0},
		},
		{
			name: "a canary",
			in: Input{
				Canary: 98, CanaryWait: 10 * time.Minute, Accounts: []Account{with(main, func(a *Account) { a.Rate = 10 })},
				People: []People{people("other", 980)},
			},
			finish: 700 * time.Second,
			lines:  []line{{"main", "other", 980, ByRate, 1}},
		},
		{
			name: "a run that expires",
			in: Input{
				Expires: noon.Add(time.Hour), Accounts: []Account{with(main, func(a *Account) { a.Rate = 100; a.Quotas = always(day(500)) })},
				People: []People{people("other", 700)},
			},
			finish:  24*time.Hour + 5*time.Minute,
			lines:   []line{{"main", "other", 700, ByQuota, 2}},
			waiting: []int64{200},
			expired: 200,
		},
		{
			name: "an account that never takes a recipient",
			in: Input{
				Accounts: []Account{with(main, func(a *Account) { a.Quotas = always(day(0)) })},
				People:   []People{people("other", 700)},
			},
			finish:  -1,
			lines:   []line{{"main", "other", 700, ByQuota, 0}},
			waiting: []int64{700},
		},
		{
			name: "an account that warms up for longer than anyone looks ahead",
			in: Input{
				Accounts: []Account{with(main, func(a *Account) { a.Rate = 1. / 86400 })},
				People:   []People{people("other", 700)},
			},
			finish: -1,
			lines:  []line{{"main", "other", 700, ByRate, 0}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in := tt.in
			in.Now = noon
			f := Of(in)
			switch took := f.Finish.Sub(noon); {
			case tt.finish < 0 && f.Finish.IsZero():
			case tt.finish < 0 || f.Finish.IsZero() || (took-tt.finish).Abs() > tt.finish/100+time.Second:
				t.Errorf("finishes at %v, after %v; want after %v", f.Finish, took, tt.finish)
			}
			var lines []line
			for _, l := range f.Lanes {
				lines = append(lines, line{l.Account, l.Lane, l.Recipients, l.Limit, l.Days})
			}
			if diff := cmp.Diff(tt.lines, lines, cmp.AllowUnexported(line{})); diff != "" {
				t.Errorf("lanes (-want +got):\n%s", diff)
			}
			var waiting []int64
			for _, w := range f.Waits {
				waiting = append(waiting, w.Waiting)
			}
			if diff := cmp.Diff(tt.waiting, waiting); diff != "" {
				t.Errorf("who waits (-want +got):\n%s", diff)
			}
			if f.Expired != tt.expired {
				t.Errorf("%d expire, want %d", f.Expired, tt.expired)
			}
			if tt.lastDays > 0 && (len(f.Warmups) != 1 || f.Warmups[0].Days != tt.lastDays) {
				t.Errorf("warm-ups %+v, want one of %d days", f.Warmups, tt.lastDays)
			}
		})
	}
}

// Ten millions over a warm-up of a month.
func BenchmarkMonth(b *testing.B) {
	var days []int
	for n := 200.; len(days) < 30; n *= 1.3 {
		days = append(days, int(n))
	}
	in := Input{Now: noon.Truncate(24 * time.Hour), Accounts: []Account{{
		Name: "main", Weight: 1, Rate: 100, Connections: many, Lanes: map[string]Lane{"gmail": {Rate: 20}},
		Quotas: func(now time.Time) []throttle.Quota {
			return append(warmup(days...)(now), hour(300_000), day(2_000_000))
		},
	}}}
	for _, p := range campaign.Providers {
		in.People = append(in.People, people(p, 10_000_000/int64(len(campaign.Providers))))
	}
	for b.Loop() {
		if Of(in).Finish.IsZero() {
			b.Fatal("it does not end")
		}
	}
}

// The last message of a run leaves by a lane of the forecast, also where only a part of a
// recipient is calculated to go by it.
func TestTheLastLaneHasARecipient(t *testing.T) {
	t.Parallel()
	f := Of(Input{
		Now:      noon,
		Accounts: []Account{{Name: "new", Connections: 1, Quotas: warmup(1)}, {Name: "old", Connections: 1}},
		People:   []People{people("gmail", 1), people("microsoft", 1)},
		Waves:    []Wave{{At: noon, Recipients: 1}, {At: noon.Add(time.Minute), Recipients: 1}},
	})

	var last time.Time
	var all int64
	for _, l := range f.Lanes {
		all += l.Recipients
		if l.Finish.After(last) {
			last = l.Finish
		}
	}
	if all != 2 || f.Finish.Before(noon.Add(time.Minute)) || f.Finish.Sub(last) > time.Second {
		t.Errorf("finishes at %s, its last lane at %s; %+v", f.Finish, last, f.Lanes)
	}
}
