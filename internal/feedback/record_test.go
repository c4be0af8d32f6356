package feedback_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/feedback"
	"broadside/internal/store"
	"broadside/internal/testkit"
)

// begin is when the runs of tests were made: long enough ago for all that came back.
var begin = time.Now().Add(-20 * 24 * time.Hour).Truncate(time.Second)

// An office is a recorder on a real Redis, with runs that it is told about.
type office struct {
	*feedback.Recorder
	rdb, shaky *redis.Client // shaky: with cuts
	list       *suppression.Store
	ledger     *ledger.Ledger
	journal    *feedback.Journal
	keys       *token.Keys
	log        *testkit.Log
	complained atomic.Int64
	announcer  feedback.Announcer
	judge      func(campaign.Notice) (campaign.Class, string, int) // nil: a notice is what it claims
	cuts       *cuts
	failed     int // calls of Record that were cut off
	soft       int // messages that come back until an address is suppressed
}

func newOffice(t testing.TB) *office {
	t.Helper()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	o := &office{rdb: redis.NewClient(opt), log: &testkit.Log{}, cuts: &cuts{}, soft: 3}
	t.Cleanup(func() { o.rdb.Close() })
	if o.keys, err = token.NewKeys([]string{"32 bytes of a secret for the tests"}); err != nil {
		t.Fatal(err)
	}

	o.shaky = redis.NewClient(opt)
	t.Cleanup(func() { o.shaky.Close() })
	o.shaky.AddHook(o.cuts)
	o.list = suppression.New(o.rdb, "bs", redis.NewScript)
	o.ledger = ledger.New(o.rdb, "bs", redis.NewScript)
	o.journal = feedback.NewJournal(o.rdb, "bs", redis.NewScript)
	o.restart()
	return o
}

// restart makes a new recorder, as a process that was killed does.
func (o *office) restart() {
	o.Recorder = feedback.New(feedback.Config{
		Suppression: suppression.New(o.shaky, "bs", redis.NewScript),
		Ledger:      ledger.New(o.shaky, "bs", redis.NewScript),
		Journal:     feedback.NewJournal(o.shaky, "bs", redis.NewScript),
		Keys:        o.keys,
		Judge:       o.judge,
		Soft:        suppression.SoftLimit{Messages: o.soft, Within: 30 * 24 * time.Hour},
		Complained:  func(context.Context, string) error { o.complained.Add(1); return nil },
		Announcer:   o.announcer, Marks: ledger.New(o.shaky, "bs", redis.NewScript),
		Log: slog.New(slog.NewTextHandler(o.log, nil)),
	})
}

// person is the address of recipient i of every run.
func person(i int) string { return fmt.Sprintf("Person%d@example.com", i) }

// run makes a run whose recipients, all of part 0, are accepted but for every tenth, of
// which nothing is known.
func (o *office) run(t testing.TB, id string, created time.Time, people int) *ledger.Run {
	t.Helper()
	ctx := t.Context()
	made, err := o.ledger.Create(ctx, ledger.NewRun{
		ID: id, Campaign: "news", Topic: "news", Accounts: []string{"main"}, Created: created,
		Retry: []time.Duration{time.Hour}, MaxAttempts: 3, ExpiresAfter: 48 * time.Hour,
	})
	if err != nil || !made {
		t.Fatalf("create: %v, %v", made, err)
	}

	e := o.ledger.Expand(id)
	if err := e.Content(ctx, campaign.Snapshot{Campaign: "news"}); err != nil {
		t.Fatal(err)
	}
	for first := 0; first < people; first += audience.ChunkSize {
		var rows []audience.Row
		for i := first; i < min(people, first+audience.ChunkSize); i++ {
			a, err := address.Parse(person(i))
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, audience.Row{Address: a, Line: i + 1})
		}
		chunk := ledger.Chunk{Data: audience.EncodeChunk(nil, rows), Suppressed: make([]bool, len(rows))}
		if err := e.Add(ctx, chunk); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Ready(ctx, campaign.Skipped{}); err != nil {
		t.Fatal(err)
	}

	// What a worker would have written.
	cells := make([]byte, 0, 5*people)
	for i := range people {
		state := campaign.Accepted
		if i%10 == 9 {
			state = campaign.Uncertain
		}
		cells = append(cells, byte(state), 0x10, 0, 0, 0)
	}
	rec, err := o.ledger.Record(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	o.rdb.SetRange(ctx, "bs:{run:"+id+"}:"+rec.Attempt+":cells:0", 0, string(cells))
	return rec.Handle()
}

func (o *office) record(t testing.TB, notices ...campaign.Notice) {
	t.Helper()
	if err := o.Record(t.Context(), notices); err != nil {
		t.Fatalf("Record: %v", err)
	}
}

// listed returns the reasons and scopes for which addresses are on the list.
func (o *office) listed(t testing.TB, addresses ...string) []string {
	t.Helper()
	results, err := o.list.Check(t.Context(), addresses...)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range results {
		if r.Suppressed {
			out = append(out, r.Address+" "+r.Entry.Reason+" "+r.Entry.Scope)
		}
	}
	return out
}

func (o *office) after(t testing.TB, run string) map[campaign.EventKind]int64 {
	t.Helper()
	tally, err := o.ledger.Counts(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	return tally.After
}

// cuts fails commands to Redis: before they reach it, or before their answer comes
// back.
type cuts struct {
	left   atomic.Int64 // commands until the cut; below zero: none
	armed  atomic.Bool
	behind atomic.Bool // the command reaches Redis
}

var errCut = errors.New("the connection was cut")

// next arms a cut at the n-th command from now.
func (c *cuts) next(n int64, behind bool) {
	c.left.Store(n)
	c.behind.Store(behind)
	c.armed.Store(true)
}

func (c *cuts) cut(do func() error) error {
	if !c.armed.Load() || c.left.Add(-1) >= 0 {
		return do()
	}
	if c.behind.Load() {
		_ = do()
	}
	return errCut
}

func (c *cuts) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (c *cuts) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := c.cut(func() error { return next(ctx, cmd) })
		if errors.Is(err, errCut) {
			cmd.SetErr(err)
		}
		return err
	}
}

func (c *cuts) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := c.cut(func() error { return next(ctx, cmds) })
		if errors.Is(err, errCut) {
			for _, cmd := range cmds {
				cmd.SetErr(err)
			}
		}
		return err
	}
}

func TestWhatProvesAndWhatDoesNot(t *testing.T) {
	t.Parallel()
	const run = "news-1"
	o := newOffice(t)
	o.run(t, run, begin, 50)
	hard := func(i int, change func(*campaign.Notice)) campaign.Notice {
		n := campaign.Notice{Source: "mailbox", Class: campaign.ClassHard, Recipient: person(i), Status: "5.1.1", Reply: "550 5.1.1 <Ann@example.com> is unknown"}
		change(&n)
		return n
	}
	returned := func(i int) []string { return []string{strings.ToUpper(o.keys.Message(run, 0, i))} }
	link := func(i int) []string {
		return []string{o.keys.Seal(token.Unsubscribe{Topic: "news", Run: run, Address: person(i)})}
	}
	for _, tt := range []struct {
		name    string
		notice  campaign.Notice
		listed  []string
		counted bool
	}{
		{"returned to the token", hard(1, func(n *campaign.Notice) { n.Returned = returned(1) }), []string{"person1@example.com bounce all"}, true},
		{"returned, another address", hard(40, func(n *campaign.Notice) { n.Returned = returned(2) }), []string{"person2@example.com bounce all"}, true},
		{"returned, no address", hard(0, func(n *campaign.Notice) { n.Recipient, n.Returned = "", returned(3) }), []string{"person3@example.com bounce all"}, true},
		{"quoted", hard(4, func(n *campaign.Notice) { n.Quoted = returned(4) }), []string{"person4@example.com bounce all"}, true},
		{"quoted, no address", hard(0, func(n *campaign.Notice) { n.Recipient, n.Quoted = "", returned(5) }), []string{"person5@example.com bounce all"}, true},
		{"quoted, another address", hard(41, func(n *campaign.Notice) { n.Quoted = returned(6) }), nil, true},
		{"link", hard(7, func(n *campaign.Notice) { n.Links = link(7) }), []string{"person7@example.com bounce all"}, true},
		{"link, another address", hard(42, func(n *campaign.Notice) { n.Links = link(8) }), nil, true},
		{"link of a test message", hard(10, func(n *campaign.Notice) {
			n.Links = []string{o.keys.Seal(token.Unsubscribe{Run: run, Address: person(10), Test: true})}
		}), nil, false},
		{"signed", hard(11, func(n *campaign.Notice) { n.Signed = true }), []string{"person11@example.com bounce all"}, true},
		{"signed, not a recipient", hard(777, func(n *campaign.Notice) { n.Signed = true }), []string{"person777@example.com bounce all"}, false},
		{"signed, not an address", hard(0, func(n *campaign.Notice) { n.Signed, n.Recipient = true, "nobody" }), nil, false},
		{"nothing", hard(12, func(*campaign.Notice) {}), nil, false},
		{"forged token", hard(13, func(n *campaign.Notice) { n.Returned = []string{strings.Repeat("a", 40)} }), nil, false},
		{"token of a recipient that the run does not have", hard(14, func(n *campaign.Notice) { n.Returned = returned(50) }), nil, false},
		{"token of a run that is gone", hard(15, func(n *campaign.Notice) { n.Returned = []string{o.keys.Message("gone", 0, 1)} }), nil, false},
		{"link of a run that is gone", hard(16, func(n *campaign.Notice) {
			n.Links = []string{o.keys.Seal(token.Unsubscribe{Run: "gone", Address: person(16)})}
		}), []string{"person16@example.com bounce all"}, false},
		{"blocked", hard(17, func(n *campaign.Notice) { n.Class, n.Returned = campaign.ClassBlocked, returned(17) }), nil, true},
		{"delayed", hard(18, func(n *campaign.Notice) { n.Class, n.Returned = campaign.ClassDelayed, returned(18) }), nil, false},
		{"delivered", hard(20, func(n *campaign.Notice) { n.Class, n.Returned = campaign.ClassDelivered, returned(20) }), nil, true},
		{"complaint", hard(21, func(n *campaign.Notice) { n.Class, n.Returned = campaign.ClassComplaint, returned(21) }), []string{"person21@example.com complaint all"}, true},
		{"unsubscribed by mail", hard(22, func(n *campaign.Notice) { n.Class, n.Returned = campaign.ClassUnsubscribed, returned(22) }), []string{"person22@example.com unsubscribe topic:news"}, true},
		{"unsubscribed at the provider", hard(23, func(n *campaign.Notice) { n.Class, n.Signed = campaign.ClassUnsubscribed, true }), []string{"person23@example.com unsubscribe all"}, true},
		{"a vacation", hard(24, func(n *campaign.Notice) { n.Class, n.Returned = campaign.ClassAutoReply, returned(24) }), nil, false},
	} {
		// One after the other: the counts are those of the run.
		sum := func() (n int64) {
			for _, count := range o.after(t, run) {
				n += count
			}
			return n
		}
		before := sum()
		beforeListed := everybody(t, o)
		o.record(t, tt.notice)
		o.record(t, tt.notice)
		counted := int64(0)
		if tt.counted {
			counted = 1
		}
		if got := sum() - before; got != counted {
			t.Errorf("%s: counted %d times, want %d", tt.name, got, counted)
		}
		if diff := gocmp.Diff(tt.listed, without(everybody(t, o), beforeListed)); diff != "" {
			t.Errorf("%s: suppressed (-want +got):\n%s", tt.name, diff)
		}
	}

	results, err := o.list.Check(t.Context(), person(1))
	if err != nil {
		t.Fatal(err)
	}
	if e := results[0].Entry; e.Evidence != "550 5.1.1 <(address)> is unknown" || e.Source != "mailbox" || e.Run != run {
		t.Errorf("entry: %+v", e)
	}
}

// everybody returns who is on the list.
func everybody(t *testing.T, o *office) []string {
	t.Helper()
	all := []string{person(777)}
	for i := range 50 {
		all = append(all, person(i))
	}
	return o.listed(t, all...)
}

func without(all, gone []string) []string {
	var out []string
	for _, a := range all {
		found := false
		for _, g := range gone {
			found = found || a == g
		}
		if !found {
			out = append(out, a)
		}
	}
	return out
}

// When the addresses of a run are not kept any more, a token alone does not tell whose
// address it was: every reader of one of our messages could name anybody.
func TestAfterTheAddressesAreGoneTheNamedOneNeedsProof(t *testing.T) {
	t.Parallel()
	const run = "news-1"
	o := newOffice(t)
	r := o.run(t, run, begin, 50)
	o.rdb.Del(t.Context(), "bs:{run:"+run+"}:"+r.Attempt+":chunks")
	token1 := []string{o.keys.Message(run, 0, 1)}
	for _, n := range []campaign.Notice{
		{Returned: token1, Recipient: "victim@example.com"},
		{Returned: []string{o.keys.Message(run, 0, 2)}},
		{Returned: []string{o.keys.Message(run, 0, 3)}, Recipient: person(3), Signed: true},
		{Returned: []string{o.keys.Message(run, 0, 4)}, Links: []string{o.keys.Seal(token.Unsubscribe{Run: run, Address: person(4)})}},
	} {
		n.Class = campaign.ClassHard
		o.record(t, n)
	}

	want := []string{"person3@example.com bounce all", "person4@example.com bounce all"}
	if diff := gocmp.Diff(want, o.listed(t, "victim@example.com", person(1), person(2), person(3), person(4))); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
	if got := o.after(t, run)[campaign.EventBounced]; got != 4 {
		t.Errorf("%d are counted, want 4", got)
	}
}

// An event that names no message is about the latest one that left to its address
// before it happened.
func TestASignedNoticeIsAboutTheLatestRun(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	const day = 24 * time.Hour
	o.run(t, "news-1", begin, 30)
	o.run(t, "news-2", begin.Add(day), 2500)
	third := o.run(t, "news-3", begin.Add(2*day), 20)
	o.rdb.SetRange(t.Context(), "bs:{run:news-3}:"+third.Attempt+":cells:0", 5*3, "x") // suppressed
	notice := func(i int, at time.Time) campaign.Notice {
		return campaign.Notice{Source: "hook:ses", Signed: true, Class: campaign.ClassBlocked, Recipient: strings.ToUpper(person(i)), At: at}
	}
	o.record(t,
		notice(1, begin.Add(3*day)), notice(3, begin.Add(3*day)), notice(25, begin.Add(3*day)), notice(2400, begin.Add(3*day)),
		notice(1, begin.Add(day/2)), notice(2, time.Time{}),
		notice(5000, time.Time{}), // no one's
	)
	for run, want := range map[string]int64{"news-1": 1, "news-2": 3, "news-3": 2} {
		if got := o.after(t, run)[campaign.EventBlocked]; got != want {
			t.Errorf("%s: %d are counted, want %d", run, got, want)
		}
	}
}

// Soft bounces suppress when they come again and again, and no sooner.
func TestSoftBouncesAddUp(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	soft := func(run string, class campaign.Class) campaign.Notice {
		return campaign.Notice{Source: "mailbox", Class: class, Reply: "452 mailbox is full", Returned: []string{o.keys.Message(run, 0, 1)}}
	}
	for i := range 5 {
		o.run(t, fmt.Sprintf("news-%d", i), begin.Add(time.Duration(i)*time.Hour), 5)
	}
	o.record(t, soft("news-0", campaign.ClassSoft), soft("news-0", campaign.ClassSoft))
	for range 5 {
		o.record(t, soft("news-1", campaign.ClassSoft), soft("news-1", campaign.ClassDelayed))
	}
	if got := o.listed(t, person(1)); got != nil {
		t.Errorf("two messages that came back suppress: %v", got)
	}

	o.record(t, soft("news-1", campaign.ClassDelivered))
	o.record(t, soft("news-2", campaign.ClassSoft))
	o.record(t, soft("news-3", campaign.ClassSoft))
	if got := o.listed(t, person(1)); got != nil {
		t.Errorf("two messages that came back after one arrived suppress: %v", got)
	}

	o.record(t, soft("news-4", campaign.ClassSoft))
	results, err := o.list.Check(t.Context(), person(1))
	if err != nil {
		t.Fatal(err)
	}
	e := results[0].Entry
	if e.Reason != suppression.ReasonBounce || e.Evidence != "3 messages within 30d came back, the last one with: 452 mailbox is full" {
		t.Errorf("entry: %+v", e)
	}
}

// dead returns what a bounce message of a run says about person i, some days after begin.
// The rules of these tests want it confirmed.
func (o *office) dead(run, i int, days float64) campaign.Notice {
	return campaign.Notice{
		Source: "mailbox", Class: campaign.ClassSoft, Reply: "550 5.2.1 This mailbox is disabled",
		At: begin.Add(time.Duration(days * 24 * float64(time.Hour))), Returned: []string{o.keys.Message(fmt.Sprintf("news-%d", run), 0, i)},
	}
}

func newConfirmingOffice(t *testing.T, runs int) *office {
	t.Helper()
	o := newOffice(t)
	o.judge = func(n campaign.Notice) (campaign.Class, string, int) { return n.Class, "g-disabled", 3 }
	o.soft = 20
	o.restart()
	for i := range runs {
		o.run(t, fmt.Sprintf("news-%d", i), begin.Add(-time.Hour), 40)
	}
	return o
}

// A reply that the rules want confirmed adds up, once for each message.
func TestMessagesConfirmADeadAddress(t *testing.T) {
	t.Parallel()
	o := newConfirmingOffice(t, 4)
	o.record(t, o.dead(0, 1, 0), o.dead(0, 1, 0))
	o.record(t, o.dead(0, 1, 1.5)) // the same message, told again later
	forged := o.dead(1, 1, 2)
	forged.Quoted, forged.Returned, forged.Recipient = forged.Returned, nil, person(2)
	o.record(t, forged)
	o.record(t, o.dead(1, 1, 2))
	a, err := address.Parse(person(1))
	if err != nil {
		t.Fatal(err)
	}
	signs, err := o.list.Signs(t.Context(), a.Canonical())
	if err != nil || signs.Confirmed != 2 || !signs.Last.Equal(o.dead(1, 1, 2).At) {
		t.Errorf("got %+v, %v; want 2 signs", signs, err)
	}
	if got := o.listed(t, person(1), person(2)); got != nil {
		t.Errorf("two signs of three suppress: %v", got)
	}

	o.record(t, o.dead(2, 1, 4))
	o.record(t, o.dead(2, 1, 4))
	if diff := gocmp.Diff([]string{"person1@example.com bounce all"}, o.listed(t, person(1), person(2))); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
	if got := o.after(t, "news-2")[campaign.EventBounced]; got != 1 {
		t.Errorf("%d are counted, want 1", got)
	}

	// When it was taken off the list, the count begins again.
	o.record(t, o.dead(0, 5, 0), o.dead(1, 5, 2))
	if _, err := o.list.Rm(t.Context(), person(1), person(5)); err != nil {
		t.Fatal(err)
	}
	o.record(t, o.dead(3, 1, 6), o.dead(2, 5, 4), o.dead(3, 5, 6))
	if got := o.listed(t, person(1), person(5)); got != nil {
		t.Errorf("two signs after the address was taken off suppress: %v", got)
	}
}

// A reader who has got a message can send back its link in the name of another address: that
// is no sign about either of the two, and the next true one is their first.
func TestALinkWithAnotherAddressConfirmsNothing(t *testing.T) {
	t.Parallel()
	o := newConfirmingOffice(t, 3)
	for run := range 2 {
		n := o.dead(run, 1, float64(2*run))
		n.Returned = nil
		n.Links = []string{o.keys.Seal(token.Unsubscribe{Run: fmt.Sprintf("news-%d", run), Address: person(1)})}
		n.Recipient = person(2)
		o.record(t, n)
	}
	o.record(t, o.dead(2, 1, 4))

	for i, want := range map[int]int{1: 1, 2: 0} {
		signs, err := o.list.Signs(t.Context(), person(i))
		if err != nil || signs.Confirmed != want {
			t.Errorf("%s: got %+v, %v; want %d signs", person(i), signs, err, want)
		}
	}
	if got := o.listed(t, person(1), person(2)); got != nil {
		t.Errorf("suppressed: %v", got)
	}
}

// The last sign is not lost where Redis goes away in the middle.
func TestTheLastSignOutlivesACut(t *testing.T) {
	t.Parallel()
	o := newConfirmingOffice(t, 3)
	of, cut := 0, 0
	for _, behind := range []bool{false, true} {
		for at := range int64(14) {
			of++
			o.record(t, o.dead(0, of, 0), o.dead(1, of, 2))
			o.cuts.next(at, behind)
			err := o.Record(t.Context(), []campaign.Notice{o.dead(2, of, 4)})
			o.cuts.armed.Store(false)
			if err != nil {
				cut++
				o.restart()
				o.record(t, o.dead(2, of, 4))
			}
			if got := o.listed(t, person(of)); len(got) != 1 {
				t.Errorf("cut at command %d (behind it: %t): suppressed %q, want an entry", at, behind, got)
			}
		}
	}
	if cut < 10 {
		t.Errorf("%d were cut off, want one at each command", cut)
	}
}

// What cannot be read of a run must not make its notices come again for ever.
func TestABrokenRunHoldsNothingUp(t *testing.T) {
	t.Parallel()
	const run = "news-1"
	o := newOffice(t)
	r := o.run(t, run, begin, 20)
	o.rdb.HSet(t.Context(), "bs:{run:"+run+"}:"+r.Attempt+":chunks", "0:0", "broken")
	o.run(t, "news-2", begin.Add(time.Hour), 20)
	o.rdb.Set(t.Context(), "bs:{run:news-2}:record", "broken", 0)
	for _, id := range []string{run, "news-2"} {
		o.record(t,
			campaign.Notice{Class: campaign.ClassHard, Returned: []string{o.keys.Message(id, 0, 1)}},
			campaign.Notice{Class: campaign.ClassHard, Signed: true, Recipient: person(2)},
		)
	}
	if diff := gocmp.Diff([]string{"person2@example.com bounce all"}, o.listed(t, person(1), person(2))); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
}

func TestRecordOnTheEmbeddedStore(t *testing.T) {
	t.Parallel()
	st, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	list := suppression.New(st.Client(), "bs", st.Lua)
	journal := feedback.NewJournal(st.Client(), "bs", st.Lua)
	r := feedback.New(feedback.Config{
		Suppression: list, Ledger: ledger.New(st.Client(), "bs", st.Lua), Journal: journal,
		Soft: suppression.SoftLimit{Messages: 2, Within: time.Hour}, Log: slog.New(slog.DiscardHandler),
	})
	n := campaign.Notice{ID: "1", Source: "hook:ses", Signed: true, Recipient: person(1)}
	for _, n.Class = range []campaign.Class{campaign.ClassSoft, campaign.ClassDelivered, campaign.ClassHard} {
		for range 2 {
			if err := r.Record(t.Context(), []campaign.Notice{n}); err != nil {
				t.Fatal(err)
			}
		}
	}
	results, err := list.Check(t.Context(), person(1))
	if err != nil || !results[0].Suppressed {
		t.Errorf("%+v, %v", results, err)
	}
	got, err := journal.Overview(t.Context())
	if err != nil || len(got.Roads) != 3 {
		t.Errorf("%+v, %v", got, err)
	}
}
