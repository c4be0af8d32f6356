package sender

import (
	"context"
	"encoding/json"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/internal/sink"
	"broadside/internal/testkit"
	"broadside/sender/smtppool"
	"broadside/throttle"
)

// suppressionAnswers answers the questions about suppression in their order: before the
// envelope, then with the claim.
type suppressionAnswers struct {
	n      atomic.Int64
	answer func(n int64) bool
}

func (l *suppressionAnswers) Queue(context.Context, redis.Pipeliner) func(string, [16]byte, string) func() (bool, error) {
	return func(string, [16]byte, string) func() (bool, error) {
		return func() (bool, error) { return l.answer(l.n.Add(1)), nil }
	}
}

// newRedis starts a Redis of the test's own.
func newRedis(t *testing.T) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// A fixture is a worker with its recipients, a real Redis and a real sink.
type fixture struct {
	t      *testing.T
	ledger *ledger.Ledger
	run    *ledger.Run
	sink   *sink.Sink
	supp   *suppression.Store
	rdb    *redis.Client
	to     []string
	lua    func(string) *redis.Script
	worker *Worker
	making func(*ledger.NewRun) // nil: nothing
	alter  func(*Config)        // of the worker; nil: nothing
}

func newFixture(t *testing.T, to ...string) *fixture {
	t.Helper()
	received, err := sink.Listen("127.0.0.1:0", sink.Config{})
	if err != nil {
		t.Fatal(err)
	}

	b := &fixture{t: t, rdb: newRedis(t), lua: redis.NewScript, sink: received}

	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { b.sink.Serve(ctx) })
	t.Cleanup(func() { stop(); serving.Wait() })
	b.ledger = ledger.New(b.rdb, "bs", b.lua)
	b.supp = suppression.New(b.rdb, "bs", b.lua)
	b.to = to
	b.expand()
	return b
}

func (b *fixture) expand() {
	b.t.Helper()
	ctx := b.t.Context()
	must := func(err error) {
		b.t.Helper()
		if err != nil {
			b.t.Fatal(err)
		}
	}
	made := ledger.NewRun{
		ID: "news-1", Campaign: "news", Topic: "news", Created: time.Now(), Retry: campaign.DefaultRetry,
		MaxAttempts: 3, ExpiresAfter: time.Hour, Accounts: []string{"sink"},
	}
	if b.making != nil {
		b.making(&made)
	}
	_, err := b.ledger.Create(ctx, made)
	must(err)
	e := b.ledger.Expand("news-1")
	must(e.Content(ctx, campaign.Snapshot{
		Campaign: "news", Topic: "news", TopicName: "News", From: "News <news@acme.example>", Subject: "Hello {{.email}}",
		Markdown: "Some news.", BodyFile: "letter.md", Layout: "plain", Postal: "Acme", PublicURL: "https://news.acme.example",
		Columns: []string{"email"}, Accounts: []string{"sink"},
	}))
	var rows []audience.Row
	for i, to := range b.to {
		a, err := address.Parse(to)
		must(err)
		rows = append(rows, audience.Row{Line: i + 2, Address: a, Values: []string{to}})
	}

	for chunk := range slices.Chunk(rows, audience.ChunkSize) {
		must(e.Add(ctx, ledger.Chunk{Part: b.part(), Data: audience.EncodeChunk(nil, chunk), Suppressed: make([]bool, len(chunk))}))
	}
	must(e.Ready(ctx, campaign.Skipped{}))
	rec, err := b.ledger.Record(ctx, "news-1")
	must(err)
	b.run = rec.Handle()
}

// part is that of the recipients, who are at one provider.
func (b *fixture) part() int {
	_, domain, _ := strings.Cut(b.to[0], "@")
	return campaign.PartOf(domain)
}

// work lets a worker have the recipient's task until done says that it has
// seen enough of the counts.
func (b *fixture) work(supp ledger.Suppressions, done func(campaign.Counts) bool) campaign.Counts {
	b.t.Helper()
	defer b.start(supp)()
	var counts campaign.Counts
	for range testkit.Tries(time.Minute) {
		tally, err := b.ledger.Counts(context.Background(), "news-1")
		if err != nil {
			b.t.Fatal(err)
		}
		if counts = tally.Counts; done(counts) {
			return counts
		}
	}

	text, _ := json.Marshal(counts)
	b.t.Fatalf("counts %s", text)
	return counts
}

// start starts a worker that has the recipients' tasks, and returns what stops it.
func (b *fixture) start(supp ledger.Suppressions) (stop func()) {
	b.t.Helper()
	nothing := func(context.Context, string) error { return nil }
	member, err := b.ledger.Join(b.t.Context(), ledger.MemberConfig{
		Server: func(context.Context) (string, time.Duration, error) { return "one", time.Hour, nil },
		OnDead: nothing, OnReset: nothing, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.t.Fatal(err)
	}

	line := b.ledger.Line(b.rdb, supp)
	lineCtx, stopLine := context.WithCancel(context.Background())
	lineDone := make(chan error, 1)
	go func() { lineDone <- line.Run(lineCtx) }()
	keys, err := token.NewKeys([]string{"0123456789abcdef0123456789abcdef"})
	if err != nil {
		b.t.Fatal(err)
	}

	smtp := smtppool.Config{Account: "sink", TLS: "none"}
	if b.sink != nil {
		host, port, _ := net.SplitHostPort(b.sink.Addr().String())
		smtp.Host = host
		smtp.Port, _ = strconv.Atoi(port)
	}
	cfg := Config{
		Ledger: b.ledger, Line: line, Member: member, Suppression: b.supp, Keys: keys,
		Pacer:    throttle.New(b.rdb, "bs", b.lua, nil),
		Conns:    throttle.NewConns(b.rdb, "bs", b.lua),
		Accounts: throttle.NewAccounts(b.rdb, "bs", "here", b.lua),
		Lanes:    throttle.NewLanes(b.rdb, "bs", b.lua),
		Ways:     []AccountConfig{{Name: "sink", Connections: 1, SMTP: smtp}},
		Tasks: func(ctx context.Context, handle func(context.Context, campaign.Task)) error {
			for i := range b.to {
				handle(ctx, campaign.Task{Run: "news-1", Index: i})
			}
			<-ctx.Done()
			return nil
		},
		Drain: time.Second, Log: slog.New(slog.DiscardHandler),
	}
	if b.alter != nil {
		b.alter(&cfg)
	}

	b.worker = New(cfg)
	ctx, end := context.WithCancel(context.Background())
	worked := make(chan error, 1)
	go func() { worked <- b.worker.Run(ctx) }()
	return func() {
		end()
		if err := <-worked; err != nil {
			b.t.Error(err)
		}
		stopLine()
		<-lineDone
	}
}

func TestAMessageIsSentAndSettled(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == 1 })
	if got := b.sink.Counts(); got.Accepted != 1 {
		t.Errorf("sink %+v", got)
	}
}

func TestABadAddressIsSuppressedForTheNextCampaign(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "bounce@example.org")
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Bounced] == 1 })
	found, err := b.supp.Check(t.Context(), "bounce@example.org")
	if err != nil {
		t.Fatal(err)
	}
	text, _ := json.Marshal(found)
	if len(found) != 1 || !found[0].Suppressed || found[0].Entry.Reason != suppression.ReasonBounce || found[0].Entry.Run != "news-1" {
		t.Errorf("suppression %s", text)
	}
}

// An unsubscribe that comes between the look before the envelope and the claim
// keeps the body back (promise 4).
func TestADomainSuppressedBeforeTheClaimKeepsTheBodyBack(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	b.issue()
	j := &scriptedServer{}
	b.stepByStep(j, b.supp, func(h *stepper) {
		// The process has seen that there was none.
		if got, err := b.supp.Suppressed(t.Context(), "news", []suppression.Person{{Domain: "example.org"}}); err != nil || got[0] {
			t.Fatalf("suppressed before: %v, %v", got, err)
		}
		if _, err := suppression.New(b.rdb, "bs", redis.NewScript).Add(t.Context(), suppression.Entry{Domain: "example.org"}); err != nil {
			t.Fatal(err)
		}
		for len(h.waiting()) > 0 || h.d.current != nil {
			h.deliver(t.Context())
		}
	})
	if cells := b.cells(); !strings.HasPrefix(cells["ada@example.org"], "x") {
		t.Errorf("cells: got %v, want suppressed", cells)
	}
}

func TestASuppressionFoundWithTheClaimKeepsTheBodyBack(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	b.work(&suppressionAnswers{answer: func(int64) bool { return true }}, func(c campaign.Counts) bool { return c[campaign.Suppressed] == 1 })
	if got := b.sink.Counts(); got.Accepted != 0 || got.Connections != 1 {
		t.Errorf("sink %+v: a message for a recipient that has unsubscribed", got)
	}
}

// A twin that is faster between the look and the claim keeps the body back
// (promise 1), and the twin's claim is left alone.
func TestATwinsClaimKeepsTheBodyBack(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	twin := b.ledger.Line(b.rdb, b.supp)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- twin.Run(ctx) }()
	defer func() { stop(); <-ended }()
	ref := ledger.Ref{Run: b.run}
	asked := make(chan struct{})
	b.alter = func(cfg *Config) {
		cfg.Ways[0].SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if c, err := twin.Claim(ctx, ref, "twin.1", ledger.SuppressionKey{Topic: "news"}); err != nil || !c.Held {
				t.Errorf("twin's claim: %+v, %v", c, err)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	l := &suppressionAnswers{answer: func(int64) bool { close(asked); return false }}
	b.work(l, func(c campaign.Counts) bool {
		select {
		case <-asked:
			return c[campaign.Sending] == 1
		default:
			return false
		}
	})
	if got := b.sink.Counts(); got.Accepted != 0 {
		t.Errorf("sink %+v: two could have sent", got)
	}

	claims, err := b.ledger.Claims(t.Context(), b.run)
	if err != nil || claims[[2]int{}] != "twin.1" {
		t.Errorf("claims %v, %v", claims, err)
	}
}

// The connection takes longer than the pace expects, and the next slot of the
// limit would come after the claim has ended.
func TestABodyLateForItsSlotDoesNotWaitForTheNextOfASlowLimit(t *testing.T) {
	t.Parallel()
	b := newFixture(t, "ada@example.org")
	b.alter = func(cfg *Config) {
		cfg.Ways[0].Rate = 3.0 / 60
		cfg.Ways[0].SMTP.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			sleep(ctx, 300*time.Millisecond)
			return new(net.Dialer).DialContext(ctx, network, addr)
		}
	}
	b.work(b.supp, func(c campaign.Counts) bool { return c[campaign.Accepted] == 1 })
}
