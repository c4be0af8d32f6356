package single_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/sealed"
	"broadside/internal/single"
	"broadside/internal/testkit"
	"broadside/sender/reply"
)

const (
	secret = "a-secret-of-the-tests-that-signs-nothing-real"
	ada    = "ada@example.org"
)

// A clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// A courier keeps what it was given after the claim, and answers.
type courier struct {
	mu     sync.Mutex
	sent   []string // account and message
	answer func(account, to string) (reply.Reply, error)
	before func() // the claim
	after  func() // the claim, in the body
}

func (c *courier) SendClaimed(ctx context.Context, account, _, to string, message []byte, claim func(context.Context) error) (reply.Reply, error) {
	answer, err := accepted, error(nil)
	if c.answer != nil {
		answer, err = c.answer(account, to)
	}
	if err != nil || answer.Stage == reply.Rcpt {
		return answer, err
	}
	if c.before != nil {
		c.before()
	}
	if err := claim(ctx); err != nil {
		return reply.Reply{}, err
	}
	c.mu.Lock()
	c.sent = append(c.sent, account+"\n"+string(message))
	c.mu.Unlock()
	if c.after != nil {
		c.after()
	}
	return answer, nil
}

func (c *courier) taken() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{}, c.sent...)
}

var (
	accepted  = reply.New(reply.Dot, 250, "2.0.0 taken")
	greylist  = reply.New(reply.Rcpt, 451, "4.7.1 greylisted, try again later")
	later     = reply.New(reply.Dot, 451, "4.3.0 a problem here, try again later")
	unknown   = reply.New(reply.Rcpt, 550, "5.1.1 no such user here")
	tooLarge  = reply.New(reply.Dot, 552, "5.3.4 message too big for this system")
	noReply   = reply.Lost(reply.Dot, reply.ReadTimeout, "no reply")
	blockedIP = reply.New(reply.Dot, 421, "4.7.0 too many messages, slow down")
)

// A world is an installation with one template.
type world struct {
	t *testing.T
	*single.Service
	cfg     single.Config
	courier *courier
	clock   *clock
	store   *single.Store
	list    *suppression.Store
	rdb     *redis.Client
	redis   *testkit.RedisServer
	log     *testkit.Log
}

const template = "receipt.yaml"

func newWorld(t *testing.T, change ...func(*world)) *world {
	t.Helper()
	w := &world{t: t, courier: &courier{}, clock: &clock{now: time.Now().UTC().Truncate(time.Millisecond)}, redis: testkit.NewRedis(t), log: &testkit.Log{}}
	opts, err := redis.ParseURL(w.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	w.rdb = redis.NewClient(opts)
	t.Cleanup(func() { w.rdb.Close() })
	w.store = single.NewStore(w.rdb, "bs", redis.NewScript)
	w.list = suppression.New(w.rdb, "bs", redis.NewScript)
	keys, err := token.NewKeys([]string{secret})
	if err != nil {
		t.Fatal(err)
	}
	seal, err := sealed.New([]string{secret}, single.Purpose)
	if err != nil {
		t.Fatal(err)
	}
	w.cfg = single.Config{
		Settings: &configs.Config{
			Accounts:  map[string]configs.Account{"bulk": {Name: "bulk"}, "receipts": {Name: "receipts", Stream: configs.Transactional}},
			Retention: configs.Retention{Runs: 24 * time.Hour},
		},
		Keys: keys, Seal: seal, Store: w.store, Suppression: w.list, Courier: w.courier, Classify: reply.Classify, Now: w.clock.Now,
		Log:  slog.New(slog.NewTextHandler(w.log, nil)),
		Read: reader(nil),
	}
	for _, f := range change {
		f(w)
	}
	w.Service = single.New(w.cfg)
	return w
}

// reader reads the one template of the tests.
func reader(change func(*campaign.Definition, *campaign.Snapshot)) single.Reader {
	return func(_ context.Context, file string) (*campaign.Definition, campaign.Snapshot, error) {
		if file != template {
			return nil, campaign.Snapshot{}, failure.Invalid("no file " + file)
		}
		def := &campaign.Definition{ID: "receipt", Delivery: campaign.Delivery{Retry: []time.Duration{time.Minute, time.Hour}, MaxAttempts: 3, ExpiresAfter: 24 * time.Hour}}
		s := campaign.Snapshot{
			Campaign: "receipt", From: "Acme Shop <shop@acme.example>", Single: true, Subject: "Order {{.order}}", Markdown: "Dear {{.name}}\n",
			BodyFile: "receipt.md", Layout: "plain", Columns: []string{"name", "order"},
		}
		if change != nil {
			change(def, &s)
		}
		return def, s, nil
	}
}

func request(key string) single.Request {
	return single.Request{Template: template, To: ada, Data: map[string]string{"name": "Ada", "order": "17"}, Key: key}
}

func (w *world) send(r single.Request) single.Status {
	w.t.Helper()
	st, _, err := w.Send(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

func (w *world) accept(r single.Request) single.Status {
	w.t.Helper()
	st, _, err := w.Accept(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// running runs the service until stop is called.
func (w *world) running() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := w.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	return func() {
		cancel()
		wg.Wait()
	}
}

// until waits until the message of ada is in a state.
func (w *world) until(state campaign.State) single.Status {
	w.t.Helper()
	var st single.Status
	for range testkit.Tries(20 * time.Second) {
		if all := w.all(); len(all) > 0 {
			if st = all[0]; st.State == state {
				return st
			}
		}
	}
	w.t.Fatalf("got %+v, want %s", st, state)
	return st
}

func (w *world) all() []single.Status {
	w.t.Helper()
	a, err := address.Parse(ada)
	if err != nil {
		w.t.Fatal(err)
	}
	all, err := w.store.Of(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

func (w *world) waiting() int64 {
	w.t.Helper()
	n, err := w.store.Waiting(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestSend(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	st := w.send(request(""))
	if st.State != campaign.Accepted || st.Account != "receipts" || st.Code != 250 || st.Attempts != 1 {
		t.Errorf("got %+v", st)
	}
	sent := w.courier.taken()
	if len(sent) != 1 {
		t.Fatalf("sent %d messages", len(sent))
	}
	account, text, _ := strings.Cut(sent[0], "\n")
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	if account != "receipts" || m.Header.Get("Subject") != "Order 17" || m.Header.Get("To") != "<"+ada+">" && m.Header.Get("To") != ada ||
		m.Header.Get("Message-Id") != "<"+st.MessageID+">" || !bytes.Contains(body, []byte("Dear Ada")) {
		t.Errorf("by %s:\n%s", account, text)
	}
	for _, header := range []string{"List-Unsubscribe", "List-Id", "Precedence"} {
		if m.Header.Get(header) != "" {
			t.Errorf("it has %s: %s", header, m.Header.Get(header))
		}
	}
	if strings.Contains(strings.ToLower(string(body)), "unsubscribe") || m.Header.Get("Auto-Submitted") != "auto-generated" {
		t.Errorf("not as a message to one address:\n%s", text)
	}
	if parsed, err := w.cfg.Keys.ParseMessage(strings.Split(st.MessageID, "@")[0]); err != nil || parsed.Index != 0 {
		t.Errorf("the Message-ID is not known to be ours: %+v, %v", parsed, err)
	}
	if n := w.waiting(); n != 0 {
		t.Errorf("%d messages wait", n)
	}
	if log := w.log.String(); !strings.Contains(log, "id="+st.ID) || !strings.Contains(log, "account=receipts") || strings.Contains(log, ada) {
		t.Errorf("log:\n%s", log)
	}
}

// Neither the address nor what the message says can be read in Redis, and with the outcome
// the content is gone.
func TestContentIsSealedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.courier.answer = func(string, string) (reply.Reply, error) { return later, nil }
	st := w.send(request("order-17"))
	dump := func() string {
		all := ""
		for _, key := range w.rdb.Keys(t.Context(), "bs:{send}*").Val() {
			all += key + fmt.Sprint(w.rdb.Type(t.Context(), key).Val(), w.rdb.HGetAll(t.Context(), key).Val()) + "\n"
		}
		return all
	}
	if text := dump(); strings.Contains(text, "Ada") || strings.Contains(text, ada) || strings.Contains(text, "order-17") || !strings.Contains(text, "content") {
		t.Errorf("in Redis:\n%s", text)
	}

	w.courier.answer = nil
	w.clock.move(2 * time.Minute)
	if st = w.send(request("order-17")); st.State != campaign.Accepted || st.Attempts != 2 {
		t.Fatalf("got %+v", st)
	}
	if text := dump(); strings.Contains(text, "content") {
		t.Errorf("afterwards:\n%s", text)
	}
}

func TestAUsedKeyIsTheSameMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.send(request("order-17"))
	st, created, err := w.Send(t.Context(), request("order-17"))
	if err != nil || created || st.ID != first.ID || st.MessageID != first.MessageID || st.State != campaign.Accepted {
		t.Errorf("again: got %+v, %v, %v, want %+v", st, created, err, first)
	}
	if st, created, err = w.Accept(t.Context(), request("order-17")); err != nil || created || st.ID != first.ID {
		t.Errorf("accepted again: got %+v, %v, %v", st, created, err)
	}
	if n := len(w.courier.taken()); n != 1 {
		t.Errorf("%d messages were sent", n)
	}

	for name, change := range map[string]func(*single.Request){
		"address": func(r *single.Request) { r.To = "bob@example.org" },
		"data":    func(r *single.Request) { r.Data = map[string]string{"name": "Ada", "order": "18"} },
		"account": func(r *single.Request) { r.Account = "bulk" },
	} {
		r := request("order-17")
		change(&r)
		if _, _, err := w.Accept(t.Context(), r); !errors.Is(err, single.ErrConflict) || !errors.Is(err, failure.ErrRefused) {
			t.Errorf("with another %s: got %v, want ErrConflict", name, err)
		}
	}
	if other := w.send(request("order-18")); other.ID == first.ID {
		t.Error("another key is the same message")
	}
	if a, b := w.send(request("")), w.send(request("")); a.ID == b.ID {
		t.Error("without a key two requests are one message")
	}
}

// Of many requests with one key at the same moment one makes a message.
func TestOneKeyAtTheSameMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	made := make(chan bool, 20)
	for range 20 {
		wg.Go(func() {
			_, created, err := w.Send(t.Context(), request("order-17"))
			if err != nil {
				t.Error(err)
			}
			made <- created
		})
	}
	wg.Wait()
	close(made)
	n := 0
	for created := range made {
		if created {
			n++
		}
	}
	if sent := len(w.courier.taken()); n != 1 || sent != 1 {
		t.Errorf("%d were made, %d sent, want one", n, sent)
	}
}

// What a reply makes of a message.
func TestReplies(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		answer     reply.Reply
		want       campaign.State
		attempts   int
		wait       time.Duration
		suppressed bool
	}{
		"accepted":           {accepted, campaign.Accepted, 1, 0, false},
		"no such user":       {unknown, campaign.Bounced, 1, 0, true},
		"not for its size":   {tooLarge, campaign.Failed, 1, 0, false},
		"later":              {later, campaign.Deferred, 1, time.Minute, false},
		"greylisted":         {greylist, campaign.Deferred, 1, time.Minute, false},
		"about the lane":     {blockedIP, campaign.Deferred, 0, 0, false},
		"no reply to a body": {noReply, campaign.Uncertain, 1, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.courier.answer = func(string, string) (reply.Reply, error) { return tt.answer, nil }
			st := w.send(request(""))
			if st.State != tt.want || st.Attempts != tt.attempts || tt.wait > 0 && st.Next.Sub(w.clock.Now()) != tt.wait {
				t.Errorf("got %+v, want %s after %d attempts, the next in %s", st, tt.want, tt.attempts, tt.wait)
			}
			waits := int64(0)
			if tt.want == campaign.Deferred {
				waits = 1
			}
			if n := w.waiting(); n != waits {
				t.Errorf("%d messages wait, want %d", n, waits)
			}
			found, err := w.list.Check(t.Context(), ada)
			if err != nil || found[0].Suppressed != tt.suppressed {
				t.Errorf("suppressed: %+v, %v, want %v", found, err, tt.suppressed)
			}
		})
	}
}

func TestRetriesEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.courier.answer = func(string, string) (reply.Reply, error) { return later, nil }
	stop := w.running()
	defer stop()
	w.accept(request(""))
	first := w.until(campaign.Deferred)
	w.clock.move(2 * time.Minute)
	for range testkit.Tries(20 * time.Second) {
		if w.all()[0].Attempts == 2 {
			break
		}
	}
	second := w.until(campaign.Deferred)
	if first.Attempts != 1 || second.Attempts != 2 || second.Next.Sub(w.clock.Now()) != time.Hour {
		t.Errorf("got %+v, then %+v", first, second)
	}
	w.clock.move(2 * time.Hour)
	if st := w.until(campaign.Failed); st.Attempts != 3 {
		t.Errorf("got %+v, want it failed after the third attempt", st)
	}
	if n := w.waiting(); n != 0 {
		t.Errorf("%d messages wait", n)
	}
}

func TestAMessageExpires(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.courier.answer = func(string, string) (reply.Reply, error) { return reply.Reply{}, errors.New("the account is closed") }
	st := w.send(request(""))
	if st.State != campaign.Pending || st.Attempts != 0 || !strings.Contains(st.Reply, "the account is closed") || st.Next.Sub(w.clock.Now()) != 5*time.Second {
		t.Errorf("got %+v, want it pending for 5 s", st)
	}
	w.clock.move(25 * time.Hour)
	stop := w.running()
	defer stop()
	if st := w.until(campaign.Failed); !strings.Contains(st.Reply, "expired") || len(w.courier.taken()) != 0 {
		t.Errorf("got %+v", st)
	}
}

// Who has left all newsletters gets what they ask for; who must not be mailed does not.
func TestSuppressions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		entry suppression.Entry
		topic string
		sent  bool
	}{
		"left one topic":           {suppression.Entry{Reason: suppression.ReasonUnsubscribe, Scope: suppression.Topic("newsletter")}, "", true},
		"left everything":          {suppression.Entry{Reason: suppression.ReasonUnsubscribe, Scope: suppression.All}, "", true},
		"left the topic of it":     {suppression.Entry{Reason: suppression.ReasonUnsubscribe, Scope: suppression.Topic("orders")}, "orders", false},
		"left another topic":       {suppression.Entry{Reason: suppression.ReasonUnsubscribe, Scope: suppression.Topic("newsletter")}, "orders", true},
		"bounced":                  {suppression.Entry{Reason: suppression.ReasonBounce, Scope: suppression.All}, "", false},
		"complained":               {suppression.Entry{Reason: suppression.ReasonComplaint, Scope: suppression.All}, "", false},
		"by an operator":           {suppression.Entry{Reason: suppression.ReasonManual, Scope: suppression.All}, "orders", false},
		"with its whole domain":    {suppression.Entry{Domain: "example.org", Reason: suppression.ReasonManual, Scope: suppression.All}, "", false},
		"complained of a topic":    {suppression.Entry{Reason: suppression.ReasonComplaint, Scope: suppression.Topic("newsletter")}, "", true},
		"somebody else complained": {suppression.Entry{Address: "bob@example.org", Reason: suppression.ReasonComplaint, Scope: suppression.All}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(w *world) {
				w.cfg.Read = reader(func(d *campaign.Definition, s *campaign.Snapshot) { d.Topic, s.Topic = tt.topic, tt.topic })
			})
			if tt.entry.Address == "" && tt.entry.Domain == "" {
				tt.entry.Address = ada
			}
			if _, err := w.list.Add(t.Context(), tt.entry); err != nil {
				t.Fatal(err)
			}
			_, _, err := w.Send(t.Context(), request(""))
			if sent := len(w.courier.taken()) == 1; sent != tt.sent || errors.Is(err, single.ErrSuppressed) == tt.sent {
				t.Errorf("sent %v, %v, want %v", sent, err, tt.sent)
			}
			if err != nil && strings.Contains(err.Error(), ada) {
				t.Errorf("the error names the address: %v", err)
			}
		})
	}
}

// Who is suppressed while a message waits does not get it.
func TestSuppressedWhileItWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(request(""))
	if _, err := w.list.Add(t.Context(), suppression.Entry{Address: ada, Reason: suppression.ReasonComplaint}); err != nil {
		t.Fatal(err)
	}
	stop := w.running()
	defer stop()
	w.until(campaign.Suppressed)
	if n := len(w.courier.taken()); n != 0 || w.waiting() != 0 {
		t.Errorf("%d messages were sent, %d wait", n, w.waiting())
	}
}

func TestOnlyTo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.Settings.OnlyTo = []string{"*@acme.example"} })
	if _, _, err := w.Send(t.Context(), request("")); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), "only_to") {
		t.Errorf("got %v", err)
	}
	r := request("")
	r.To = "me@acme.example"
	if st := w.send(r); st.State != campaign.Accepted {
		t.Errorf("got %+v", st)
	}
}

// only_to holds for what was asked for before it was set.
func TestOnlyToWhileItWaits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(request(""))
	w.cfg.Settings.OnlyTo = []string{"*@acme.example"}
	defer w.running()()
	if st := w.until(campaign.Suppressed); !strings.Contains(st.Reply, "only_to") || len(w.courier.taken()) != 0 {
		t.Errorf("got %+v, sent %d", st, len(w.courier.taken()))
	}
}

// A message that a dead process has claimed may have arrived: it is reported, and not sent
// again. The same process, if it was only slow, may still say how it went.
func TestAClaimWithoutAnOutcomeIsUncertain(t *testing.T) {
	t.Parallel()
	inBody := make(chan struct{})
	goOn := make(chan struct{})
	w := newWorld(t)
	w.courier.after = func() {
		close(inBody)
		<-goOn
	}
	slow := make(chan single.Status, 1)
	go func() {
		st, _, err := w.Send(t.Context(), request("order-17"))
		if err != nil {
			t.Errorf("the slow one: %v", err)
		}
		slow <- st
	}()
	<-inBody
	if st := w.send(request("order-17")); st.State != campaign.Sending {
		t.Errorf("asked while it waits: got %+v", st)
	}

	other := *w
	other.courier = &courier{}
	other.cfg.Courier = other.courier
	other.Service = single.New(other.cfg)
	stop := other.running()
	defer stop()
	w.clock.move(4 * time.Minute)
	if st := w.all()[0]; st.State != campaign.Sending {
		t.Errorf("after four minutes: got %+v", st)
	}
	w.clock.move(2 * time.Minute)
	st := w.until(campaign.Uncertain)
	if st.Attempts != 1 || !strings.Contains(w.log.String(), "single message is uncertain") {
		t.Errorf("got %+v, log:\n%s", st, w.log)
	}
	if st := other.send(request("order-17")); st.State != campaign.Uncertain || len(other.courier.taken()) != 0 {
		t.Errorf("asked again: got %+v, sent %d", st, len(other.courier.taken()))
	}

	close(goOn)
	if st := <-slow; st.State != campaign.Accepted {
		t.Errorf("the slow one: got %+v", st)
	}
	if st := w.all()[0]; st.State != campaign.Accepted {
		t.Errorf("after its reply: got %+v", st)
	}
}

// What was taken and not claimed when its process died goes to another one.
func TestADeadProcessLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(request(""))
	if ids, err := w.rdb.ZRange(t.Context(), "bs:{send}:due", 0, -1).Result(); err != nil || len(ids) != 1 {
		t.Fatalf("due: %v, %v", ids, err)
	}
	// A process has taken it, and is heard of no more.
	if err := w.rdb.ZAdd(t.Context(), "bs:{send}:due", redis.Z{Score: float64(w.clock.Now().Add(15 * time.Second).UnixMilli()), Member: w.all()[0].ID}).Err(); err != nil {
		t.Fatal(err)
	}
	stop := w.running()
	defer stop()
	w.clock.move(16 * time.Second)
	w.until(campaign.Accepted)
}

// At the end of a process what has no claim is free for others at once, and the reply to
// a body under way is waited for.
func TestShutdown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inBody, inHand, goOn := make(chan struct{}), make(chan struct{}), make(chan struct{})
	w.courier.answer = func(_, to string) (reply.Reply, error) {
		if to == ada {
			return accepted, nil
		}
		close(inHand)
		<-goOn // a slow server
		return reply.Reply{}, context.Canceled
	}
	w.courier.after = func() {
		close(inBody)
		<-goOn
	}
	r := request("")
	r.To = "bob@example.org"
	w.accept(request(""))
	waits := w.accept(r)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	<-inBody
	<-inHand
	cancel()
	close(goOn)
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if st := w.all()[0]; st.State != campaign.Accepted {
		t.Errorf("in its body: got %+v", st)
	}
	if score, err := w.rdb.ZScore(t.Context(), "bs:{send}:due", waits.ID).Result(); err != nil || int64(score) > w.clock.Now().UnixMilli() {
		t.Errorf("not claimed: due at %v, %v, want it free", score, err)
	}
}

func TestAnInterruptedSendIsCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.courier.answer = func(string, string) (reply.Reply, error) {
		cancel()
		return reply.Reply{}, context.Canceled
	}
	st, created, err := w.Send(ctx, request("order-17"))
	if err != nil || !created || st.State != campaign.Cancelled || w.waiting() != 0 {
		t.Errorf("got %+v, %v, %v; %d wait", st, created, err, w.waiting())
	}

	// Nothing was sent, so the key is free.
	w.courier.answer = nil
	if st, created, err := w.Send(t.Context(), request("order-17")); err != nil || !created || st.State != campaign.Accepted {
		t.Errorf("again: got %+v, %v, %v", st, created, err)
	}
}

// What another has asked for is not cancelled by one who asks under the same key and is
// interrupted.
func TestAnInterruptedSendLeavesTheMessageOfAnother(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(request("order-17"))
	ctx, cancel := context.WithCancel(t.Context())
	w.courier.answer = func(string, string) (reply.Reply, error) {
		cancel()
		return reply.Reply{}, context.Canceled
	}
	if _, created, _ := w.Send(ctx, request("order-17")); created {
		t.Error("the key makes another message")
	}
	if st := w.all()[0]; !st.Waits() || w.waiting() != 1 {
		t.Errorf("got %+v, %d wait", st, w.waiting())
	}
}

// A message that is being sent is not uncertain, however it comes into the hands of another.
func TestAMessageThatIsBeingSentIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.courier.after = func() {
		due := "bs:{send}:due"
		id := w.all()[0].ID
		if err := w.rdb.ZAdd(t.Context(), due, redis.Z{Score: 0, Member: id}).Err(); err != nil {
			t.Error(err)
			return
		}
		stop := w.running()
		for range testkit.Tries(20 * time.Second) {
			if w.rdb.ZScore(t.Context(), due, id).Val() > 0 {
				break // another has taken it
			}
		}
		stop()
		if st := w.all()[0]; st.State != campaign.Sending {
			t.Errorf("got %+v", st)
		}
	}
	if st := w.send(request("")); st.State != campaign.Accepted {
		t.Errorf("got %+v", st)
	}
}

// What tells requests apart does not let their data be guessed: it is not the same for two
// messages that have the same.
func TestThePrintOfARequestIsSealed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	prints := map[string]bool{}
	for _, key := range []string{"order-17", "order-18"} {
		st := w.send(request(key))
		prints[w.rdb.HGet(t.Context(), "bs:{send}:message:"+st.ID, "print").Val()] = true
	}
	if len(prints) != 2 {
		t.Error("two messages with the same data have the same print")
	}
}

// The first account that can takes the message; those that stand in come last.
func TestAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) {
		w.cfg.Settings.Accounts["spare"] = configs.Account{Name: "spare"}
		w.cfg.Read = reader(func(_ *campaign.Definition, s *campaign.Snapshot) {
			s.Accounts = []string{"spare", "bulk", "receipts"}
			s.Weights = campaign.Weights{"spare": 0}
		})
	})
	var asked []string
	down := map[string]bool{"bulk": true}
	w.courier.answer = func(account, _ string) (reply.Reply, error) {
		asked = append(asked, account)
		if down[account] {
			return reply.Reply{}, errors.New("account " + account + " is closed")
		}
		return accepted, nil
	}
	if st := w.send(request("")); st.Account != "receipts" || strings.Join(asked, " ") != "bulk receipts" {
		t.Errorf("got %+v after %v", st, asked)
	}
	asked = nil
	r := request("")
	r.Account = "spare"
	if st := w.send(r); st.Account != "spare" || strings.Join(asked, " ") != "spare" {
		t.Errorf("named: got %+v after %v", st, asked)
	}
	down = map[string]bool{"bulk": true, "receipts": true, "spare": true}
	if st := w.send(request("")); st.State != campaign.Pending || !strings.Contains(st.Reply, "bulk is closed") || !strings.Contains(st.Reply, "spare is closed") {
		t.Errorf("none can: got %+v", st)
	}
}

// Everything that is wrong is said at once, and nothing is taken.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(w *world) { w.cfg.Settings.Accounts["second"] = configs.Account{Stream: configs.Transactional} })
	for name, tt := range map[string]struct {
		change func(*single.Request)
		want   []string
	}{
		"address, key and account": {func(r *single.Request) { r.To, r.Key, r.Account = "ada", "a\nb", "recepits" }, []string{"to: not an address", "key: expected printable", `no account "recepits"`, "did you mean receipts"}},
		"data":                     {func(r *single.Request) { r.Account, r.Data = "bulk", map[string]string{"nam": "Ada"} }, []string{"data.name: missing", "did you mean it with nam", "data.order: missing"}},
		"no account":               {func(*single.Request) {}, []string{"account: missing", "stream: transactional"}},
		"template":                 {func(r *single.Request) { r.Template = "nothing.yaml" }, []string{"no file nothing.yaml"}},
	} {
		r := request("")
		tt.change(&r)
		_, _, err := w.Accept(t.Context(), r)
		if !errors.Is(err, failure.ErrInvalid) {
			t.Errorf("%s: got %v", name, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %q in it", name, err, want)
			}
		}
	}
	if w.waiting() != 0 {
		t.Errorf("%d messages wait", w.waiting())
	}
}

// A value cannot become a header, nor mark-up.
func TestValuesAreValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := request("")
	r.Data = map[string]string{"name": "<script>x</script>", "order": "17\r\nBcc: eve@example.org"}
	w.send(r)
	_, text, _ := strings.Cut(w.courier.taken()[0], "\n")
	m, err := mail.ReadMessage(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if m.Header.Get("Bcc") != "" || m.Header.Get("Subject") != "Order 17 Bcc: eve@example.org" || !strings.Contains(text, "Dear &lt;script&gt;x") {
		t.Errorf("sent:\n%s", text)
	}
}

func TestTooManyWait(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all []redis.Z
	for i := range 10_000 {
		all = append(all, redis.Z{Score: 1e15, Member: fmt.Sprint(i)})
	}
	if err := w.rdb.ZAdd(t.Context(), "bs:{send}:due", all...).Err(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := w.Accept(t.Context(), request("")); !errors.Is(err, single.ErrFull) || len(w.all()) != 0 {
		t.Errorf("got %v, want ErrFull", err)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.send(request(""))
	w.accept(request(""))
	a, err := address.Parse(ada)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := w.store.Erase(t.Context(), a, w.clock.Now()); n != 2 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	if w.waiting() != 0 || len(w.all()) != 0 {
		t.Errorf("%d messages wait, %d are known", w.waiting(), len(w.all()))
	}
}

// While Redis is away nothing is taken, and what was taken is sent when it is back.
func TestRedisIsAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.accept(request("order-17"))
	w.redis.Kill()
	if _, _, err := w.Accept(t.Context(), request("order-18")); err == nil {
		t.Error("taken without Redis")
	}
}
