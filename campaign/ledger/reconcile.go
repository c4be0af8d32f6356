package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
)

// replayBatch is how many entries go out in one pipeline, replayTime how long
// that may take.
const (
	replayBatch = 500
	replayTime  = 5 * time.Second
)

// replaying is how far a replay has got. After an error it continues from there.
type replaying struct {
	runID   string
	entries []entry
	mended  int
}

// replay writes the journal's entries to a Redis with a new run_id.
func (m *Member) replay(ctx context.Context, runID string) error {
	m.mu.Lock()
	m.setClear(false)
	m.replayed = "" // no connection is admitted in the meantime, to the old server either
	m.mu.Unlock()
	if m.severed != runID {
		m.severed = runID
		if m.cfg.Sever != nil {
			m.cfg.Sever()
		}
	}

	r := &m.replaying
	if r.runID != runID {
		if err := m.holdForgotten(ctx, runID); err != nil {
			return err
		}
		*r = replaying{runID: runID, entries: m.journal.sent()}
	}

	for len(r.entries) > 0 {
		n := min(replayBatch, len(r.entries))
		mended, err := m.l.replayAll(ctx, m.ID(), r.entries[:n])
		if err != nil {
			return err
		}
		r.entries = r.entries[n:]
		r.mended = r.mended + mended
	}

	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	// Our heartbeat may be among the lost writes, so it is written again.
	if err := m.writeHeartbeat(ctx, m.ID(), runID); err != nil {
		return err
	}
	if err := m.cfg.OnReset(ctx, m.ID()); err != nil {
		return err
	}

	m.mu.Lock()
	m.replayed = runID
	m.mu.Unlock()
	m.quiet = m.now().Add(joinWait)
	clear(m.seen)
	m.cfg.Log.Info("redis was restarted, journal replayed", "worker", m.ID(), "redis_run_id", runID, "mended", r.mended)
	*r = replaying{}

	return nil
}

// maxForgotten is how much time Redis may have lost. Within a longer time workers may
// have started and ended, and their journals are gone.
const maxForgotten = time.Minute

// holdForgotten finds out how far Redis went back, and holds all runs when that is
// further than the journals reach: what is missing cannot be replayed any more, and
// sending on would mail some people twice.
func (m *Member) holdForgotten(ctx context.Context, runID string) error {
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	list, err := m.l.rdb.HGetAll(ctx, m.l.workersKey()).Result()
	if err != nil {
		return fmt.Errorf("read the list of workers: %w", err)
	}

	deaths, err := m.l.Deaths(ctx)
	if err != nil {
		return err
	}

	why := m.forgotten(list, deaths, runID)
	if why == "" {
		return nil
	}

	reason := codes.HeldRedis.Reason("Redis has lost more than the workers can restore (%s): it is not known who was sent to", why)
	ids, err := m.l.Active(ctx)
	if err != nil {
		return err
	}

	for _, id := range ids {
		rec, err := m.l.Record(ctx, id)
		if errors.Is(err, ErrNoRun) || campaign.IsBroken(err) || err == nil && rec.Created.After(m.acknowledged.at) {
			continue // no worker sends for a run whose record cannot be read
		}
		if err != nil {
			return err
		}
		before, err := m.l.Turn(ctx, id, campaign.Held, reason, campaign.Running, campaign.Paused)
		if err != nil && !errors.Is(err, ErrNoRun) {
			return err
		}

		if before == campaign.Running || before == campaign.Paused {
			m.cfg.Log.Error("run is held", "run", id, "reason", reason)
		}
	}

	return nil
}

// forgotten says what is lost for good, according to the list of workers in a Redis
// with a new run_id; empty when the journals can restore everything.
func (m *Member) forgotten(list map[string]string, deaths int64, runID string) string {
	before := map[string]heartbeat{} // as this Redis was when it ended, or was saved
	var newest time.Time
	for worker, value := range list {
		if h := parseHeartbeat(value); h.runID != runID {
			before[worker] = h
			newest = later(newest, h.at)
		}
	}

	if newest.Sub(m.acknowledged.at) > beatEvery {
		return "" // it was we who were away
	}

	own, listed := before[m.ID()]
	if !listed {
		if deaths > m.deaths {
			return "" // not forgotten: taken off the list
		}
		own = m.joined // it had not joined then
	}

	if lost := m.acknowledged.at.Sub(own.at); lost > maxForgotten {
		return fmt.Sprintf("it went back in time by %v", lost.Round(time.Second))
	}
	if !m.journal.reaches(own.journal + 1) {
		return fmt.Sprintf("more than %d claims", journalSize)
	}

	for worker, h := range before {
		// A worker that joined since we last looked is alive, and replays its own journal.
		if !m.known[worker] && worker != m.ID() && h.at.Before(m.acknowledged.at) {
			return "worker " + worker + " was running then and has ended since"
		}
	}

	return ""
}

func (l *Ledger) replayAll(ctx context.Context, worker string, entries []entry) (changed int, err error) {
	ctx, cancel := context.WithTimeout(ctx, replayTime)
	defer cancel()
	if err := loadAll(ctx, l.rdb, l.script.replay); err != nil {
		return 0, fmt.Errorf("replay the journal: %w", err)
	}

	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(entries))
	for i, e := range entries {
		reply, differs := e.reply()
		cmds[i] = l.script.replay.EvalSha(ctx, pipe, l.keys(e.run, int(e.part)),
			e.part, e.index, e.token(), worker, e.attempt, int(e.how), reply, jitter(), differs)
	}

	if _, err := pipe.Exec(ctx); err != nil && !campaign.IsWrongType(err) {
		return 0, fmt.Errorf("replay the journal: %w", err)
	}

	for _, c := range cmds {
		n, err := c.Int()
		if campaign.IsWrongType(err) {
			continue // the keys of the run are broken: nothing can be replayed to it
		}
		if err != nil {
			return 0, fmt.Errorf("replay the journal: %w", err)
		}
		changed += n
	}

	return changed, nil
}

// reply returns the reply of an entry as lua/replay.lua takes it.
func (e *entry) reply() (reply string, differs []byte) {
	r := e.outcome().Reply
	if e.how != campaign.Accepted {
		return r.field(), nil
	}
	kept := Ref{e.run, int(e.part), int(e.index)}.receipt(r)
	return kept.pattern, kept.differs
}

// A heldClaim is a claim as Redis has it.
type heldClaim struct {
	ref   Ref
	token string
}

// review compares the claims that Redis holds with the journal and the list:
// those of ours that ended are settled as logged, those without an owner
// become uncertain.
func (m *Member) review(ctx context.Context) error {
	claims, err := m.l.allClaims(ctx)
	if err != nil || len(claims) == 0 {
		return err
	}

	// The list is read after the claims: a worker with a claim was on it by then.
	list, err := m.l.rdb.HGetAll(ctx, m.l.workersKey()).Result()
	if err != nil {
		return fmt.Errorf("read the list of workers: %w", err)
	}

	me := m.ID()
	for _, c := range claims {
		worker, _, _ := strings.Cut(c.token, ".")
		o := Outcome{State: campaign.Uncertain}
		if e, ok := m.journal.find(c.token); ok {
			if e.how == asking || e.how == open {
				continue
			}
			o = e.outcome()
		} else if _, ok := list[worker]; ok && worker != me {
			continue
		}

		applied, err := m.l.settle(ctx, c.ref, c.token, o)
		if campaign.IsWrongType(err) {
			continue // the feeder holds the run
		}
		if err != nil {
			return err
		}
		if applied && o.State == campaign.Uncertain {
			m.cfg.Log.Info("claim without an owner is uncertain", "run", c.ref.Run.ID, "part", c.ref.Part, "index", c.ref.Index, "worker", worker)
		}
	}

	return nil
}

// allClaims reads the claims of all active runs. A run that cannot be read is
// left out: it must not keep the others from being looked after.
func (l *Ledger) allClaims(ctx context.Context) ([]heldClaim, error) {
	ids, err := l.Active(ctx)
	if err != nil {
		return nil, err
	}

	var claims []heldClaim
	for _, id := range ids {
		rec, err := l.Record(ctx, id)
		if errors.Is(err, ErrNoRun) || campaign.IsBroken(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		run := rec.Handle()
		if run == nil {
			continue
		}

		tokens, err := l.Claims(ctx, run)
		if campaign.IsBroken(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for at, token := range tokens {
			claims = append(claims, heldClaim{Ref{run, at[0], at[1]}, token})
		}
	}

	return claims, nil
}
