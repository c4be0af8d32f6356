package ledger

import (
	"context"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"broadside/campaign"
)

const (
	stageWorkers = 3
	stageConns   = 2
	stageSize    = 5
)

// A stage is a small world around the real ledger, members and journals: one
// run, workers that are killed, frozen and cut off, a Redis that goes back in
// time, and a server that counts the bodies it accepts.
type stage struct {
	t     testing.TB
	rt    *rapid.T
	ctx   context.Context
	l     *Ledger
	n     *Line
	run   *Run
	start time.Time
	now   time.Duration // of the workers' clocks
	runID string
	lives int

	workers []*actor
	graves  []grave
	saved   memory
	bodies  [stageSize]int  // accepted by the server
	doubted [stageSize]bool // was uncertain once
	told    [stageSize]bool // resolved by the operator
	// Redis forgot a claim whose owner died, or was away, before it could tell:
	// the rest that is left over (ARCHITECTURE.md).
	excused [stageSize]bool
}

type actor struct {
	m           *Member
	frozen, cut bool
	conns       [stageConns]conn
	touched     [stageSize]bool
}

// A conn is how far one connection has got with one recipient.
type conn struct {
	at      string // "", asked, answered, open, taken, settle
	entry   Entry
	ref     Ref
	life    string // of the Redis that was asked
	answer  Claim
	err     error
	claimed time.Duration
	attempt int
	outcome Outcome
}

type grave struct {
	at      time.Duration
	touched [stageSize]bool
}

// A memory is all that Redis holds of the run and the workers.
type memory struct {
	at     time.Duration
	cells  string
	hashes map[string]map[string]string
	deaths string

	receipts []string
}

func (s *stage) ok(err error) {
	s.t.Helper()
	if err != nil {
		s.rt.Fatal(err)
	}
}

func (s *stage) hashes() []string {
	k := s.l.keys(s.run, 0)
	return []string{k[0], k[1], k[3], k[4], k[5], k[6], s.l.patternsKey(s.run), s.l.workersKey()}
}

func (s *stage) save() {
	m := memory{at: s.now, hashes: map[string]map[string]string{}}
	m.cells = s.l.rdb.Get(s.ctx, s.l.cellsKey(s.run, 0)).Val()
	m.deaths = s.l.rdb.Get(s.ctx, s.l.deathsKey()).Val()
	m.receipts = s.l.rdb.LRange(s.ctx, s.l.receiptsKey(s.run), 0, -1).Val()
	for _, k := range s.hashes() {
		m.hashes[k] = s.l.rdb.HGetAll(s.ctx, k).Val()
	}
	s.saved = m
}

// rollback restarts Redis with what it held at the last save.
func (s *stage) rollback() {
	created := s.l.rdb.HGet(s.ctx, s.l.keys(s.run, 0)[0], "created").Val()
	pipe := s.l.rdb.Pipeline()
	pipe.Set(s.ctx, s.l.cellsKey(s.run, 0), s.saved.cells, 0)
	pipe.Set(s.ctx, s.l.deathsKey(), atoi64(s.saved.deaths), 0)
	pipe.Del(s.ctx, s.l.receiptsKey(s.run))
	for _, kept := range s.saved.receipts {
		pipe.RPush(s.ctx, s.l.receiptsKey(s.run), kept)
	}

	for k, m := range s.saved.hashes {
		pipe.Del(s.ctx, k)
		if len(m) > 0 {
			pipe.HSet(s.ctx, k, m)
		}
	}

	pipe.HSet(s.ctx, s.l.keys(s.run, 0)[0], "created", created) // time goes on
	_, err := pipe.Exec(s.ctx)
	s.ok(err)
	for _, g := range s.graves {
		if g.at >= s.saved.at {
			s.excuse(g.touched)
		}
	}

	for _, w := range s.workers {
		if w.frozen || w.cut {
			s.excuse(w.touched)
		}
	}

	s.restart()
}

func (s *stage) restart() {
	s.lives++
	s.runID = "life" + strconv.Itoa(s.lives)
	s.save()
}

func (s *stage) excuse(touched [stageSize]bool) {
	for i, t := range touched {
		s.excused[i] = s.excused[i] || t
	}
}

func (s *stage) join() *actor {
	m, err := s.l.Join(s.ctx, MemberConfig{
		Server: func(context.Context) (string, time.Duration, error) { return s.runID, time.Hour, nil },
		OnDead: func(context.Context, string) error { return nil }, OnReset: func(context.Context, string) error { return nil },
		Log: slog.New(slog.DiscardHandler),
	})
	s.ok(err)
	m.now = func() time.Time { return s.start.Add(s.now) }
	m.observed, m.beaten = m.now(), m.now()
	clear(m.seen)

	return &actor{m: m}
}

// away notes that a worker goes away before it told what it knows.
func (s *stage) away(w *actor) {
	if w.m.replayed != s.runID {
		s.excuse(w.touched)
	}
}

// age makes the run older, so that more is due; no worker notices.
func (s *stage) age(d time.Duration) {
	s.ok(s.l.rdb.HIncrBy(s.ctx, s.l.keys(s.run, 0)[0], "created", -d.Milliseconds()).Err())
}

// seconds lets time pass, with the heartbeats of those that can.
func (s *stage) seconds(n int) {
	for range n {
		s.now += time.Second
		s.age(time.Second)
		for _, w := range s.workers {
			if !w.frozen && !w.cut {
				s.ok(w.m.tick(s.ctx))
			}
		}
	}
}

// step takes one connection of a worker one step further.
func (s *stage) step(w *actor, c *conn, send func() (campaign.State, bool)) {
	reach := !w.cut && c.life == s.runID
	switch {
	case c.at == "asked" && reach && c.err == nil && !c.answer.Held: // the question arrives, the answer is on its way
		c.answer, c.err = s.n.Claim(s.ctx, c.ref, c.entry.Token, SuppressionKey{})
		c.at = "answered"
	case w.frozen:
	case c.at == "asked" || c.at == "answered" && !reach: // the connection broke
		s.release(w, c)
	case c.at == "answered":
		switch {
		case c.err != nil || !c.answer.Held || !w.m.Mine(c.entry.Token):
			s.release(w, c)
		default:
			w.m.Journal().Open(c.entry, c.answer.Attempt)
			c.attempt = c.answer.Attempt
			c.claimed = s.now
			c.at = "open"
		}
	case c.at == "open":
		if !w.m.IsClear() || s.now-c.claimed >= 10*time.Second {
			s.release(w, c)
			return
		}

		state, taken := send()
		if taken {
			s.bodies[c.ref.Index]++
		}

		c.outcome = Outcome{State: state}
		c.at = "taken"
		if state == campaign.Accepted {
			c.outcome.Reply = Reply{Code: 250, Enhanced: "2.0.0", Account: "relay", Text: "Ok: queued as " + c.entry.Token}
		}
	case c.at == "taken": // the reply is read
		w.m.Journal().Close(c.entry, c.outcome)
		c.at = "settle"
	case c.at == "settle" && !w.cut:
		if w.m.Admit(s.runID) != nil {
			return // no connection before the journal was replayed
		}
		_, err := s.n.Settle(s.ctx, c.ref, c.entry.Token, c.outcome)
		s.ok(err)
		*c = conn{}
	}
}

// release undoes a claim: not one byte of the body left.
func (s *stage) release(w *actor, c *conn) {
	c.outcome = Outcome{State: campaign.Pending}
	c.at = "settle"
	w.m.Journal().Close(c.entry, c.outcome)
}

func (s *stage) ask(w *actor, c *conn, i int) {
	if c.at != "" || w.frozen || w.cut || !w.m.IsClear() || w.m.Admit(s.runID) != nil {
		return
	}

	for k := range w.conns { // a twin within the process is dropped
		if w.conns[k].at != "" && w.conns[k].ref.Index == i {
			return
		}
	}

	ref := Ref{s.run, 0, i}
	*c = conn{at: "asked", ref: ref, life: s.runID, entry: w.m.Ask(ref)}
	w.touched[i] = true
}

func (s *stage) issue(backlog int, force bool) {
	all := make([]int, stageSize)
	for i := range all {
		all[i] = i
	}
	_, err := s.l.Issue(s.ctx, s.run, 0, backlog, 20*time.Second, force, all)
	s.ok(err)
}

func (s *stage) turn(to campaign.RunState, from ...campaign.RunState) {
	_, err := s.l.Turn(s.ctx, s.run.ID, to, "", from...)
	s.ok(err)
}

func (s *stage) cells() []Cell {
	cells, err := s.l.Page(s.ctx, s.run, 0, 0)
	s.ok(err)
	return cells
}

func (s *stage) observe() {
	for field := range s.l.rdb.HGetAll(s.ctx, s.l.keys(s.run, 0)[4]).Val() {
		_, index, _ := cutField(field)
		s.doubted[index] = true
	}
}

func cutField(field string) (part, index int, ok bool) {
	for k := range field {
		if field[k] == ':' {
			return int(atoi64(field[:k])), int(atoi64(field[k+1:])), true
		}
	}
	return 0, 0, false
}

// check holds at every moment.
func (s *stage) check(resend bool) {
	s.observe()
	counts := campaign.Counts{}
	open := int64(0)
	for i, c := range s.cells() {
		counts[c.State]++
		if !c.State.Final() {
			open++
		}
		if s.bodies[i] > 1 && !s.excused[i] && !(resend && s.doubted[i]) {
			s.rt.Fatalf("%d bodies for recipient %d, now %v", s.bodies[i], i, c.State)
		}
	}

	s.checkReceipts()
	tally, err := s.l.Counts(s.ctx, s.run.ID)
	s.ok(err)
	for state, n := range tally.Counts {
		if n == 0 {
			delete(tally.Counts, state)
		}
	}

	if diff := cmp.Diff(counts, tally.Counts); diff != "" {
		s.rt.Fatalf("counts (-cells +counters):\n%s", diff)
	}
	if n := s.l.rdb.HGet(s.ctx, s.l.keys(s.run, 0)[1], "open").Val(); atoi64(n) != open {
		s.rt.Fatalf("%s open, %d cells are", n, open)
	}
}

// checkReceipts: an accepted recipient has one receipt, any other has none.
func (s *stage) checkReceipts() {
	kept, err := s.l.Receipts(s.ctx, s.run)
	s.ok(err)
	n := 0
	for i, c := range s.cells() {
		last, ok := kept.Of(0, i)
		switch {
		case ok && (c.State != campaign.Accepted || last.Account != "relay" || last.Code != 250):
			s.rt.Fatalf("recipient %d is %v and has the receipt %+v", i, c.State, last)
		case !ok && c.State == campaign.Accepted && !s.told[i]:
			s.rt.Fatalf("recipient %d is accepted and has no receipt", i)
		case ok:
			n++
		}
	}

	if stored := s.l.rdb.LLen(s.ctx, s.l.receiptsKey(s.run)).Val(); int(stored) != n {
		s.rt.Fatalf("%d receipts for %d recipients", stored, n)
	}
}

// finish lets everybody go on until the run is over.
func (s *stage) finish() {
	for _, w := range s.workers {
		w.frozen = false
		w.cut = false
	}

	s.seconds(5) // also what is over is told what the journals know
	for range 60 {
		s.turn(campaign.Running, campaign.Paused, campaign.Held)
		rec, err := s.l.Record(s.ctx, s.run.ID)
		s.ok(err)
		if !rec.Finished.IsZero() && len(s.busy()) == 0 {
			return
		}
		if rec.State == campaign.RunCancelled {
			s.ok(s.l.Sweep(s.ctx, s.run))
		}
		s.seconds(5)
		s.age(time.Hour)
		s.issue(stageSize, false)
		for i := range stageSize {
			w := s.workers[i%stageWorkers]
			s.ask(w, &w.conns[i%stageConns], i)
		}

		for range 6 {
			for _, w := range s.workers {
				for k := range w.conns {
					s.step(w, &w.conns[k], func() (campaign.State, bool) { return campaign.Accepted, true })
				}
			}
		}
	}

	claims, _ := s.l.Claims(s.ctx, s.run)
	s.rt.Fatalf("the run does not end: %v\nclaims %v\nworkers %v", s.cells(), claims, s.l.rdb.HGetAll(s.ctx, s.l.workersKey()).Val())
}

// busy lists the connections that have a recipient: worker and connection.
func (s *stage) busy() (out [][2]int) {
	for i, w := range s.workers {
		for k, c := range w.conns {
			if c.at != "" {
				out = append(out, [2]int{i, k})
			}
		}
	}
	return out
}

func seldom(rt *rapid.T, n int) bool {
	return rapid.IntRange(1, n).Draw(rt, "one in "+strconv.Itoa(n)) == 1
}

// TestPromisesHoldThroughCrashes lets random faults happen to workers and to
// Redis, on the real Lua, journals and heartbeats: no one is mailed twice,
// everybody ends in one final state, and counters equal cells all the time.
func TestPromisesHoldThroughCrashes(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		n := line(t, l)
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			resend := rapid.IntRange(0, 3).Draw(rt, "resend") == 0
			s := &stage{t: t, rt: rt, ctx: context.Background(), l: l, n: n, start: time.Now(), runID: "life0"}
			s.ok(l.rdb.Del(s.ctx, l.workersKey(), l.deathsKey()).Err())
			s.run = newRun(t, l, "p"+strconv.Itoa(runs), stageSize)
			defer l.rdb.SRem(s.ctx, l.activeKey(), s.run.ID) // heartbeats look at every active run
			if resend {
				s.ok(l.rdb.HSet(s.ctx, l.keys(s.run, 0)[0], "on_uncertain", "resend", "max_attempts", 12).Err())
			}

			for range stageWorkers {
				s.workers = append(s.workers, s.join())
			}

			s.save()
			s.seconds(5)
			worker := rapid.IntRange(0, stageWorkers-1)
			reply := rapid.SampledFrom([]struct {
				state campaign.State
				taken bool
			}{
				{campaign.Accepted, true},
				{campaign.Accepted, true},
				{campaign.Deferred, false},
				{campaign.Bounced, false},
				{campaign.Uncertain, true},
				{campaign.Uncertain, false},
			})
			send := func(rt *rapid.T) {
				busy := s.busy()
				if len(busy) == 0 {
					return
				}

				b := rapid.SampledFrom(busy).Draw(rt, "connection")
				w := s.workers[b[0]]
				c := &s.workers[b[0]].conns[b[1]]
				for range rapid.IntRange(1, 5).Draw(rt, "steps") {
					s.step(w, c, func() (campaign.State, bool) {
						r := reply.Draw(rt, "reply")
						return r.state, r.taken
					})
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"issue": func(rt *rapid.T) {
					s.issue(rapid.IntRange(0, stageSize).Draw(rt, "backlog"), rapid.Bool().Draw(rt, "force"))
				},
				"ask": func(rt *rapid.T) {
					w := s.workers[worker.Draw(rt, "worker")]
					s.ask(w, &w.conns[rapid.IntRange(0, stageConns-1).Draw(rt, "connection")], rapid.IntRange(0, stageSize-1).Draw(rt, "recipient"))
				},
				"send": send, "send more": send, "send on": send,
				"seconds": func(rt *rapid.T) { s.seconds(rapid.SampledFrom([]int{1, 4, 16}).Draw(rt, "seconds")) },
				"tick": func(rt *rapid.T) {
					if w := s.workers[worker.Draw(rt, "worker")]; !w.frozen && !w.cut {
						s.ok(w.m.tick(s.ctx))
					}
				},
				"save": func(rt *rapid.T) {
					if seldom(rt, 3) {
						s.save()
					}
				},
				"rollback": func(rt *rapid.T) {
					if seldom(rt, 2) {
						s.rollback()
					}
				},
				"restart": func(rt *rapid.T) {
					if seldom(rt, 4) {
						s.restart()
					}
				},
				"kill": func(rt *rapid.T) {
					if !seldom(rt, 3) {
						return
					}
					k := worker.Draw(rt, "worker")
					w := s.workers[k]
					s.away(w)
					s.graves = append(s.graves, grave{s.now, w.touched})
					s.workers[k] = s.join() // at once, under a new id
				},
				"freeze": func(rt *rapid.T) {
					if !seldom(rt, 3) {
						return
					}
					w := s.workers[worker.Draw(rt, "worker")]
					s.away(w)
					w.frozen = true
				},
				"cut": func(rt *rapid.T) {
					if !seldom(rt, 3) {
						return
					}
					w := s.workers[worker.Draw(rt, "worker")]
					s.away(w)
					w.cut = true
				},
				"mend": func(rt *rapid.T) {
					w := s.workers[worker.Draw(rt, "worker")]
					w.frozen = false
					w.cut = false
				},
				"pause": func(rt *rapid.T) {
					if seldom(rt, 4) {
						s.turn(campaign.Paused, campaign.Running)
					}
				},
				"resume": func(*rapid.T) { s.turn(campaign.Running, campaign.Paused, campaign.Held) },
				"cancel": func(rt *rapid.T) {
					if seldom(rt, 20) {
						s.turn(campaign.RunCancelled, campaign.Running, campaign.Paused, campaign.Held)
						s.ok(s.l.Sweep(s.ctx, s.run))
					}
				},
				"resolve": func(rt *rapid.T) {
					i := rapid.IntRange(0, stageSize-1).Draw(rt, "recipient")
					done, err := s.l.Resolve(s.ctx, Ref{s.run, 0, i}, campaign.Accepted, Reply{})
					s.ok(err)
					s.told[i] = s.told[i] || done
				},
				"": func(*rapid.T) { s.check(resend) },
			})
			s.finish()
			s.check(resend)
			for i, c := range s.cells() {
				switch {
				case !c.State.Final():
					rt.Fatalf("recipient %d is %v at the end", i, c.State)
				case s.excused[i] || s.told[i]:
				case c.State == campaign.Accepted && s.bodies[i] == 0:
					rt.Fatalf("recipient %d is accepted and got nothing", i)
				case s.bodies[i] > 0 && c.State != campaign.Accepted && c.State != campaign.Uncertain:
					rt.Fatalf("recipient %d got a message and is %v", i, c.State)
				}
			}
		})
	})
}
