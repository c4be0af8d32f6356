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

	"broadside/campaign"
)

// A Suppressions begins a batch of questions whether an address or its domain is
// suppressed. What it returns puts one of them on the pipeline, and returns how to read
// the answer afterwards. campaign/suppression has it.
type Suppressions interface {
	Queue(ctx context.Context, pipe redis.Pipeliner) func(topic string, hash [16]byte, domain string) func() (bool, error)
}

// A SuppressionKey is by what the suppression of a recipient is looked up: the topic of
// the campaign, the beginning of the hash of the address (suppression.Key), and its domain.
type SuppressionKey struct {
	Topic  string
	Hash   [16]byte
	Domain string
}

// A Line is a worker's way to the ledger while it sends: the questions of all
// its connections are batched. They go through a client that never resends: a
// broken connection is a claim that was not sent, never one that was sent twice.
type Line struct {
	l     *Ledger
	batch *batcher

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
		t = &target{run: ref.Run, part: ref.Part, keys: n.l.keys(ref.Run, ref.Part)}
		n.targets[k] = t
	}

	return t
}

// Line returns a way to the ledger. rdb must not retry commands.
func (l *Ledger) Line(rdb redis.UniversalClient, supp Suppressions) *Line {
	return &Line{l: l, targets: map[targetKey]*target{}, batch: &batcher{
		rdb: rdb, supp: supp, step: l.script.step, record: l.script.record, in: make(chan *Pending, maxBatch),
	}}
}

// Run sends the steps to Redis until ctx ends. Later steps get no answer.
func (n *Line) Run(ctx context.Context) error {
	n.batch.run(ctx)
	return nil
}

// A Step is what a connection needs from the ledger between two messages: it records
// the outcome of the last one, claims the next, and looks at the one after. Each of
// the three may be left out, and has an error of its own.
type Step struct {
	Settle struct {
		Ref     Ref
		Token   string // empty: no outcome to record
		Outcome Outcome

		Applied bool // false when the token holds nothing any more
		Err     error
	}
	Claim struct {
		Ref            Ref
		Token          string // empty: no question
		SuppressionKey SuppressionKey

		Claim
		Err error
	}
	Look struct {
		Ref            Ref            // without a Run: no question
		SuppressionKey SuppressionKey // zero: not asked whether they are suppressed

		Look
		Err error
	}
}

// Step takes one round trip to Redis, shared with the other connections.
//
// An outcome is recorded by the token of its claim. Recording it twice changes
// nothing; after an error it should be recorded again.
//
// A claim takes a recipient under its token, and looks up the suppression after
// that: one that was acknowledged before the claim is seen. An error means that it is
// not known whether the claim holds, or that the claim may be lost
// (ErrNotReplicated). Then nothing may be sent; the next heartbeat finds that in the
// journal.
//
// A look reads the cell, and the suppression, of a recipient before the
// envelope: that saves most refused claims, which cost a connection.
func (n *Line) Step(ctx context.Context, s *Step) { n.Start(ctx, s).Wait(ctx, s) }

// Start is Step without waiting: Wait must follow. Nothing is asked when ctx has ended.
func (n *Line) Start(ctx context.Context, s *Step) *Pending {
	p := &Pending{Step: *s, done: make(chan struct{})}
	// s may have been used before.
	p.Settle.Err = nil
	p.Claim.Err = nil
	p.Look.Err = nil

	if s.Settle.Token != "" {
		p.settle = n.target(s.Settle.Ref)
		if o := &s.Settle.Outcome; o.State == campaign.Accepted {
			p.receipt = p.settle.patterns.receipt(s.Settle.Ref, o.Reply)
		}
	}

	if s.Claim.Token != "" {
		p.claim = n.target(s.Claim.Ref)
	}
	if s.Look.Ref.Run != nil {
		p.look = n.target(s.Look.Ref)
	}

	if ctx.Err() != nil {
		return p // Wait returns the error
	}
	select {
	case n.batch.in <- p:
	case <-ctx.Done():
	}

	return p
}

// Wait waits for the answer, which is in s then, or for the end of ctx.
func (p *Pending) Wait(ctx context.Context, s *Step) {
	select {
	case <-p.done:
		*s = p.Step
	case <-ctx.Done(): // it may still be answered: the rest of p is not ours
		err := fmt.Errorf("no answer: %w", context.Cause(ctx))
		s.Settle.Err = err
		s.Claim.Err = err
		s.Look.Err = err
	}

	wrap := func(err *error, what string, ref Ref) {
		if *err != nil {
			*err = fmt.Errorf("%s %s: %w", what, ref, *err)
		}
	}
	wrap(&s.Settle.Err, "settle", s.Settle.Ref)
	wrap(&s.Claim.Err, "claim", s.Claim.Ref)
	wrap(&s.Look.Err, "look at", s.Look.Ref)
}

// A Look is the state of a recipient before the envelope.
type Look struct {
	State      campaign.State
	Suppressed bool
}

// Look is a Step that only looks. ErrNoRun when the run is gone.
func (n *Line) Look(ctx context.Context, ref Ref, k SuppressionKey) (Look, error) {
	var s Step
	s.Look.Ref = ref
	s.Look.SuppressionKey = k
	n.Step(ctx, &s)
	return s.Look.Look, s.Look.Err
}

func parseLook(answer any) (campaign.State, error) {
	switch v, ok := answer.(int64); {
	case !ok:
		return 0, fmt.Errorf("unexpected answer %v", answer)
	case v < 0:
		return 0, ErrNoRun
	default:
		return campaign.State(v), nil
	}
}

// A Claim is the answer to a claim.
type Claim struct {
	Held       bool              // the recipient is ours: the body may leave
	Attempt    int               // counts from 1
	Suppressed bool              // found with the claim: nothing may leave
	State      campaign.State    // of the cell that refused
	RunState   campaign.RunState // of the run that refused
}

// Claim is a Step that only claims.
func (n *Line) Claim(ctx context.Context, ref Ref, token string, k SuppressionKey) (Claim, error) {
	var s Step
	s.Claim.Ref = ref
	s.Claim.Token = token
	s.Claim.SuppressionKey = k
	n.Step(ctx, &s)
	return s.Claim.Claim, s.Claim.Err
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

// A Reply is the last reply of a server about a recipient.
type Reply struct {
	Code     int
	Enhanced string
	Account  string
	Text     string // at most 512 bytes
}

// maxReply is how much of a reply is kept.
const maxReply = 512

// field is the reply as Redis keeps it.
func (r Reply) field() string { return r.head() + r.text() }

// head is what comes before the text.
func (r Reply) head() string {
	return strconv.Itoa(r.Code) + "\t" + oneLine(r.Enhanced) + "\t" + oneLine(r.Account) + "\t"
}

func (r Reply) text() string {
	text := oneLine(r.Text)
	if len(text) > maxReply {
		text = strings.ToValidUTF8(text[:maxReply], "")
	}
	return text
}

// An Outcome is what became of one try. State is Accepted, Deferred, Bounced,
// Failed, Uncertain, Suppressed, or Pending for a try that ended before the
// first byte of the body: no attempt is counted.
type Outcome struct {
	State      campaign.State
	Reply      Reply
	Greylisted bool          // a deferral whose first time is free
	Delay      time.Duration // of Pending: not before
}

// append appends the arguments of lua/step.lua for one outcome; kept is the
// receipt of one that is accepted.
func (o *Outcome) append(args []any, index int, token string, kept receipt) []any {
	args = append(args, index, token, int(o.State))
	if o.State == campaign.Accepted {
		return append(args, kept.pattern, kept.differs)
	}
	return append(args, o.Reply.field(), jitter(), flag(o.Greylisted), seconds(o.Delay))
}

// jitter spreads retries by +-20 %.
func jitter() int { return 80 + rand.IntN(41) }

// Settle is a Step that only records an outcome.
func (n *Line) Settle(ctx context.Context, ref Ref, token string, o Outcome) (bool, error) {
	var s Step
	s.Settle.Ref = ref
	s.Settle.Token = token
	s.Settle.Outcome = o
	n.Step(ctx, &s)
	return s.Settle.Applied, s.Settle.Err
}

// Refuse records an outcome that needed no claim: Deferred, Bounced, Failed or
// Suppressed before the body.
func (n *Line) Refuse(ctx context.Context, ref Ref, o Outcome) (bool, error) {
	ok, err := n.l.run(ctx, n.l.script.refuse, n.target(ref).keys, ref.Part, ref.Index, int(o.State), o.Reply.field(), jitter(), flag(o.Greylisted)).Int()
	if err != nil {
		return false, fmt.Errorf("refuse %s: %w", ref, err)
	}
	return ok == 1, nil
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

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// settle records an outcome outside of a Line: heartbeats and observers.
func (l *Ledger) settle(ctx context.Context, ref Ref, token string, o Outcome) (bool, error) {
	args := o.append([]any{ref.Part, 1, 0, 0}, ref.Index, token, ref.receipt(o.Reply))
	ok, err := l.run(ctx, l.script.record, l.keys(ref.Run, ref.Part), args...).Int64Slice()
	if err != nil {
		return false, fmt.Errorf("settle %s: %w", ref, err)
	}
	return len(ok) == 1 && ok[0] == 1, nil
}

// Resolve records what became of an uncertain recipient, as the operator or an event
// of the provider says: to is Accepted or Bounced. It reports false when the
// recipient is not uncertain (any more).
func (l *Ledger) Resolve(ctx context.Context, ref Ref, to campaign.State, r Reply) (bool, error) {
	if to != campaign.Accepted && to != campaign.Bounced {
		return false, fmt.Errorf("resolve %s: %v is not what an uncertain recipient can become", ref, to)
	}

	reply := r.field()
	var differs []byte
	if to == campaign.Accepted {
		kept := ref.receipt(r)
		reply = kept.pattern
		differs = kept.differs
	}

	n, err := l.run(ctx, l.script.resolve, l.keys(ref.Run, ref.Part), ref.Part, ref.Index, int(to), reply, differs).Int()
	if err != nil {
		return false, fmt.Errorf("resolve %s: %w", ref, err)
	}

	return n == 1, nil
}

// Gone reports whether err says that the run does not exist any more: tasks
// for it are dropped.
func Gone(err error) bool { return errors.Is(err, ErrNoRun) }
