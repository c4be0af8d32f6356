package ledger

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"broadside/campaign"
)

// model is the ledger as the design's table has it, in memory. Time does not
// pass in it: a `when` is either reached or an hour away.
type model struct {
	state  campaign.RunState
	cells  []modelCell
	claims map[int]string
	late   map[int]string
	resend bool // on_uncertain: resend
	// The replies by which recipients were accepted, as far as they are known.
	receipts map[int]Reply
}

type modelCell struct {
	State      campaign.State
	Attempts   int
	Unanswered int
	Later      bool
	grey       bool
}

const modelAttempts = 3

func newModel(n int) *model {
	return &model{state: campaign.Running, cells: make([]modelCell, n), claims: map[int]string{}, late: map[int]string{}, receipts: map[int]Reply{}}
}

func (m *model) move(i int, to campaign.State, later bool) {
	if m.state == campaign.RunCancelled && (to == campaign.Pending || to == campaign.Deferred) {
		to = campaign.Cancelled
	}
	if (to == campaign.Cancelled || to == campaign.Suppressed) && m.doubtful(i) {
		to = campaign.Uncertain
	}

	m.cells[i].State = to
	m.cells[i].Later = later && !to.Final()
	open := m.open()
	if open == 0 && m.state == campaign.Running || open == 0 && m.state == campaign.Paused {
		m.state = campaign.Finished
	}
}

// doubtful tells whether an earlier try may have been accepted.
func (m *model) doubtful(i int) bool { return m.resend && m.late[i] != "" }

func (m *model) giveUp(i int) {
	if m.doubtful(i) {
		m.move(i, campaign.Uncertain, false)
	} else {
		m.move(i, campaign.Failed, false)
	}
}

func (m *model) doubt(i int, token string) {
	m.late[i] = token
	if m.resend && m.state != campaign.RunCancelled && m.cells[i].Attempts < modelAttempts {
		m.move(i, campaign.Deferred, true)
	} else {
		m.move(i, campaign.Uncertain, false)
	}
}

// lift applies what became known of a doubtful claim.
func (m *model) lift(i int, o Outcome) {
	delete(m.late, i)
	m.apply(i, o)
}

func (m *model) resolve(i int, o Outcome) bool {
	if m.cells[i].State != campaign.Uncertain {
		return false
	}
	m.lift(i, o)
	return true
}

func (m *model) reopen(list []int) (n int) {
	if m.state == campaign.Finished || m.state == campaign.RunCancelled {
		return 0
	}

	for _, i := range list {
		if m.cells[i].State != campaign.Failed {
			continue
		}
		m.cells[i].Attempts = max(0, m.cells[i].Attempts-1)
		m.move(i, campaign.Pending, false)
		n++
	}

	return n
}

func (m *model) open() (n int) {
	for _, c := range m.cells {
		if !c.State.Final() {
			n++
		}
	}
	return n
}

func (m *model) apply(i int, o Outcome) {
	c := &m.cells[i]
	if o.State == campaign.Accepted && o.Reply != (Reply{}) {
		m.receipts[i] = o.Reply
	}

	if o.State != campaign.Deferred {
		m.move(i, o.State, false)
		return
	}

	switch {
	case o.Greylisted && !c.grey:
		c.grey = true
		c.Attempts = max(0, c.Attempts-1)
		m.move(i, campaign.Deferred, true)
	case c.Attempts >= modelAttempts:
		m.giveUp(i)
	default:
		m.move(i, campaign.Deferred, true)
	}
}

func (m *model) claim(i int, token string) bool {
	c := &m.cells[i]
	if m.claims[i] == token {
		return true
	}
	if m.state != campaign.Running || c.State != campaign.Pending && c.State != campaign.Issued {
		return false
	}

	c.Attempts++
	c.Unanswered = 0
	m.claims[i] = token
	m.move(i, campaign.Sending, false)

	return true
}

func (m *model) settle(i int, token string, o Outcome) bool {
	c := &m.cells[i]
	if m.claims[i] == token && c.State == campaign.Sending {
		delete(m.claims, i)
		switch o.State {
		case campaign.Pending, campaign.Suppressed:
			c.Attempts--
			m.move(i, o.State, o.Delay > 0)
		case campaign.Uncertain:
			m.doubt(i, token)
		default:
			m.apply(i, o)
		}
		return true
	}

	liftable := c.State == campaign.Uncertain || !c.State.Final() && c.State != campaign.Sending
	if liftable && m.late[i] == token && (o.State == campaign.Accepted || o.State == campaign.Bounced) {
		m.lift(i, o)
		return true
	}

	return false
}

func (m *model) refuse(i int, o Outcome) bool {
	c := &m.cells[i]
	if c.State != campaign.Pending && c.State != campaign.Issued {
		return false
	}

	c.Unanswered = 0
	if o.State != campaign.Suppressed {
		c.Attempts++
	}

	m.apply(i, o)
	return true
}

func (m *model) issue(indexes []int, backlog int, force, late bool) (issued []int) {
	if m.state != campaign.Running {
		return nil
	}

	room := backlog
	for _, c := range m.cells {
		if c.State == campaign.Issued {
			room--
		}
	}

	for _, i := range indexes {
		c := &m.cells[i]
		switch c.State {
		case campaign.Pending, campaign.Deferred:
			if c.Later || room <= 0 {
				continue
			}
			room--
			c.Unanswered = 0
		case campaign.Issued:
			if c.Later && !force {
				continue
			}
			if !force {
				if c.Unanswered >= 7 {
					m.giveUp(i)
					continue
				}
				c.Unanswered++
			}
		default:
			continue
		}

		m.move(i, campaign.Issued, late)
		issued = append(issued, i)
	}

	return issued
}

func (m *model) counts() map[campaign.State]int64 {
	n := map[campaign.State]int64{}
	for _, c := range m.cells {
		n[c.State]++
	}
	return n
}

// TestLedgerAgreesWithTheModel lets random operations of several workers run
// against the Lua and the model, and compares everything after each.
func TestLedgerAgreesWithTheModel(t *testing.T) {
	everywhere(t, func(t *testing.T, l *Ledger) {
		n := line(t, l)
		runs := 0
		rapid.Check(t, func(rt *rapid.T) {
			runs++
			const size = 6
			run := newRun(t, l, "r"+strconv.Itoa(runs), size)
			m := newModel(size)
			ctx := context.Background()
			m.resend = rapid.Bool().Draw(rt, "resend")
			if m.resend {
				if err := l.rdb.HSet(ctx, l.keys(run, 0)[0], "on_uncertain", "resend").Err(); err != nil {
					rt.Fatal(err)
				}
			}

			tokens := []string{"w1.1", "w1.2", "w2.1"}
			index := rapid.IntRange(0, size-1)
			reply := rapid.SampledFrom([]Reply{
				{},
				{Code: 250, Account: "relay"},
				{Code: 250, Enhanced: "2.0.0", Account: "relay", Text: "2.0.0 Ok: queued as 4Bxyz3lzPQz1Rk"},
				{Code: 250, Enhanced: "2.0.0", Account: "other", Text: "2.0.0 Ok: queued as 4BxyzxlzPQz1Rk"},
			})
			outcome := rapid.Custom(func(t *rapid.T) Outcome {
				return Outcome{
					State: rapid.SampledFrom([]campaign.State{
						campaign.Accepted, campaign.Deferred, campaign.Bounced, campaign.Failed,
						campaign.Uncertain, campaign.Suppressed, campaign.Pending,
					}).Draw(t, "state"),
					Greylisted: rapid.Bool().Draw(t, "greylisted"),
					Delay:      rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(t, "delay"),
					Reply:      reply.Draw(t, "reply"),
				}
			})
			same := func(what string, want, got any) {
				if diff := cmp.Diff(want, got); diff != "" {
					rt.Fatalf("%s (-model +ledger):\n%s", what, diff)
				}
			}
			ok := func(err error) {
				if err != nil {
					rt.Fatal(err)
				}
			}
			rt.Repeat(map[string]func(*rapid.T){
				"issue": func(rt *rapid.T) {
					from := index.Draw(rt, "from")
					backlog := rapid.IntRange(0, size).Draw(rt, "backlog")
					force := rapid.Bool().Draw(rt, "force")
					late := rapid.Bool().Draw(rt, "late")
					var list []int
					for i := from; i < size; i++ {
						list = append(list, i)
					}

					hold := time.Duration(0)
					if late {
						hold = time.Hour
					}

					is, err := l.Issue(ctx, run, 0, backlog, hold, force, list)
					ok(err)
					same("issued", m.issue(list, backlog, force, late), is.Indexes)
				},
				"claim": func(rt *rapid.T) {
					i := index.Draw(rt, "i")
					token := rapid.SampledFrom(tokens).Draw(rt, "token")
					c, err := n.Claim(ctx, Ref{run, 0, i}, token, SuppressionKey{})
					ok(err)
					same("claim held", m.claim(i, token), c.Held)
				},
				"settle": func(rt *rapid.T) {
					i := index.Draw(rt, "i")
					token := rapid.SampledFrom(tokens).Draw(rt, "token")
					o := outcome.Draw(rt, "outcome")
					got, err := n.Settle(ctx, Ref{run, 0, i}, token, o)
					ok(err)
					same("settle applied", m.settle(i, token, o), got)
				},
				"refuse": func(rt *rapid.T) {
					i := index.Draw(rt, "i")
					o := outcome.Draw(rt, "outcome")
					if o.State == campaign.Pending || o.State == campaign.Uncertain || o.State == campaign.Accepted {
						return
					}
					got, err := n.Refuse(ctx, Ref{run, 0, i}, o)
					ok(err)
					same("refuse applied", m.refuse(i, o), got)
				},
				"giveback": func(rt *rapid.T) {
					i := index.Draw(rt, "i")
					delay := rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(rt, "delay")
					ok(n.GiveBack(ctx, run, 0, []int{i}, delay))
					if m.cells[i].State == campaign.Issued {
						m.cells[i].Unanswered = 0
						m.move(i, campaign.Pending, delay > 0)
					}
				},
				"resolve": func(rt *rapid.T) {
					i := index.Draw(rt, "i")
					to := rapid.SampledFrom([]campaign.State{campaign.Accepted, campaign.Bounced}).Draw(rt, "to")
					o := Outcome{State: to, Reply: reply.Draw(rt, "reply")}
					got, err := l.Resolve(ctx, Ref{run, 0, i}, o.State, o.Reply)
					ok(err)
					same("resolved", m.resolve(i, o), got)
				},
				"reopen": func(rt *rapid.T) {
					list := []int{index.Draw(rt, "i"), index.Draw(rt, "j")}
					got, err := l.Reopen(ctx, run, 0, list)
					ok(err)
					same("reopened", m.reopen(list), got)
				},
				"pause": func(*rapid.T) {
					_, err := l.Turn(ctx, run.ID, campaign.Paused, "", campaign.Running)
					ok(err)
					if m.state == campaign.Running {
						m.state = campaign.Paused
					}
				},
				"resume": func(*rapid.T) {
					_, err := l.Turn(ctx, run.ID, campaign.Running, "", campaign.Paused)
					ok(err)
					if m.state == campaign.Paused {
						m.state = campaign.Running
					}
				},
				"cancel": func(rt *rapid.T) {
					if rapid.IntRange(0, 9).Draw(rt, "seldom") > 0 {
						return
					}

					_, err := l.Turn(ctx, run.ID, campaign.RunCancelled, "", campaign.Running, campaign.Paused)
					ok(err)
					if m.state == campaign.Running || m.state == campaign.Paused {
						m.state = campaign.RunCancelled
					}

					ok(l.Sweep(ctx, run))
					if m.state == campaign.RunCancelled {
						for i, c := range m.cells {
							if !c.State.Final() && c.State != campaign.Sending {
								m.move(i, campaign.Cancelled, false)
							}
						}
					}
				},
				"": func(*rapid.T) { compare(ctx, l, run, m, same, ok) },
			})
		})
	})
}

// compare holds cells, counters, claims, receipts and the run's state against
// the model.
func compare(ctx context.Context, l *Ledger, run *Run, m *model, same func(string, any, any), ok func(error)) {
	cells, err := l.Page(ctx, run, 0, 0)
	ok(err)
	var want, got []string
	for i, c := range cells {
		w := m.cells[i]
		want = append(want, fmt.Sprint(w.State, w.Attempts, w.Unanswered, w.Later))
		got = append(got, fmt.Sprint(c.State, c.Attempts, c.Unanswered, c.When > 5*time.Minute))
	}

	same("cells", want, got)
	tally, err := l.Counts(ctx, run.ID)
	ok(err)
	maps.DeleteFunc(tally.Counts, func(_ campaign.State, n int64) bool { return n == 0 })
	same("counts", m.counts(), map[campaign.State]int64(tally.Counts))
	rec, err := l.Record(ctx, run.ID)
	ok(err)
	same("run state", m.state, rec.State)
	same("finished", m.open() == 0, !rec.Finished.IsZero())
	claims, err := l.Claims(ctx, run)
	ok(err)
	held := map[int]string{}
	for at, token := range claims {
		held[at[1]] = token
	}

	same("claims", m.claims, held)
	kept, err := l.Receipts(ctx, run)
	ok(err)
	receipts := map[int]Reply{}
	for i := range cells {
		if last, ok := kept.Of(0, i); ok {
			receipts[i] = last.Reply
		}
	}

	same("receipts", m.receipts, receipts)
	stored, err := l.rdb.LLen(ctx, l.receiptsKey(run)).Result()
	ok(err)
	same("stored receipts", len(m.receipts), int(stored))
	open, err := l.rdb.HGet(ctx, l.runKey(run.ID, "counts"), "open").Int()
	ok(err)
	same("open", m.open(), open)
}
