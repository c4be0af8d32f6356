package ledger

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"broadside/campaign"
)

// A Suppressions puts the question whether an address is suppressed on a
// pipeline and returns how to read the answer afterwards.
// campaign/suppression has it.
type Suppressions interface {
	Queue(ctx context.Context, pipe redis.Pipeliner, topic string, hash [16]byte) func() (bool, error)
}

// A Person is what the suppression look-up needs to know of a recipient.
type Person struct {
	Topic string
	Hash  [16]byte
}

// A Line is a worker's way to the ledger while it sends: the questions of all
// its connections are batched. Claims go through a client of their own that
// never resends: a broken connection is a claim that was not sent, never one
// that was sent twice.
type Line struct {
	l      *Ledger
	supp   Suppressions
	claims *batcher
	other  *batcher

	mu      sync.Mutex
	targets map[targetKey]*target
}

type targetKey struct {
	run  *Run
	part int
}

// maxTargets bounds the keys that are kept ready.
const maxTargets = 1000

// target returns the keys of a part of a run, the same ones every time.
func (n *Line) target(ref Ref) *target {
	k := targetKey{ref.Run, ref.Part}
	n.mu.Lock()
	defer n.mu.Unlock()
	t := n.targets[k]
	if t == nil {
		if len(n.targets) >= maxTargets {
			clear(n.targets)
		}
		t = &target{part: ref.Part, keys: n.l.keys(ref.Run, ref.Part)}
		n.targets[k] = t
	}
	return t
}

// Line returns a way to the ledger. claims must not retry commands.
func (l *Ledger) Line(claims redis.UniversalClient, supp Suppressions) *Line {
	return &Line{l: l, supp: supp, claims: newBatcher(claims), other: newBatcher(l.rdb), targets: map[targetKey]*target{}}
}

// Run carries the questions until ctx ends. What is asked afterwards gets no
// answer.
func (n *Line) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { n.claims.run(ctx, 2); return nil })
	g.Go(func() error { n.other.run(ctx, 2); return nil })
	return g.Wait()
}

// A Look is the state of a recipient before the envelope.
type Look struct {
	State      campaign.State
	Suppressed bool
}

// Look reads the cell and the suppression of a recipient: a cheap question
// before the envelope that saves most refused claims, which cost a connection.
// ErrNoRun when the run is gone.
func (n *Line) Look(ctx context.Context, ref Ref, p Person) (Look, error) {
	var cell *redis.StringCmd
	var supp func() (bool, error)
	var look Look
	key, at := n.target(ref).keys[2], int64(ref.Index*cellSize)
	err := n.other.do(ctx, &call{
		plain: func(pipe redis.Pipeliner) {
			cell = pipe.GetRange(ctx, key, at, at)
			supp = n.supp.Queue(ctx, pipe, p.Topic, p.Hash)
		},
		read: func([]any) error {
			s, err := cell.Result()
			if err != nil {
				return err
			}
			if s == "" {
				return ErrNoRun
			}
			look.State = campaign.State(s[0])
			look.Suppressed, err = supp()
			return err
		},
	})
	if err != nil {
		return Look{}, fmt.Errorf("look at %s: %w", ref, err)
	}
	return look, nil
}

// A Claim is the answer to a claim.
type Claim struct {
	Held       bool              // the recipient is ours: the body may leave
	Attempt    int               // counts from 1
	Suppressed bool              // found with the claim: nothing may leave
	State      campaign.State    // of the cell that refused
	RunState   campaign.RunState // of the run that refused
}

// Claim asks for a recipient in the name of token, and reads its suppression
// after that: a suppression that was acknowledged before the claim is seen.
// An error means that it is not known whether the claim holds, or that it may
// be forgotten (ErrNotReplicated); nothing may be sent, and the journal's entry
// says so to the next heartbeat.
func (n *Line) Claim(ctx context.Context, ref Ref, token string, p Person) (Claim, error) {
	var supp func() (bool, error)
	var c Claim
	err := n.claims.do(ctx, &call{
		script: n.l.script.claim, target: n.target(ref), args: []any{ref.Index, token}, width: 2, replicated: ref.Run.Replicated,
		plain: func(pipe redis.Pipeliner) { supp = n.supp.Queue(ctx, pipe, p.Topic, p.Hash) },
		read: func(answer []any) (err error) {
			if c, err = parseClaim(answer); err != nil {
				return err
			}
			c.Suppressed, err = supp()
			return err
		},
	})
	if err != nil {
		return Claim{}, fmt.Errorf("claim %s: %w", ref, err)
	}
	return c, nil
}

func parseClaim(answer []any) (Claim, error) {
	code, _ := answer[0].(int64)
	switch v := answer[1].(type) {
	case int64:
		if code == 1 {
			return Claim{Held: true, Attempt: int(v)}, nil
		}
		if code == -2 {
			return Claim{}, ErrNoRun
		}
		return Claim{State: campaign.State(v)}, nil
	case string:
		return Claim{RunState: campaign.RunState(v)}, nil
	}
	return Claim{}, fmt.Errorf("unexpected answer %v", answer)
}

// A Reply is the last word of a server about a recipient.
type Reply struct {
	Code     int
	Enhanced string
	Account  string
	Text     string // at most 512 bytes
}

// maxReply is how much of a reply is kept.
const maxReply = 512

func (r Reply) field() string {
	text := oneLine(r.Text)
	if len(text) > maxReply {
		text = strings.ToValidUTF8(text[:maxReply], "")
	}
	return strconv.Itoa(r.Code) + "\t" + oneLine(r.Enhanced) + "\t" + oneLine(r.Account) + "\t" + text
}

// An Outcome is what became of one try. State is Accepted, Deferred, Bounced,
// Failed, Uncertain, Suppressed, or Pending for a try that came to nothing:
// not one byte of the body left, no attempt is counted.
type Outcome struct {
	State      campaign.State
	Reply      Reply
	Greylisted bool          // a deferral whose first time is free
	Delay      time.Duration // of Pending: not before
}

// jitter spreads retries by +-20 %.
func jitter() int { return 80 + rand.IntN(41) }

// Settle records the outcome of a claim by its token. It reports whether it
// changed something: false when the token holds nothing any more.
func (n *Line) Settle(ctx context.Context, ref Ref, token string, o Outcome) (bool, error) {
	ok, err := n.applied(ctx, n.l.script.settle, ref, ref.Index, token, int(o.State), o.Reply.field(), jitter(), flag(o.Greylisted), seconds(o.Delay))
	if err != nil {
		return false, fmt.Errorf("settle %s: %w", ref, err)
	}
	return ok, nil
}

// Refuse records an outcome that needed no claim: Deferred, Bounced, Failed or
// Suppressed before the body.
func (n *Line) Refuse(ctx context.Context, ref Ref, o Outcome) (bool, error) {
	ok, err := n.applied(ctx, n.l.script.refuse, ref, ref.Index, int(o.State), o.Reply.field(), jitter(), flag(o.Greylisted))
	if err != nil {
		return false, fmt.Errorf("refuse %s: %w", ref, err)
	}
	return ok, nil
}

// GiveBack returns issued recipients of one part unclaimed, not to be issued
// again before delay.
func (n *Line) GiveBack(ctx context.Context, run *Run, part int, indexes []int, delay time.Duration) error {
	args := make([]any, 0, len(indexes)+2)
	args = append(args, part, seconds(delay))
	for _, i := range indexes {
		args = append(args, i)
	}
	if err := n.l.run(ctx, n.l.script.giveback, n.target(Ref{Run: run, Part: part}).keys, args...).Err(); err != nil {
		return fmt.Errorf("give back %d recipients of run %s: %w", len(indexes), run.ID, err)
	}
	return nil
}

// applied calls a script that answers with 1 or 0.
func (n *Line) applied(ctx context.Context, s *redis.Script, ref Ref, args ...any) (bool, error) {
	var ok bool
	err := n.other.do(ctx, &call{
		script: s, target: n.target(ref), args: args, width: 1,
		read: func(answer []any) error {
			v, isNumber := answer[0].(int64)
			if !isNumber {
				return fmt.Errorf("unexpected answer %v", answer)
			}
			ok = v == 1
			return nil
		},
	})
	if err != nil {
		return false, err // the answer may still be on its way
	}
	return ok, nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// settle records an outcome outside of a Line: heartbeats and observers.
func (l *Ledger) settle(ctx context.Context, ref Ref, token string, o Outcome) (bool, error) {
	ok, err := l.run(ctx, l.script.settle, l.keys(ref.Run, ref.Part),
		ref.Part, ref.Index, token, int(o.State), o.Reply.field(), jitter(), flag(o.Greylisted), seconds(o.Delay)).Int64Slice()
	if err != nil {
		return false, fmt.Errorf("settle %s: %w", ref, err)
	}
	return len(ok) == 1 && ok[0] == 1, nil
}

// Resolve records what somebody else knows of an uncertain recipient (the
// operator, an event of the provider): to is Accepted or Bounced. It reports
// false when the recipient is not uncertain (any more).
func (l *Ledger) Resolve(ctx context.Context, ref Ref, to campaign.State, r Reply) (bool, error) {
	if to != campaign.Accepted && to != campaign.Bounced {
		return false, fmt.Errorf("resolve %s: %v is not what an uncertain recipient can become", ref, to)
	}
	n, err := l.run(ctx, l.script.resolve, l.keys(ref.Run, ref.Part), ref.Part, ref.Index, int(to), r.field()).Int()
	if err != nil {
		return false, fmt.Errorf("resolve %s: %w", ref, err)
	}
	return n == 1, nil
}

// Gone reports whether err says that the run does not exist any more: tasks
// for it are dropped.
func Gone(err error) bool { return errors.Is(err, ErrNoRun) }
