package outgoing

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/hooks"
	"broadside/internal/queue"
	"broadside/internal/testkit"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = configs.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

func dial(t testing.TB) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opt)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// A request is one that a crm has got.
type request struct {
	id, timestamp string
	body          string
	verified      bool // by what verifies /hooks/generic
}

// A crm is a receiver. It answers what answer says, 200 without it.
type crm struct {
	*httptest.Server
	answer func(w http.ResponseWriter, r *http.Request)

	mu   sync.Mutex
	got  []request
	news chan struct{}
}

// nobody takes notices that were verified.
type nobody struct{}

func (nobody) Record(context.Context, []campaign.Notice) error { return nil }

func newCRM(t testing.TB, answer func(w http.ResponseWriter, r *http.Request)) *crm {
	t.Helper()
	verifier, err := hooks.New(hooks.Config{
		Hooks: configs.Hooks{Generic: &configs.GenericHook{Secret: secret}}, Recorder: nobody{}, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}

	c := &crm{answer: answer, news: make(chan struct{}, 1000)}
	c.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		again := httptest.NewRequestWithContext(r.Context(), http.MethodPost, "/hooks/generic", bytes.NewReader(body))
		again.Header = r.Header
		again.SetPathValue("name", "generic")
		answered := httptest.NewRecorder()
		verifier.ServeHTTP(answered, again)

		c.mu.Lock()
		c.got = append(c.got, request{r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp"), string(body), answered.Code == http.StatusOK})
		c.mu.Unlock()
		select {
		case c.news <- struct{}{}:
		default:
		}
		if c.answer != nil {
			c.answer(w, r)
		}
	}))
	t.Cleanup(c.Close)
	return c
}

// requests waits until the crm has got n requests, and returns all that it got.
func (c *crm) requests(t testing.TB, n int) []request {
	t.Helper()
	limit := time.After(30 * time.Second)
	for {
		c.mu.Lock()
		got := append([]request{}, c.got...)
		c.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-c.news:
		case <-limit:
			t.Fatalf("got %d requests, want %d", len(got), n)
		}
	}
}

// webhook is the crm as a receiver of some events.
func (c *crm) webhook(events ...campaign.WebhookEvent) configs.Webhook {
	return configs.Webhook{URL: c.URL + "/hook?token=hunter2", Secret: secret, Events: events}
}

// An office is what runs where webhooks are sent.
type office struct {
	*Webhooks
	rdb    *redis.Client
	outbox *Outbox
	sender *Sender
	log    *testkit.Log
}

func newOffice(t testing.TB, rdb *redis.Client, receivers ...configs.Webhook) *office {
	t.Helper()
	o := &office{rdb: rdb, log: &testkit.Log{}}
	log := slog.New(slog.NewTextHandler(o.log, nil))
	o.Webhooks = &Webhooks{Receivers: receivers, Deliveries: queue.NewDeliveries(rdb, "bs"), Register: NewRegister(rdb, "bs")}
	o.outbox = NewOutbox("bs", receivers, o.Deliveries, o.Register, log)
	var err error
	if o.sender, err = NewSender(receivers, o.Deliveries, o.Register, log); err != nil {
		t.Fatal(err)
	}
	o.sender.forward = 50 * time.Millisecond
	// The same tries without the waiting.
	o.sender.pause = func(failed int, _ time.Duration) (time.Duration, bool) { return 0, failed < 2 }
	return o
}

// run sends until stop is called, or the test ends.
func (o *office) run(t testing.TB) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.sender.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// status waits until the only receiver stands as ok wants it.
func (o *office) status(t testing.TB, what string, ok func(Status) bool) Status {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(30 * time.Second); ; <-tick.C {
		all, err := o.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(all) == 1 && ok(all[0]) {
			return all[0]
		}
		if time.Now().After(end) {
			t.Fatalf("%s: got %+v\n%s", what, all, o.log)
		}
	}
}

// bounced is an event about a recipient.
func bounced(index int) campaign.RecipientEvent {
	return campaign.RecipientEvent{
		Event: campaign.WebhookBounced, Run: "news-20261001T070000Z", Part: 1, Index: index,
		Address: "Ann@Gmail.com", Topic: "news", Account: "main", Code: 550, Enhanced: "5.1.1", Reply: "550 5.1.1 no <such> user",
		Permanent: true, At: time.UnixMilli(1_790_000_000_123), Source: "smtp",
	}
}
