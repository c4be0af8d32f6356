package ledger

import (
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"broadside/campaign"
)

// A batch is as good as its steps one by one: outcomes, then claims, then
// looks. Neighbours are written together, several parts in one call.
func TestABatchIsItsSteps(t *testing.T) {
	l := backends["redis"](t)
	n := l.Line(l.rdb, noSuppressions{})
	runs := 0
	rapid.Check(t, func(rt *rapid.T) {
		runs++
		sizes := []int{60, 25, 3}
		together := newRun(t, l, fmt.Sprintf("t%d", runs), sizes...)
		apart := newRun(t, l, fmt.Sprintf("a%d", runs), sizes...)
		held := map[[2]int]string{} // the last token of each recipient
		for round := range rapid.IntRange(1, 3).Draw(rt, "batches") {
			var whole []*Step
			var single [3][]*Step // outcomes, claims, looks
			add := func(kind int, step func(*Run) *Step) {
				whole = append(whole, step(together))
				single[kind] = append(single[kind], step(apart))
			}
			for k := range rapid.IntRange(1, 25).Draw(rt, "steps") {
				part := rapid.IntRange(0, 2).Draw(rt, "part")
				index := rapid.IntRange(0, sizes[part]-1).Draw(rt, "index")
				at := [2]int{part, index}
				switch kind := rapid.IntRange(0, 2).Draw(rt, "kind"); kind {
				case 0:
					token := held[at]
					if token == "" {
						token = "w.none"
					}
					to := rapid.SampledFrom([]campaign.State{campaign.Accepted, campaign.Bounced, campaign.Pending, campaign.Uncertain}).Draw(rt, "to")
					add(kind, func(r *Run) *Step { return settling(Ref{r, part, index}, token, to) })
				case 1:
					token := fmt.Sprintf("w.%d-%d", round, k)
					held[at] = token
					add(kind, func(r *Run) *Step { return claiming(Ref{r, part, index}, token) })
				case 2:
					add(kind, func(r *Run) *Step { return looking(Ref{r, part, index}) })
				}
			}

			batch(t, n, whole...)
			for _, steps := range single {
				for _, s := range steps {
					batch(t, n, s)
				}
			}

			answers := map[bool][]string{}
			for kind, steps := range single {
				for _, s := range steps {
					answers[false] = append(answers[false], s.answer())
				}
				for _, s := range whole {
					if of := [3]bool{s.Settle.Token != "", s.Claim.Token != "", s.Look.Ref.Run != nil}; of[kind] {
						answers[true] = append(answers[true], s.answer())
					}
				}
			}

			if diff := cmp.Diff(answers[false], answers[true]); diff != "" {
				rt.Fatalf("answers (-one by one +batch):\n%s", diff)
			}
			if diff := cmp.Diff(everything(t, l, apart), everything(t, l, together)); diff != "" {
				rt.Fatalf("redis (-one by one +batch):\n%s", diff)
			}
		}
	})
}

// moments are what differs from one time to another.
var moments = regexp.MustCompile(`\b1\d{12}\b`)

// everything returns all that Redis has of a run, without moments.
func everything(t *testing.T, l *Ledger, run *Run) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, p := range run.Sizes {
		cells, err := l.Page(t.Context(), run, p.Part, 0)
		if err != nil {
			t.Fatal(err)
		}
		out[fmt.Sprintf("cells %d", p.Part)] = cells
	}

	for _, name := range []string{"counts", "claims", "late", "replies", "early", "record"} {
		all, err := l.rdb.HGetAll(t.Context(), l.runKey(run.ID, name)).Result()
		if err != nil {
			t.Fatal(err)
		}
		for field, value := range all {
			if value = moments.ReplaceAllString(value, "T"); value != run.Attempt && (name != "counts" || value != "0") {
				out[name+" "+field] = value
			}
		}
	}

	return out
}

// New recipients are issued as a block, between others that are issued one by one.
func TestIssueOfABlockAmongOthers(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		run := newRun(t, l, "r", 30)
		n := line(t, l)
		for _, i := range []int{9, 21} {
			n.Step(t.Context(), claiming(Ref{run, 0, i}, fmt.Sprintf("w.%d", i)))
		}

		out, err := l.Issue(t.Context(), run, 0, 12, time.Minute, false, []int{8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 22, 25, 26, 27})
		if err != nil {
			t.Fatal(err)
		}

		if diff := cmp.Diff([]int{8, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20}, out.Indexes); diff != "" {
			t.Errorf("issued (-want +got):\n%s", diff)
		}
		if out, err = l.Issue(t.Context(), run, 0, 14, time.Minute, false, []int{22, 24, 25, 26}); err != nil || !cmp.Equal(out.Indexes, []int{22, 24}) {
			t.Errorf("with room for two more: %v, %v", out.Indexes, err)
		}
		// A worker died: they are looked at one by one.
		if out, err = l.Issue(t.Context(), run, 0, 14, time.Minute, true, []int{8, 10, 11, 12, 22}); err != nil || len(out.Indexes) != 5 {
			t.Errorf("by force: %v, %v", out.Indexes, err)
		}
		if got, want := states(t, l, run, 0), "........isiiiiiiiiiiisi.i....."; got != want {
			t.Errorf("cells %s, want %s", got, want)
		}

		tally, err := l.Counts(t.Context(), "r")
		if want := (campaign.Counts{campaign.Pending: 14, campaign.Issued: 14, campaign.Sending: 2}); err != nil || !cmp.Equal(tally.Counts, want) {
			t.Errorf("counts %v, %v; want %v", tally.Counts, err, want)
		}

		cells, err := l.Page(t.Context(), run, 0, 0)
		if err != nil || cells[8].When != cells[12].When || cells[12].When < time.Minute {
			t.Errorf("waits for a sign of life until %v and %v, %v", cells[8].When, cells[12].When, err)
		}
	})
}
