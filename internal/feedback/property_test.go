package feedback_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// acting are the classes of notices that change something.
var acting = []campaign.Class{
	campaign.ClassDelivered, campaign.ClassSoft, campaign.ClassHard, campaign.ClassBlocked, campaign.ClassComplaint, campaign.ClassUnsubscribed,
}

// Whatever notices come, in whatever order, by whatever roads, however often, and
// wherever the connection to Redis is cut or the process killed between: each kind
// counts once for each recipient, and who is suppressed is the same.
func TestRepeatsAndKillsChangeNothing(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const rounds = 40
	for round := range uint64(rounds) {
		random := rand.New(rand.NewPCG(round, 1))
		id := fmt.Sprintf("news-%d", round)
		o.rdb.FlushAll(t.Context())
		o.restart()
		o.complained.Store(0)
		run := o.run(t, id, begin.Add(time.Duration(round)*time.Hour), 20)

		var notices []campaign.Notice
		want := map[campaign.EventKind]int64{}
		bounced := map[int]bool{}
		hard := map[int]bool{}
		listed := map[string]bool{}
		for i := range 20 {
			for _, class := range acting {
				if random.IntN(3) > 0 {
					continue
				}
				for road := range 1 + random.IntN(3) {
					notices = append(notices, o.notice(id, class, i, (road+random.IntN(2))%3))
				}
				canonical := fmt.Sprintf("person%d@example.com", i)
				switch class {
				case campaign.ClassDelivered:
					want[campaign.EventDelivered]++
				case campaign.ClassBlocked:
					want[campaign.EventBlocked]++
				case campaign.ClassComplaint:
					want[campaign.EventComplained]++
					listed[canonical+" all"] = true
				case campaign.ClassUnsubscribed:
					want[campaign.EventUnsubscribed]++
					listed[canonical+" topic:news"] = true
				case campaign.ClassHard:
					hard[i] = true
					bounced[i] = true
					listed[canonical+" all"] = true
				case campaign.ClassSoft:
					bounced[i] = true
				}
			}
		}
		if len(bounced) > 0 {
			want[campaign.EventBounced] = int64(len(bounced))
		}

		notices = append(notices, notices[:len(notices)/2]...)
		random.Shuffle(len(notices), func(i, k int) { notices[i], notices[k] = notices[k], notices[i] })
		for some := range slices.Chunk(notices, 1+random.IntN(20)) {
			o.insist(t, random, some)
		}

		if diff := gocmp.Diff(want, o.after(t, id), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("round %d: counts (-want +got):\n%s", round, diff)
		}
		got := map[string]bool{}
		for i := range 20 {
			results, err := o.list.Check(t.Context(), person(i))
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if r.Suppressed {
					got[r.Address+" "+r.Entry.Scope] = true
				}
			}
		}
		if diff := gocmp.Diff(listed, got); diff != "" {
			t.Errorf("round %d: suppressed (-want +got):\n%s", round, diff)
		}
		if n := o.complained.Load(); n > want[campaign.EventComplained] {
			t.Errorf("round %d: %d complaints were told, want at most %d", round, n, want[campaign.EventComplained])
		}
		o.checkStates(t, round, run, notices, hard)
	}
	if o.failed < rounds {
		t.Errorf("the connection was cut %d times in %d rounds", o.failed, rounds)
	}
}

// notice makes a notice about a recipient, by one of three roads.
func (o *office) notice(run string, class campaign.Class, i, road int) campaign.Notice {
	n := campaign.Notice{Class: class, Reply: "a reply", Source: "mailbox"}
	n.ID = fmt.Sprintf("%s-%s-%d-%d", run, class, i, road)
	switch road {
	case 0:
		n.Returned = []string{o.keys.Message(run, 0, i)}
	case 1:
		n.Quoted = []string{o.keys.Message(run, 0, i)}
		n.Recipient = person(i)
	case 2:
		n.Source = "hook:ses"
		n.Signed = true
		n.Recipient = person(i)
		n.Topic = "news"
		n.ID = "" // it is not recognised when it comes again
	}
	return n
}

// insist records notices until that succeeds, with cuts on the way. Most of the time
// another process does it then.
func (o *office) insist(t *testing.T, random *rand.Rand, notices []campaign.Notice) {
	t.Helper()
	for range random.IntN(3) {
		o.cuts.next(random.Int64N(8), random.IntN(2) == 0)
		if err := o.Record(t.Context(), notices); err != nil { // they come again
			o.failed++
		}
		o.cuts.armed.Store(false)
		if random.IntN(3) > 0 {
			o.restart()
		}
	}
	o.record(t, notices...)
}

// checkStates looks at what became of the the uncertain recipients.
func (o *office) checkStates(t *testing.T, round uint64, run *ledger.Run, notices []campaign.Notice, hard map[int]bool) {
	t.Helper()
	told := map[int]bool{}
	for _, n := range notices {
		for i := range 20 {
			if slices.Contains(n.Returned, o.keys.Message(run.ID, 0, i)) || n.Recipient == person(i) {
				told[i] = true
			}
		}
	}
	cells, err := o.ledger.Page(t.Context(), run, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range cells {
		ok := c.State == campaign.Accepted
		if i%10 == 9 {
			ok = c.State == campaign.Uncertain && !told[i] || c.State == campaign.Accepted && told[i] || c.State == campaign.Bounced && hard[i]
		}
		if !ok {
			t.Errorf("round %d: recipient %d is %s", round, i, c.State)
		}
	}
}
