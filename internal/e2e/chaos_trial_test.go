package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
	"broadside/internal/wire"
)

const (
	chaosWorkers     = 3
	chaosConnections = 9
	// chaosPatience is how long a campaign may take to get to its fault, and a
	// run to finish after it.
	// Lanes of a server that talked nonsense stay closed for a minute or two.
	chaosPatience = 5 * time.Minute
)

// A fault is one kind of thing that goes wrong.
type fault struct {
	name  string
	slow  bool     // not in the short list
	redis []string // arguments of redis-server
	// prepare comes before the workers start; may be nil.
	prepare func(*trial)
	// launch makes the run and returns its id; nil: `campaign launch`.
	launch func(*trial) string
	// strike comes when the campaign is under way, and returns when the fault
	// is over; may be nil.
	strike func(*trial)
	// itself says that it strikes by itself: strike only waits for it.
	itself bool
	// check comes last, in addition to what must hold for every fault; may be nil.
	check func(*trial, *verdict)
	// own says that check does all of the judging: the run is not what it was.
	own bool
}

// A trial is one campaign in which one fault strikes.
type trial struct {
	*world
	fault   fault
	rnd     *rand.Rand
	sink    *testkit.RecSink
	env     [chaosWorkers][]string // of each worker
	workers []*testkit.Proc
	wires   []*wire.Wire // from each worker to Redis, where the fault wants them
	procs   []*testkit.Proc
	people  int
	run     string

	what    string               // the fault with its parameters
	allowed int                  // how many may be uncertain, in addition to the messages that the sink left unanswered
	struck  time.Time            // when the fault began
	over    time.Time            // when it had ended
	excused map[string]time.Time // who need not get anything: acknowledged as suppressed at that time
}

// strike carries out one line of the list, and records how it went, also when
// the test ends in the middle.
func strike(t *testing.T, seed uint64, p planned, people int, record func(result)) {
	c := &trial{
		fault: p.fault, people: people, what: "not begun", excused: map[string]time.Time{},
		rnd: rand.New(rand.NewPCG(seed, uint64(p.number)+1)),
	}
	r := result{number: p.number, fault: p.fault.name, people: people, failed: true}
	defer func() {
		r.what = c.what
		r.failed = r.failed || t.Failed()
		if r.failed && c.world != nil {
			r.kept = c.keep(seed, p)
		}
		record(r)
	}()
	c.begin(t)
	c.workers = c.start(chaosWorkers)
	if c.fault.launch != nil {
		c.run = c.fault.launch(c)
	} else {
		c.run = c.launch()
	}
	if c.fault.strike != nil {
		if share := 0.1 + 0.5*c.rnd.Float64(); !c.fault.itself {
			c.underWay(share)
		}
		c.struck = time.Now()
		c.fault.strike(c)
		if c.over.IsZero() {
			c.over = time.Now()
		}
	}
	v := &verdict{}
	if !c.fault.own {
		v = c.judge()
	}
	if c.fault.check != nil {
		c.fault.check(c, v)
	}
	r.lost, r.twice, r.uncertain, r.allowed, r.recovered = v.lost, v.twice, v.uncertain, v.allowed, c.recovered()
	r.failed = t.Failed()
	t.Logf("%s: lost %d, twice %d, uncertain %d of at most %d, recovered after %s", c.what, r.lost, r.twice, r.uncertain, r.allowed, r.recovered)
}

func (c *trial) begin(t *testing.T) {
	c.sink = testkit.NewRecsink(t, "-addr", fmt.Sprintf("127.0.0.1:%d", testkit.Port(t)), "-delay", "10ms")
	c.world = newWorld(t, setup{
		people: c.people, redis: c.fault.redis, bin: testkit.BuildFaulty(t),
		accounts: account("sink", c.sink.Addr(), fmt.Sprintf("    limits: {connections: %d}\n", chaosConnections)),
		delivery: "  retry: [1s, 1s, 2s]\n  max_attempts: 15\n",
	})
	c.note("%s", c.fault.name)
	if c.fault.prepare != nil {
		c.fault.prepare(c)
	}
}

// note writes down what the fault does, for who has to look further.
func (c *trial) note(format string, args ...any) { c.what = fmt.Sprintf(format, args...) }

// process starts a process of broadside and remembers it.
func (c *trial) process(env []string, args ...string) *testkit.Proc {
	c.t.Helper()
	all := append([]string{"-C", c.dir, c.bin}, args...)
	p := testkit.Start(c.t, append(slices.Clone(c.world.env), env...), "/usr/bin/env", all...)
	c.procs = append(c.procs, p)
	return p
}

// start starts workers and waits until they work.
func (c *trial) start(n int) []*testkit.Proc {
	c.t.Helper()
	started := make([]*testkit.Proc, n)
	for i := range started {
		started[i] = c.process(c.env[i], "worker")
	}
	for _, p := range started {
		p.WaitLine("worker started", time.Minute)
	}
	return started
}

// underWay waits until the sink has a share of the messages.
func (c *trial) underWay(share float64) {
	c.t.Helper()
	want := int(share * float64(c.people))
	c.await(chaosPatience, fmt.Sprintf("%d messages at the sink", want), func() bool { return c.sink.Count() >= want })
}

// await asks again and again until ok says so.
func (c *trial) await(limit time.Duration, what string, ok func() bool) {
	c.t.Helper()
	for range testkit.Tries(limit) {
		if ok() {
			return
		}
	}
	c.t.Fatalf("%s: no %s within %s", c.what, what, limit)
}

// lasting returns a duration between two, from the seed.
func (c *trial) lasting(from, to time.Duration) time.Duration {
	return from + time.Duration(c.rnd.Int64N(int64(to-from))).Round(10*time.Millisecond)
}

// client returns a client of the trial's Redis, for faults that are made from
// within.
func (c *trial) client() *redis.Client {
	rdb := redis.NewClient(&redis.Options{Addr: c.redis.Addr()})
	c.t.Cleanup(func() { rdb.Close() })
	return rdb
}

// must fails the test for a step of a fault that does not work.
func (c *trial) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatalf("%s: %v", c.what, err)
	}
}

// sleep lets a fault last.
func (c *trial) sleep(d time.Duration) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), d)
	defer cancel()
	<-ctx.Done()
	c.must(c.t.Context().Err())
}

// keep copies what shows how a trial failed to a directory that stays.
func (c *trial) keep(seed uint64, p planned) string {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("broadside-chaos-%d-%03d", seed, p.number))
	err := os.MkdirAll(dir, 0o700)
	for i, proc := range append(c.procs, c.redis.Proc(), c.sink.Proc()) {
		err = firstError(err, os.WriteFile(filepath.Join(dir, fmt.Sprintf("process-%d.log", i)), []byte(proc.Output()), 0o600))
	}
	for name, args := range map[string][]string{
		"run.json": {"run", "show", c.run, "--json"}, "recipients.jsonl": {"run", "recipients", c.run, "--format", "jsonl"},
	} {
		out, _ := c.command(args...).CombinedOutput() // why it has none is in it
		err = firstError(err, os.WriteFile(filepath.Join(dir, name), out, 0o600))
	}
	var records []byte
	for _, r := range c.sink.Records() {
		records = fmt.Appendf(records, "%c %s %s %s\n", r.Kind, r.At.Format(time.StampMicro), r.Rcpt, r.ID)
	}
	err = firstError(err, os.WriteFile(filepath.Join(dir, "records"), records, 0o600))
	facts := fmt.Appendf(nil, "%s\nstruck %s\nover %s\n", c.what, c.struck.Format(time.StampMicro), c.over.Format(time.StampMicro))
	err = firstError(err, os.WriteFile(filepath.Join(dir, "fault"), facts, 0o600))
	if err != nil {
		return fmt.Sprintf("%s, not all of it: %v", dir, err)
	}
	return dir
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
