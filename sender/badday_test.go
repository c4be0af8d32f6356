package sender

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/internal/store"
	"broadside/throttle"
)

var wholeDay = flag.Bool("day", false, "live through a whole bad day, which takes minutes, and rewrite docs/worker-day.svg")

// A badDay is the server of a provider that takes less for a while, nothing at all in
// the middle of that, and afterwards puts some recipients off.
type badDay struct {
	slow, block, puttingOff span
	lasts                   time.Duration
	recipients              int
	block421                string // what it says in the block

	begin time.Time

	mu       sync.Mutex
	left     float64 // messages that it takes at once
	counted  time.Time
	putOff   map[string]bool
	accepted []time.Duration // since the beginning
	refused  int
}

// A span is a part of a day.
type span struct{ from, to time.Duration }

func (s span) has(at time.Duration) bool { return at >= s.from && at < s.to }

// Messages a second.
const (
	dayCeiling = 0.2  // of the lane
	daySlow    = 0.08 // that the server takes when it is slow
	dayFull    = 2    // and otherwise
)

// takes is how many messages a second the server takes at a time of the day.
func (d *badDay) takes(at time.Duration) float64 {
	switch {
	case d.block.has(at):
		return 0
	case d.slow.has(at):
		return daySlow
	}
	return dayFull
}

// answer is what the server says to RCPT.
func (d *badDay) answer(to string) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := time.Now()
	at := now.Sub(d.begin)
	d.left = min(2, d.left+d.takes(at)*now.Sub(d.counted).Seconds())
	d.counted = now

	switch {
	case d.block.has(at):
		d.refused++
		return d.block421
	case d.left < 1:
		d.refused++
		return "421 4.7.0 Try again later, closing connection"
	case d.puttingOff.has(at) && len(d.accepted)%5 == 0 && !d.putOff[to]:
		d.putOff[to] = true
		return "450 4.2.1 The user you are trying to contact is receiving mail at a rate"
	}
	d.left--
	d.accepted = append(d.accepted, at)
	return ""
}

// A worker lives through a bad day of its provider: every recipient is sent to once,
// hardly anything is refused, and in the end the lane is open. Everything is in one
// process and in memory, where a day is over as soon as its work is done; the tasks are
// those that are due in the ledger. A whole day is much work, and a few bad hours are
// what is tested each time.
func TestAWorkerOnABadDay(t *testing.T) {
	t.Parallel()
	if *wholeDay {
		t.Run("24 hours", func(t *testing.T) {
			d := &badDay{
				slow: span{2 * time.Hour, 9 * time.Hour}, block: span{5 * time.Hour, 6 * time.Hour}, puttingOff: span{10 * time.Hour, 12 * time.Hour},
				lasts: 24 * time.Hour, recipients: 11_000,
				block421: "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints",
			}
			synctest.Test(t, d.live)
			if err := os.WriteFile("../docs/worker-day.svg", []byte(drawDay(d)), 0o644); err != nil {
				t.Fatal(err)
			}
		})
		return
	}

	t.Run("two hours", func(t *testing.T) {
		d := &badDay{
			slow: span{10 * time.Minute, 45 * time.Minute}, block: span{25 * time.Minute, 30 * time.Minute}, puttingOff: span{50 * time.Minute, time.Hour},
			lasts: 2 * time.Hour, recipients: 600,
			block421: "421 4.7.0 Try again later, closing connection",
		}
		synctest.Test(t, d.live)
	})
}

// live lets a worker send to all recipients on that day.
func (d *badDay) live(t *testing.T) {
	st, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	b := &fixture{t: t, rdb: st.Client().(*redis.Client), lua: st.Lua}
	b.ledger = ledger.New(b.rdb, "bs", b.lua)
	b.supp = suppression.New(b.rdb, "bs", b.lua)
	b.making = func(r *ledger.NewRun) {
		r.ExpiresAfter = 48 * time.Hour
		r.MaxAttempts = 10
	}
	for i := range d.recipients {
		b.to = append(b.to, fmt.Sprintf("p-%d@gmail.com", i))
	}
	b.expand()

	d.begin = time.Now()
	d.counted = d.begin
	d.putOff = map[string]bool{}
	server := &scriptedServer{rcpt: d.answer, taken: map[string]int{}}
	defer server.wg.Wait()
	b.alter = func(cfg *Config) {
		way := &cfg.Ways[0]
		way.Lanes = map[string]LaneLimit{"gmail": {Rate: dayCeiling}}
		way.SMTP.Host = "localhost"
		way.SMTP.Dial = func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			server.wg.Go(func() { server.serve(theirs) })
			return ours, nil
		}
		cfg.Tasks = b.dueTasks
	}
	stop := b.start(b.supp)
	<-time.After(d.lasts)
	d.expectGoodEnd(t, b, server)
	stop()
}

func (d *badDay) expectGoodEnd(t *testing.T, b *fixture, server *scriptedServer) {
	t.Helper()
	tally, err := b.ledger.Counts(t.Context(), "news-1")
	if err != nil {
		t.Fatal(err)
	}
	if got := tally.Counts[campaign.Accepted]; got != int64(d.recipients) {
		t.Errorf("%d of %d recipients are accepted: %v", got, d.recipients, tally.Counts)
	}
	for to, n := range server.took() {
		if n != 1 {
			t.Errorf("%s was sent to %d times", to, n)
		}
	}

	lanes, err := throttle.NewLanes(b.rdb, "bs", b.lua).Read(t.Context(), "sink")
	if err != nil {
		t.Fatal(err)
	}
	if state := lanes["sink"]["gmail"].State(time.Now()); state != throttle.LaneOpen {
		t.Errorf("in the end the lane is %s, want open", state)
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refused == 0 || d.refused > d.recipients/20 || len(d.putOff) == 0 {
		t.Errorf("%d refused and %d put off of %d, want some, and at most one of 20 refused", d.refused, len(d.putOff), d.recipients)
	}
	last := d.accepted[len(d.accepted)-1]
	t.Logf("%d accepted, the last after %s; %d refused, %d put off", len(d.accepted), last.Round(time.Second), d.refused, len(d.putOff))
}

// dueTasks hands out the recipients that are due until ctx ends, as the feeder does.
func (b *fixture) dueTasks(ctx context.Context, handle func(context.Context, campaign.Task)) error {
	const every, backlog, hold = 5 * time.Second, 3, time.Minute
	part := b.part()
	for sleep(ctx, every) {
		if !b.worker.ShutUntil([]string{"sink"}, part).IsZero() {
			continue
		}
		due, err := b.due(ctx, part, backlog)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		issued, err := b.ledger.Issue(ctx, b.run, part, backlog, hold, false, due)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		for _, i := range issued.Indexes {
			handle(ctx, campaign.Task{Run: "news-1", Part: part, Index: i})
		}
	}
	return nil
}

// due returns some recipients of a part that are due.
func (b *fixture) due(ctx context.Context, part, most int) (due []int, err error) {
	cells, err := b.ledger.Page(ctx, b.run, part, 0)
	for i, cell := range cells {
		if !cell.State.Final() && !b.run.Created.Add(cell.When).After(time.Now()) && len(due) < most {
			due = append(due, i)
		}
	}
	return due, err
}
