package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// batch carries out steps as one batch: line must not run.
func batch(t *testing.T, n *Line, steps ...*Step) {
	t.Helper()
	var all []*Pending
	for _, s := range steps {
		all = append(all, n.Start(t.Context(), s))
		<-n.batch.in
	}

	n.batch.exec(t.Context(), all)
	for i, p := range all {
		p.Wait(t.Context(), steps[i])
	}
}

func settling(ref Ref, token string, to campaign.State) *Step {
	s := &Step{}
	s.Settle.Ref = ref
	s.Settle.Token = token
	s.Settle.Outcome = Outcome{State: to, Reply: Reply{Code: 200, Text: "so"}}
	return s
}

func claiming(ref Ref, token string) *Step {
	s := &Step{}
	s.Claim.Ref = ref
	s.Claim.Token = token
	return s
}

func looking(ref Ref) *Step {
	s := &Step{}
	s.Look.Ref = ref
	return s
}

// answer says in a line what a step brought.
func (s *Step) answer() string {
	var out []string
	if s.Settle.Token != "" {
		out = append(out, fmt.Sprintf("settle %t", s.Settle.Applied))
	}
	if s.Claim.Token != "" {
		out = append(out, fmt.Sprintf("claim %t %d %q", s.Claim.Held, s.Claim.Attempt, string(rune(s.Claim.Claim.State))))
	}
	if s.Look.Ref.Run != nil {
		out = append(out, fmt.Sprintf("look %q", string(rune(s.Look.State))))
	}
	if err := errors.Join(s.Settle.Err, s.Claim.Err, s.Look.Err); err != nil {
		out = append(out, strings.ReplaceAll(err.Error(), "\n", "; "))
	}

	return strings.Join(out, ", ")
}

// states returns the state letters of a part.
func states(t *testing.T, l *Ledger, run *Run, part int) string {
	t.Helper()
	cells, err := l.Page(t.Context(), run, part, 0)
	if err != nil {
		t.Fatal(err)
	}

	var out []rune
	for _, c := range cells {
		out = append(out, rune(c.State))
	}

	return strings.ReplaceAll(string(out), "\x00", ".")
}

// What a step says and asks may concern one part, several, or several runs.
func TestStepWithAllThree(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		a := newRun(t, l, "a", 9, 9)
		b := newRun(t, l, "b", 9)
		n := line(t, l)
		for i, tt := range []struct {
			name                string
			settle, claim, look Ref
			want                string // the answer
		}{
			{"one part", Ref{a, 0, 0}, Ref{a, 0, 1}, Ref{a, 0, 2}, `settle true, claim true 1 "\x00", look "\x00"`},
			{"two parts", Ref{a, 0, 3}, Ref{a, 1, 0}, Ref{a, 0, 4}, `settle true, claim true 1 "\x00", look "\x00"`},
			{"two runs", Ref{a, 0, 5}, Ref{b, 0, 0}, Ref{b, 0, 1}, `settle true, claim true 1 "\x00", look "\x00"`},
			{"three targets", Ref{a, 0, 6}, Ref{a, 1, 1}, Ref{b, 0, 2}, `settle true, claim true 1 "\x00", look "\x00"`},
			{"a look at what is claimed", Ref{a, 0, 7}, Ref{a, 0, 8}, Ref{a, 0, 8}, `settle true, claim true 1 "\x00", look "s"`},
			{"a look at what is told", Ref{a, 1, 2}, Ref{a, 1, 3}, Ref{a, 1, 2}, `settle true, claim true 1 "\x00", look "a"`},
		} {
			first := claiming(tt.settle, fmt.Sprintf("w.%d", 2*i))
			n.Step(t.Context(), first)
			if !first.Claim.Held || first.Claim.Err != nil {
				t.Fatalf("%s: claim %+v", tt.name, first.Claim)
			}
			s := settling(tt.settle, first.Claim.Token, campaign.Accepted)
			s.Claim.Ref = tt.claim
			s.Claim.Token = fmt.Sprintf("w.%d", 2*i+1)
			s.Look.Ref = tt.look
			n.Step(t.Context(), s)
			if got := s.answer(); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}

		got := []string{states(t, l, a, 0), states(t, l, a, 1), states(t, l, b, 0)}
		if diff := cmp.Diff([]string{"as.a.aaas", "ssas.....", "s........"}, got); diff != "" {
			t.Errorf("cells (-want +got):\n%s", diff)
		}

		tally, err := l.Counts(t.Context(), "a")
		if want := (campaign.Counts{campaign.Pending: 7, campaign.Sending: 5, campaign.Accepted: 6}); err != nil || cmp.Diff(want, tally.Counts) != "" {
			t.Errorf("counts %v, %v; want %v", tally.Counts, err, want)
		}
	})
}

// Outcomes come before claims, and claims before looks, whatever the order in
// which a batch was put together; twins in one batch are no different from
// twins in two.
func TestStepsOfOneBatchAboutOneRecipient(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		n := l.Line(l.rdb, noSuppressions{})
		for _, tt := range []struct {
			name  string
			steps func(Ref) []*Step // after w.1 has claimed it
			want  []string
			cell  string
		}{
			{
				"released and claimed", func(r Ref) []*Step { return []*Step{claiming(r, "w.2"), settling(r, "w.1", campaign.Pending)} },
				[]string{`claim true 1 "\x00"`, "settle true"},
				"s",
			},
			{
				"accepted and claimed", func(r Ref) []*Step {
					return []*Step{looking(r), claiming(r, "w.2"), settling(r, "w.1", campaign.Accepted)}
				},
				[]string{`look "a"`, `claim false 0 "a"`, "settle true"},
				"a",
			},
			{
				"deferred and claimed", func(r Ref) []*Step { return []*Step{settling(r, "w.1", campaign.Deferred), claiming(r, "w.2")} },
				[]string{"settle true", `claim false 0 "d"`},
				"d",
			},
			{"uncertain and lifted", func(r Ref) []*Step {
				return []*Step{settling(r, "w.1", campaign.Uncertain), settling(r, "w.1", campaign.Accepted)}
			}, []string{"settle true", "settle true"}, "a"},
			{
				"told twice", func(r Ref) []*Step {
					return []*Step{settling(r, "w.1", campaign.Accepted), settling(r, "w.1", campaign.Accepted)}
				},
				[]string{"settle true", "settle false"},
				"a",
			},
			{
				"told by a stranger", func(r Ref) []*Step { return []*Step{settling(r, "w.9", campaign.Accepted), looking(r)} },
				[]string{"settle false", `look "s"`},
				"s",
			},
			{"released, claimed by twins", func(r Ref) []*Step {
				return []*Step{settling(r, "w.1", campaign.Pending), claiming(r, "w.2"), claiming(r, "w.3"), looking(r)}
			}, []string{"settle true", `claim true 1 "\x00"`, `claim false 0 "s"`, `look "s"`}, "s"},
			{
				"accepted, claimed again by its token", func(r Ref) []*Step { return []*Step{settling(r, "w.1", campaign.Accepted), claiming(r, "w.1")} },
				[]string{"settle true", `claim false 0 "a"`},
				"a",
			},
			{
				"claimed again by its token", func(r Ref) []*Step { return []*Step{claiming(r, "w.1"), claiming(r, "w.1")} },
				[]string{`claim true 1 "\x00"`, `claim true 1 "\x00"`},
				"s",
			},
		} {
			run := newRun(t, l, strings.ReplaceAll(tt.name, " ", "-"), 1)
			ref := Ref{run, 0, 0}
			batch(t, n, claiming(ref, "w.1"))
			steps := tt.steps(ref)
			batch(t, n, steps...)
			var got []string
			for _, s := range steps {
				got = append(got, s.answer())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.name, diff)
			}
			if got := states(t, l, run, 0); got != tt.cell {
				t.Errorf("%s: the cell has %q, want %q", tt.name, got, tt.cell)
			}
			claims, err := l.Claims(t.Context(), run)
			if open := tt.cell == "s"; err != nil || (len(claims) == 1) != open {
				t.Errorf("%s: claims %v, %v; want one: %t", tt.name, claims, err, open)
			}
		}
	})
}

// A full Redis refuses new work, and records what is done, when both come in
// one step.
func TestAFullRedisRecordsTheOutcomesOfABatch(t *testing.T) {
	t.Parallel()
	l := backends["redis"](t)
	ctx := t.Context()
	run := newRun(t, l, "r", 9)
	other := newRun(t, l, "o", 9)
	n := l.Line(l.rdb, noSuppressions{})
	batch(t, n, claiming(Ref{run, 0, 0}, "w.1"), claiming(Ref{run, 0, 1}, "w.2"), claiming(Ref{other, 0, 0}, "w.3"))
	limit := func(bytes string) {
		t.Helper()
		if err := l.rdb.ConfigSet(ctx, "maxmemory", bytes).Err(); err != nil {
			t.Fatal(err)
		}
	}
	limit("1")
	both := settling(Ref{run, 0, 0}, "w.1", campaign.Accepted)
	both.Claim.Ref = Ref{run, 0, 2}
	both.Claim.Token = "w.4"
	both.Look.Ref = Ref{run, 0, 3}
	told := settling(Ref{run, 0, 1}, "w.2", campaign.Bounced)
	foreign := settling(Ref{other, 0, 0}, "w.3", campaign.Accepted)
	asked := claiming(Ref{other, 0, 1}, "w.5")
	foreign.Look.Ref = Ref{other, 0, 2}
	batch(t, n, both, told, foreign)
	batch(t, n, asked)
	for _, s := range []*Step{both, told, foreign} {
		if !s.Settle.Applied || s.Settle.Err != nil {
			t.Errorf("an outcome was not recorded: %+v", s.Settle)
		}
	}

	for _, s := range []*Step{both, asked} {
		if !redis.HasErrorPrefix(errors.Unwrap(s.Claim.Err), "OOM") || s.Claim.Held {
			t.Errorf("claim %+v, want OOM", s.Claim)
		}
	}

	if both.Look.Err == nil || foreign.Look.Err != nil {
		t.Errorf("looks: beside a claim %v, without one %v; want an error for the first alone", both.Look.Err, foreign.Look.Err)
	}
	if got := states(t, l, run, 0) + states(t, l, other, 0); got != "ab......."+"a........" {
		t.Errorf("cells %s", got)
	}

	for _, r := range []*Run{run, other} {
		kept, err := l.Receipts(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		if last, _ := kept.Of(0, 0); last.Text != "so" {
			t.Errorf("run %s: receipt %+v", r.ID, last)
		}
	}

	limit("0")
	batch(t, n, both, asked)
	if !both.Claim.Held || !asked.Claim.Held || both.Settle.Applied {
		t.Errorf("with room again: %s; %s", both.answer(), asked.answer())
	}
	if n := l.rdb.LLen(ctx, l.receiptsKey(run)).Val(); n != 1 {
		t.Errorf("%d receipts after the outcome was said twice", n)
	}
}

// Redis may forget its scripts at any time: no one notices.
func TestAStepWhoseScriptIsForgotten(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		a := newRun(t, l, "a", 9)
		b := newRun(t, l, "b", 9)
		n := l.Line(l.rdb, noSuppressions{})
		batch(t, n, claiming(Ref{a, 0, 0}, "w.1"), claiming(Ref{b, 0, 0}, "w.2"))
		if err := l.rdb.ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}

		s := settling(Ref{a, 0, 0}, "w.1", campaign.Accepted)
		s.Claim.Ref = Ref{a, 0, 1}
		s.Claim.Token = "w.3"
		s.Look.Ref = Ref{a, 0, 2}
		told := settling(Ref{b, 0, 0}, "w.2", campaign.Deferred) // goes by the other script
		told.Look.Ref = Ref{b, 0, 0}
		batch(t, n, s, told)
		got := []string{s.answer(), told.answer()}
		if diff := cmp.Diff([]string{`settle true, claim true 1 "\x00", look "\x00"`, `settle true, look "d"`}, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// interrupter ends a context while a batch is under way, and lets the batch go
// on once the question has been left alone.
type interrupter struct {
	end  func()
	left chan struct{}
}

func (i interrupter) Queue(context.Context, redis.Pipeliner) func(string, [16]byte, string) func() (bool, error) {
	return func(string, [16]byte, string) func() (bool, error) {
		return func() (bool, error) {
			i.end()
			<-i.left
			return false, nil
		}
	}
}

// A caller that does not wait for the answer gets an error, and has the step to itself:
// the answer still comes, and changes nothing in it.
func TestAStepThatIsLeftAlone(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		run := newRun(t, l, "r", 9)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan struct{})
		n := l.Line(l.rdb, interrupter{end: cancel, left: left})
		lineCtx, stop := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- n.Run(lineCtx) }()
		defer func() { stop(); <-done }()

		s := claiming(Ref{run, 0, 0}, "w.1")
		s.Settle.Ref = Ref{run, 0, 2}
		s.Settle.Token = "w.9"
		s.Settle.Outcome.State = campaign.Accepted
		s.Look.Ref = Ref{run, 0, 1}
		s.Look.SuppressionKey = SuppressionKey{Topic: "news"}
		n.Step(ctx, s)
		for _, err := range []error{s.Settle.Err, s.Claim.Err, s.Look.Err} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want that it was cancelled", err)
			}
		}

		if s.Claim.Held {
			t.Error("the claim counts")
		}

		close(left)
		*s = *claiming(Ref{run, 0, 3}, "w.2") // the batch before may still be written
		n.Step(t.Context(), s)
		if !s.Claim.Held || s.Claim.Err != nil {
			t.Errorf("the next step: %s", s.answer())
		}
		if got := states(t, l, run, 0); got != "s..s....." {
			t.Errorf("cells %s, want the claim to have come through", got)
		}

		ended := settling(Ref{run, 0, 0}, "w.1", campaign.Pending)
		n.Step(ctx, ended)
		if !errors.Is(ended.Settle.Err, context.Canceled) {
			t.Errorf("a step under an ended context: %v", ended.Settle.Err)
		}
	})
}

// Neighbours are read at once and others one by one: the answers are the same.
func TestNearAndFarRecipientsAreReadAlike(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		const size = 3000
		n := l.Line(l.rdb, noSuppressions{})
		var got [][]string
		for _, indexes := range [][]int{
			{0, 1, 2, 3, 4, 5},
			{2994, 2995, 2996, 2997, 2998, 2999}, // to the end of the part
			{5, 4, 3, 2, 1, 0},                   // in any order
			{0, 199, 398, 597, 796, 995},         // just near
			{0, 900, 1800, 1801, 2700, 2999},     // far
			{2999, 0, 1500, 750, 2250, 1},
		} {
			run := newRun(t, l, fmt.Sprintf("r%d", len(got)), size)
			ref := func(k int) Ref { return Ref{run, 0, indexes[k]} }
			batch(t, n, claiming(ref(0), "w.0"), claiming(ref(1), "w.1"), claiming(ref(2), "w.2"), claiming(ref(3), "w.3"))
			steps := []*Step{
				settling(ref(0), "w.0", campaign.Accepted), settling(ref(1), "w.1", campaign.Deferred), settling(ref(2), "w.2", campaign.Pending),
				claiming(ref(4), "w.4"), claiming(ref(2), "w.5"), claiming(ref(3), "w.6"), looking(ref(0)), looking(ref(3)), looking(ref(5)),
			}
			batch(t, n, steps...)
			var answers []string
			for _, s := range steps {
				answers = append(answers, s.answer())
			}
			cells, err := l.Page(t.Context(), run, 0, 0)
			if err != nil {
				t.Fatal(err)
			}

			touched := 0
			for _, c := range cells {
				if c.State != campaign.Pending || c.Attempts != 0 {
					touched++
				}
			}

			for k := range indexes {
				c := cells[indexes[k]]
				answers = append(answers, fmt.Sprintf("cell %q %d", string(rune(c.State)), c.Attempts))
			}

			got = append(got, append(answers, fmt.Sprintf("%d of %d cells", touched, len(cells))))
		}

		want := []string{
			"settle true", "settle true", "settle true",
			`claim true 1 "\x00"`, `claim true 1 "\x00"`, `claim false 0 "s"`, `look "a"`, `look "s"`, `look "\x00"`,
			`cell "a" 1`, `cell "d" 1`, `cell "s" 1`, `cell "s" 1`, `cell "s" 1`, `cell "\x00" 0`, "5 of 3000 cells",
		}
		for i := range got {
			if diff := cmp.Diff(want, got[i]); diff != "" {
				t.Errorf("indexes %d (-want +got):\n%s", i, diff)
			}
		}
	})
}

// A recipient beyond the end is not found, among neighbours or alone.
func TestAStepBeyondTheEnd(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		run := newRun(t, l, "r", 5)
		n := l.Line(l.rdb, noSuppressions{})
		for _, index := range []int{5, 6, 4000} {
			beyond := looking(Ref{run, 0, index})
			beyond.Claim.Ref = Ref{run, 0, index}
			beyond.Claim.Token = "w.1"
			last := looking(Ref{run, 0, 4})
			batch(t, n, last, beyond)
			if !Gone(beyond.Look.Err) || !Gone(beyond.Claim.Err) || beyond.Claim.Held {
				t.Errorf("%d of 5: %s", index, beyond.answer())
			}
			if got := last.answer(); got != `look "\x00"` {
				t.Errorf("beside %d: %s", index, got)
			}
		}

		if got := states(t, l, run, 0); got != "....." {
			t.Errorf("cells %s", got)
		}
	})
}

// A claim that waits for a replica (there is none: for as long as it may) holds
// up no other step.
func TestAReplicatedClaimHoldsUpNobody(t *testing.T) {
	t.Parallel()
	l := backends["redis"](t)
	n := line(t, l)
	slow := newRun(t, l, "slow", 10)
	fast := newRun(t, l, "fast", 1)
	slow.Replicated = true
	if _, err := n.Look(t.Context(), Ref{Run: fast}, SuppressionKey{}); err != nil { // loads the script
		t.Fatal(err)
	}

	for i := range 10 { // a busy machine may take longer than a replica has
		var claim, look Step
		claim.Claim.Ref = Ref{Run: slow, Index: i}
		claim.Claim.Token = "w." + string(rune('a'+i))
		look.Look.Ref = Ref{Run: fast}
		waits := n.Start(t.Context(), &claim)
		first := n.Start(t.Context(), &look)
		first.Wait(t.Context(), &look)
		if look.Look.Err != nil {
			t.Fatal(look.Look.Err)
		}
		held := false
		select {
		case <-waits.done:
			held = true
		default:
		}

		waits.Wait(t.Context(), &claim)
		if !errors.Is(claim.Claim.Err, ErrNotReplicated) {
			t.Fatalf("claim without a replica: %v", claim.Claim.Err)
		}
		if !held {
			return
		}
	}

	t.Error("a look is answered only after a claim that waits for a replica")
}
