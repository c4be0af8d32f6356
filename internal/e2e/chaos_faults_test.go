package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"broadside/campaign"
	"broadside/internal/failpoint"
	"broadside/internal/queue"
	"broadside/internal/testkit"
	"broadside/internal/wire"
)

// The ways in which Redis keeps what it was told.
var (
	always   = []string{"--appendonly", "yes", "--appendfsync", "always"}
	everysec = []string{"--appendonly", "yes", "--appendfsync", "everysec"}
)

// promised after a restart of Redis.
const redisResume = 5 * time.Second

// kindsOfFault lists every kind. What each does in a trial comes from the
// trial's own random numbers.
func kindsOfFault() []fault {
	return slices.Concat(workerFaults(), redisFaults(), networkFaults(), taskFaults(), processFaults(), serverFaults())
}

func workerFaults() []fault {
	kinds := []fault{
		{name: "worker killed", strike: killOne, check: othersCarryOn},
		{name: "all workers killed, started at once", strike: func(c *trial) { killAll(c, 0) }},
		{name: "all workers killed, away a while", slow: true, strike: func(c *trial) { killAll(c, c.lasting(5*time.Second, time.Minute)) }},
		{name: "worker stopped (SIGTERM)", strike: stopOne},
		{name: "worker frozen", strike: func(c *trial) { freeze(c, c.someWorker()) }, check: lateRepliesCount},
	}
	for _, point := range []string{
		failpoint.BeforeClaim, failpoint.AfterClaim, failpoint.AfterMail, failpoint.InBody,
		failpoint.AfterDot, failpoint.AfterReply, failpoint.BeforeSettle,
	} {
		kinds = append(kinds, fault{
			name: "worker killed " + point, itself: true, prepare: arm(point, ""),
			strike: func(c *trial) { c.diesAt(point) }, check: othersCarryOn,
		})
	}
	for _, point := range []string{failpoint.AfterClaim, failpoint.AfterDot, failpoint.BeforeSettle} {
		kinds = append(kinds, fault{
			name: "worker frozen " + point, itself: true, prepare: arm(point, ":stop"),
			strike: func(c *trial) { c.stopsAt(point) }, check: lateRepliesCount,
		})
	}
	return kinds
}

func (c *trial) someWorker() *testkit.Proc {
	i := c.rnd.IntN(len(c.workers))
	c.note("%s: worker %d", c.fault.name, i)
	return c.workers[i]
}

func killOne(c *trial) {
	c.allowed = chaosConnections
	p := c.someWorker()
	p.Kill()
	c.workers = without(c.workers, p)
}

func killAll(c *trial, away time.Duration) {
	c.allowed = chaosConnections
	c.note("%s: away for %s", c.fault.name, away)
	for _, p := range c.workers {
		p.Kill()
	}
	if away > 0 {
		c.sleep(away)
	}
	c.over = time.Now()
	c.workers = c.start(chaosWorkers)
}

// stopOne must leave no one uncertain: allowed stays 0.
func stopOne(c *trial) {
	p := c.someWorker()
	p.Signal(syscall.SIGTERM)
	c.over = time.Now()
	c.exits(p, "worker")
	c.workers = without(c.workers, p)
}

// freeze stops a worker for longer than it may be silent, and lets it go on.
func freeze(c *trial, p *testkit.Proc) {
	c.allowed = chaosConnections
	d := c.lasting(18*time.Second, 25*time.Second)
	c.what += fmt.Sprintf(", frozen for %s", d)
	p.Signal(syscall.SIGSTOP)
	c.sleep(d)
	p.Signal(syscall.SIGCONT)
	c.over = time.Now()
	p.WaitLine("taken off the list, goes on under a new id", time.Minute)
}

// lateRepliesCount waits for what a worker knew when it was frozen. What was
// answered with 250 is accepted in the end.
func lateRepliesCount(c *trial, v *verdict) {
	if v.uncertain > 0 { // perhaps it has not been told yet
		c.sleep(2 * time.Second)
		v = c.compare(c.ended())
	}
	toldEverything(c, v)
}

// arm lets one worker come to a fail point after some messages.
func arm(point, how string) func(*trial) {
	return func(c *trial) {
		n := 1 + c.rnd.IntN(max(1, c.people/20)) // from the first message on
		c.note("%s: at its %d.", c.fault.name, n)
		c.env[0] = []string{fmt.Sprintf("FAILPOINT=%s:%d%s", point, n, how)}
	}
}

// diesAt waits until the worker has killed itself.
func (c *trial) diesAt(point string) {
	c.allowed = chaosConnections
	p := c.workers[0]
	select {
	case <-p.Done():
	case <-time.After(chaosPatience):
		c.t.Fatalf("%s: it did not come to %s", c.what, point)
	}
	c.struck = time.Now()
	c.workers = without(c.workers, p)
}

// stopsAt waits until the worker has frozen itself, and lets it go on when it
// has been silent for too long and the run is finished. It must find that its
// claims are gone: not one message may leave.
func (c *trial) stopsAt(point string) {
	p := c.workers[0]
	c.await(chaosPatience, "worker that stands at "+point, func() bool { return stopped(p.Pid()) })
	c.allowed = chaosConnections
	d := c.lasting(18*time.Second, 25*time.Second)
	c.what += fmt.Sprintf(", frozen for %s", d)
	c.sleep(d)
	c.ended() // without it: others have sent to everybody else
	before := c.sink.Count()
	p.Signal(syscall.SIGCONT)
	c.over = time.Now()
	p.WaitLine("taken off the list, goes on under a new id", time.Minute)
	if after := c.sink.Count(); after != before {
		c.t.Errorf("%s: %d messages left with claims that were gone", c.what, after-before)
	}
}

// stopped reports whether a process is frozen (proc_pid_stat(5), state T).
func stopped(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return strings.HasPrefix(rest, "T")
}

func redisFaults() []fault {
	return []fault{
		{name: "redis killed, fsync always", redis: always, strike: restartRedis, check: resumesWithin(redisResume)},
		{name: "redis killed, fsync every second", redis: everysec, strike: restartRedis, check: resumesWithin(redisResume)},
		{name: "redis lost a second", redis: everysec, strike: func(c *trial) { rewindRedis(c, c.lasting(100*time.Millisecond, 1200*time.Millisecond)) }, check: resumesWithin(redisResume)},
		{name: "redis restarted with an old file", redis: everysec, strike: oldFile, check: resumesWithin(redisResume)},
		{name: "redis away", redis: always, slow: true, strike: func(c *trial) { redisAway(c, c.lasting(5*time.Second, 90*time.Second)) }, check: resumesWithin(redisResume)},
		{name: "redis killed with a worker", redis: always, strike: redisAndWorker},
		{name: "redis restarted empty", redis: everysec, strike: emptyRedis, own: true, check: nextRun},
		{name: "redis older than the journals", redis: everysec, strike: olderThanJournals, own: true, check: isHeld},
		{name: "redis frozen", strike: frozenRedis},
		{name: "redis full", strike: func(c *trial) {
			refuses(c, 10*time.Second, []any{"CONFIG", "SET", "maxmemory", "1mb"}, []any{"CONFIG", "SET", "maxmemory", "0"})
		}},
		// The replica of a server that is not there.
		{name: "redis read-only", strike: func(c *trial) {
			refuses(c, 20*time.Second, []any{"REPLICAOF", "127.0.0.1", "1"}, []any{"REPLICAOF", "NO", "ONE"})
		}},
	}
}

func restartRedis(c *trial) { redisAway(c, 0) }

func redisAway(c *trial, away time.Duration) {
	c.allowed = chaosConnections
	c.note("%s: away for %s", c.fault.name, away)
	c.redis.Kill()
	if away > 0 {
		c.sleep(away)
	}
	c.redis.Start()
	c.over = time.Now()
}

// rewindRedis loses exactly what Redis was told within the last while: what a
// disk that is too busy loses under everysec when the machine goes down.
func rewindRedis(c *trial, lost time.Duration) {
	c.allowed = chaosConnections
	c.note("%s: it lost %s", c.fault.name, lost)
	m := c.redis.Moment()
	c.sleep(lost)
	c.redis.Kill()
	c.redis.Rewind(m)
	c.redis.Start()
	c.over = time.Now()
}

// oldFile loses a good part of the run.
func oldFile(c *trial) {
	c.allowed = chaosConnections
	at := c.sink.Count()
	m := c.redis.Moment()
	until := at + (c.people-at)*3/4
	c.note("%s: from %d messages back to %d", c.fault.name, until, at)
	c.await(chaosPatience, "progress", func() bool { return c.sink.Count() >= until })
	c.redis.Kill()
	c.redis.Rewind(m)
	c.redis.Start()
	c.over = time.Now()
}

func redisAndWorker(c *trial) {
	c.allowed = chaosConnections
	p := c.someWorker()
	p.Kill()
	c.workers = without(c.workers, p)
	c.redis.Kill()
	c.redis.Start()
	c.over = time.Now()
}

// emptyRedis loses the run itself.
func emptyRedis(c *trial) {
	c.redis.Kill()
	c.redis.Rewind(testkit.Moment{})
	c.redis.Start()
	c.over = time.Now()
}

// nextRun checks that no one got the lost run twice, and that the processes
// send the next one without further ado.
func nextRun(c *trial, v *verdict) {
	v.nobodyTwice(c)
	c.world.people(c.people, "next%d@example.org")
	c.run = c.launch()
	d := c.ended()
	got := c.sink.Accepted()
	for i := range c.people {
		if n := got[fmt.Sprintf("next%d@example.org", i)]; n != 1 {
			c.t.Fatalf("%s: person %d of the next run got %d messages: %+v", c.what, i, n, d)
		}
	}
}

// olderThanJournals starts new workers, who know nothing of what was sent
// between the moment to which Redis then goes back and their own start.
func olderThanJournals(c *trial) {
	m := c.redis.Moment()
	c.sleep(300 * time.Millisecond)
	for _, p := range c.workers {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range c.workers {
		c.exits(p, "worker")
	}
	c.workers = c.start(chaosWorkers)
	c.redis.Kill()
	c.redis.Rewind(m)
	c.redis.Start()
	c.over = time.Now()
}

// isHeld checks that the run waits for its operator.
func isHeld(c *trial, v *verdict) {
	deadline := time.Now().Add(time.Minute)
	for d := c.show(c.run); d.State != "held"; d = c.show(c.run) {
		if time.Now().After(deadline) || d.State == "finished" {
			c.t.Errorf("%s: the run is %s, it should be held", c.what, d.State)
			break
		}
		c.sleep(500 * time.Millisecond) // between two questions
	}
	v.nobodyTwice(c)
}

func frozenRedis(c *trial) {
	c.allowed = chaosConnections
	c.redis.Stop()
	c.sleep(20 * time.Second)
	c.redis.Cont()
	c.over = time.Now()
}

// refuses makes Redis refuse what is written to it, for a while.
func refuses(c *trial, most time.Duration, refuse, lift []any) {
	c.allowed = chaosConnections
	d := c.lasting(3*time.Second, most)
	c.note("%s: for %s", c.fault.name, d)
	rdb := c.client()
	c.must(rdb.Do(c.t.Context(), refuse...).Err())
	c.sleep(d)
	c.must(rdb.Do(c.t.Context(), lift...).Err())
	c.over = time.Now()
}

func networkFaults() []fault {
	return []fault{
		{name: "network cut", prepare: wired, strike: func(c *trial) { disconnect(c, (*wire.Wire).Cut) }, check: lateRepliesCount},
		{name: "network silent", prepare: wired, strike: func(c *trial) { disconnect(c, (*wire.Wire).Mute) }, check: lateRepliesCount},
	}
}

// wired puts a wire between each worker and Redis.
func wired(c *trial) {
	for i := range c.env {
		w := testkit.NewWire(c.t, c.redis.Addr())
		c.wires = append(c.wires, w)
		c.env[i] = []string{"REDIS_URL=redis://" + w.Addr() + "/0"}
	}
}

// disconnect parts one worker from Redis, for a moment or for long enough to
// be taken for dead.
func disconnect(c *trial, how func(*wire.Wire)) {
	c.allowed = chaosConnections
	i, d := c.rnd.IntN(len(c.wires)), c.lasting(time.Second, 25*time.Second)
	c.note("%s: worker %d for %s", c.fault.name, i, d)
	how(c.wires[i])
	c.sleep(d)
	c.wires[i].Mend()
	c.over = time.Now()
}

func taskFaults() []fault {
	return []fault{
		{name: "queue deleted", strike: deleteQueue},
		{name: "tasks delivered twice", strike: twins},
		{name: "clocks five minutes apart", slow: true, prepare: apart, launch: mixedClocks, strike: killOne},
	}
}

// deleteQueue takes away everything that asynq keeps: every recipient who was
// handed out is handed out again.
func deleteQueue(c *trial) {
	rdb := c.client()
	keys, err := rdb.Keys(c.t.Context(), "asynq:{"+queue.Name("e2e")+"}*").Result()
	c.must(err)
	c.note("%s: %d keys", c.fault.name, len(keys))
	if len(keys) > 0 {
		c.must(rdb.Del(c.t.Context(), keys...).Err())
	}
}

// twins hands everybody out again, twice.
func twins(c *trial) {
	client := queue.NewClient(c.client(), "e2e")
	tasks := make([]campaign.Task, c.people)
	for i := range tasks {
		tasks[i] = campaign.Task{Run: c.run, Index: i} // everybody is in the first part
	}
	for range 2 {
		c.must(client.Enqueue(c.t.Context(), tasks, time.Now()))
		c.sleep(10 * time.Millisecond) // another moment, other task ids
	}
}

// apart keeps the ordinary workers from being all there is.
func apart(c *trial) { testkit.BuildSkewed(c.t) }

// mixedClocks replaces one worker by one whose clock is five minutes fast.
func mixedClocks(c *trial) string {
	p := c.workers[0]
	p.Signal(syscall.SIGTERM)
	c.exits(p, "worker")
	bin := c.bin
	c.bin = testkit.BuildSkewed(c.t)
	fast := c.process([]string{testkit.ClockAhead(5 * time.Minute)}, "worker")
	c.bin = bin
	fast.WaitLine("worker started", time.Minute)
	c.workers = append(without(c.workers, p), fast)
	return c.launch()
}
