package subscribe_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/store"
	"broadside/internal/subscribe"
	"broadside/internal/testkit"
	"broadside/sender/reply"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ada = "ada@example.org"

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

// A sent message is what a courier was given.
type sent struct{ account, from, to, message string }

// A courier keeps what it is given, and answers.
type courier struct {
	got    chan sent
	answer func(to string) (reply.Reply, error) // nil: accepted
}

func (c *courier) Send(_ context.Context, account, from, to string, message []byte) (reply.Reply, error) {
	c.got <- sent{account, from, to, string(message)}
	if c.answer != nil {
		return c.answer(to)
	}
	return reply.Reply{Stage: reply.Dot, Code: 250, Text: "2.0.0 taken"}, nil
}

// A world is an installation with one form on a Redis.
type world struct {
	t       *testing.T
	redis   *testkit.RedisServer
	rdb     redis.UniversalClient
	clock   *clock
	keys    *token.Keys
	list    *suppression.Store
	lists   *audience.Lists
	store   *subscribe.Store
	courier *courier
	log     *testkit.Log
	cfg     *configs.Config
	*subscribe.Service
}

// newWorld makes one; change may change its configuration before.
func newWorld(t *testing.T, change ...func(*configs.Config)) *world {
	t.Helper()
	server := testkit.NewRedis(t)
	opts, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	w := newWorldOn(t, rdb, redis.NewScript, change...)
	w.redis = server
	return w
}

// newWorldOn is newWorld on any store.
func newWorldOn(t *testing.T, rdb redis.UniversalClient, lua func(string) *redis.Script, change ...func(*configs.Config)) *world {
	t.Helper()
	w := &world{
		t: t, rdb: rdb, clock: &clock{now: time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)},
		courier: &courier{got: make(chan sent, 100)}, log: &testkit.Log{},
	}
	var err error
	if w.keys, err = token.NewKeys([]string{"32 bytes of a secret for the tests"}); err != nil {
		t.Fatal(err)
	}

	w.list = suppression.New(w.rdb, "bs", lua)
	w.lists = audience.NewLists(w.rdb, "bs")
	w.store = subscribe.NewStore(w.rdb, "bs", lua)
	w.cfg = &configs.Config{
		PublicURL: "https://news.acme.example", PostalAddress: "Acme Ltd, London",
		Topics:   map[string]configs.Topic{"newsletter": {Name: "Acme News"}},
		Accounts: map[string]configs.Account{"main": {Name: "main"}},
		Subscribe: map[string]configs.SubscribeForm{"newsletter": {
			List: "readers", Topic: "newsletter", From: "Acme News <news@acme.example>", Fields: []string{"first_name"},
			Limits: configs.SubscribeLimits{Every: 10 * time.Minute, PerDay: 3, PerNetwork: 4},
		}},
	}
	for _, f := range change {
		f(w.cfg)
	}
	w.Service = w.open()
	return w
}

// open makes another service of the same installation, as another process has one.
func (w *world) open() *subscribe.Service {
	w.t.Helper()
	s, err := subscribe.New(subscribe.Config{
		Settings: w.cfg, Keys: w.keys, Store: w.store, Suppression: w.list, Courier: w.courier, Import: w.lists.Import,
		Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// run runs a service until the test or stop ends it.
func (w *world) run(s *subscribe.Service) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Run(ctx); err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	stop = func() {
		cancel()
		running.Wait()
	}
	w.t.Cleanup(stop)
	return stop
}

func request(to string) subscribe.Request {
	return subscribe.Request{
		Form: "newsletter", Address: to, Fields: map[string]string{"first_name": "Ada"}, Language: "de", Source: subscribe.SourcePage,
		Client: netip.MustParseAddr("192.0.2.77"),
	}
}

func (w *world) ask(to string) {
	w.t.Helper()
	if err := w.Ask(w.t.Context(), request(to)); err != nil {
		w.t.Fatalf("Ask: %v", err)
	}
}

// patience is how long a test waits for what another goroutine does.
const patience = 20 * time.Second

// message waits for the next message.
func (w *world) message() sent {
	w.t.Helper()
	select {
	case m := <-w.courier.got:
		return m
	case <-time.After(patience):
		w.t.Fatalf("no message came; log:\n%s", w.log)
		return sent{}
	}
}

// none fails when a message has come, after all that waits was looked at.
func (w *world) none() {
	w.t.Helper()
	w.eventually("the outbox is empty", func() bool { return w.rdb.ZCard(w.t.Context(), "bs:{subscribe}:outbox").Val() == 0 })
	if n := len(w.courier.got); n > 0 {
		w.t.Errorf("%d messages were sent, want none", n)
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for range testkit.Tries(patience) {
		if ok() {
			return
		}
	}
	w.t.Fatalf("not so: %s; log:\n%s", what, w.log)
}

// members returns the rows of a list, without its header.
func (w *world) members(list string) string {
	w.t.Helper()
	var out strings.Builder
	err := w.lists.Export(w.t.Context(), list, &out)
	if errors.Is(err, audience.ErrNoList) {
		return ""
	}
	if err != nil {
		w.t.Fatal(err)
	}
	_, rows, _ := strings.Cut(out.String(), "\n")
	return rows
}

func (w *world) proofs(of string) []subscribe.Proof {
	w.t.Helper()
	a, err := address.Parse(of)
	if err != nil {
		w.t.Fatal(err)
	}
	found, err := w.store.Of(w.t.Context(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	return found
}

var confirmLink = regexp.MustCompile(`https://news\.acme\.example/subscribe/confirm/([A-Za-z0-9_-]+)`)

// parts returns the header of a message, and its text and HTML parts as readers have them.
func parts(t *testing.T, message string) (header mail.Header, text, html string) {
	t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(m.Body, params["boundary"])
	var all []string
	for {
		p, err := r.NextRawPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Header.Get("Content-Transfer-Encoding") != "quoted-printable" {
			t.Fatalf("a part is %s", p.Header.Get("Content-Transfer-Encoding"))
		}
		b, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(b))
	}
	if len(all) != 2 {
		t.Fatalf("%d parts, want text and HTML", len(all))
	}
	return m.Header, all[0], all[1]
}

// linkIn returns the token of the link in a message.
func linkIn(t *testing.T, message string) string {
	t.Helper()
	_, text, html := parts(t, message)
	inText, inHTML := confirmLink.FindStringSubmatch(text), confirmLink.FindStringSubmatch(html)
	if inText == nil || inHTML == nil || inText[1] != inHTML[1] {
		t.Fatalf("the parts have the links %q and %q:\n%s", inText, inHTML, text)
	}
	return inText[1]
}

// From the form to the list, with a proof; confirming again changes nothing.
func TestWhoConfirmsIsOnTheList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(w.Service)
	asked := w.clock.Now()
	w.ask(" Ada@example.org ")
	m := w.message()
	header, text, _ := parts(t, m.message)
	if m.account != "main" || m.from != "news@acme.example" || m.to != "Ada@example.org" {
		t.Errorf("sent by %s from %s to %s", m.account, m.from, m.to)
	}
	var words mime.WordDecoder
	subject, err := words.DecodeHeader(header.Get("Subject"))
	if err != nil || subject != "Bitte bestätigen: Acme News" || !strings.Contains(text, "Acme Ltd, London") {
		t.Errorf("subject %q, %v, text:\n%s", subject, err, text)
	}
	for name, want := range map[string]string{"Auto-Submitted": "auto-generated", "Precedence": "", "List-Id": "", "List-Unsubscribe": "", "List-Unsubscribe-Post": "", "Feedback-Id": ""} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}

	link := linkIn(t, m.message)
	if got := w.proofs(ada); len(got) != 0 || w.members("readers") != "" {
		t.Errorf("before it is confirmed there are the proofs %+v and the members %q", got, w.members("readers"))
	}
	w.clock.move(time.Hour)
	p, err := w.Look(link)
	if err != nil || p.Address != "Ada@example.org" || p.Form.Topic != "Acme News" || p.Form.Language != "de" {
		t.Errorf("Look: got %+v, %v", p, err)
	}
	for range 3 { // the second and third time are as good as the first
		ok, err := w.Confirm(t.Context(), link)
		if err != nil || !ok {
			t.Fatalf("Confirm: got %v, %v", ok, err)
		}
		w.clock.move(time.Hour)
	}
	w.eventually("ada is on the list", func() bool { return w.members("readers") == "Ada@example.org,Ada\n" })

	proofs := w.proofs(ada)
	if len(proofs) != 1 || !strings.Contains(proofs[0].Words, "Möchten Sie {{.topic}} bekommen?") || !strings.Contains(proofs[0].Words, "Acme News abonnieren") {
		t.Fatalf("proofs: got %+v", proofs)
	}
	got := proofs[0]
	got.Words = ""
	want := subscribe.Proof{
		List: "readers", Form: "newsletter", Topic: "newsletter", Asked: asked, Confirmed: asked.Add(time.Hour),
		Source: "page", Network: "192.0.2.0/24", Language: "de", Text: got.Text,
	}
	if diff := cmp.Diff(want, got); diff != "" || len(got.Text) != 12 {
		t.Errorf("proof (-want +got):\n%s", diff)
	}
	if counts, err := w.store.Counts(t.Context()); counts["readers"] != 1 || err != nil {
		t.Errorf("Counts: got %v, %v", counts, err)
	}
	list, err := w.lists.Show(t.Context(), "readers")
	if err != nil || len(list.Versions) != 1 || list.Versions[0].Change != "subscribe" {
		t.Errorf("list: got %+v, %v, want one version", list, err)
	}
	if log := w.log.String(); strings.Contains(strings.ToLower(log), ada) || strings.Contains(log, link) {
		t.Errorf("the log has the address or the link:\n%s", log)
	}
}

// Who asks learns nothing of an address, and an address that is suppressed is mailed only
// when confirming would change that.
func TestSuppressedAddresses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		entry     suppression.Entry
		after     bool // it comes after the message was sent
		sent      bool
		confirmed bool
	}{
		{"nobody has said anything", suppression.Entry{Address: "bob@example.org", Reason: suppression.ReasonUnsubscribe}, false, true, true},
		{"left the topic", suppression.Entry{Scope: suppression.Topic("newsletter"), Reason: suppression.ReasonUnsubscribe}, false, true, true},
		{"left another topic", suppression.Entry{Scope: suppression.Topic("offers"), Reason: suppression.ReasonUnsubscribe}, false, true, true},
		{"left the topic after asking", suppression.Entry{Scope: suppression.Topic("newsletter"), Reason: suppression.ReasonUnsubscribe}, true, true, false},
		{"left everything", suppression.Entry{Reason: suppression.ReasonUnsubscribe}, false, false, false},
		{"complained of the topic", suppression.Entry{Scope: suppression.Topic("newsletter"), Reason: suppression.ReasonComplaint}, false, false, false},
		{"complained after asking", suppression.Entry{Reason: suppression.ReasonComplaint}, true, true, false},
		{"bounced", suppression.Entry{Reason: suppression.ReasonBounce}, false, false, false},
		{"by an operator", suppression.Entry{Reason: suppression.ReasonManual}, false, false, false},
		{"the domain", suppression.Entry{Domain: "example.org", Reason: suppression.ReasonManual}, false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if tt.entry.Address == "" && tt.entry.Domain == "" {
				tt.entry.Address = ada
			}
			tt.entry.At = w.clock.Now().Add(-time.Hour)
			add := func() {
				if _, err := w.list.Add(t.Context(), tt.entry); err != nil {
					t.Fatal(err)
				}
			}
			if !tt.after {
				add()
			}
			w.run(w.Service)
			w.ask(ada)
			if !tt.sent {
				w.none()
				return
			}

			link := linkIn(t, w.message().message)
			if tt.after {
				tt.entry.At = w.clock.Now().Add(time.Minute)
				add()
				w.clock.move(time.Hour)
			}
			ok, err := w.Confirm(t.Context(), link)
			if err != nil || ok != tt.confirmed || len(w.proofs(ada)) > 0 != tt.confirmed {
				t.Errorf("Confirm: got %v, %v, with the proofs %+v, want %v", ok, err, w.proofs(ada), tt.confirmed)
			}
			a, err := address.Parse(ada)
			if err != nil {
				t.Fatal(err)
			}
			suppressed, err := w.list.Suppressed(t.Context(), "newsletter", []suppression.Person{suppression.PersonOf(a)})
			if err != nil || suppressed[0] == tt.confirmed {
				t.Errorf("suppressed: got %v, %v, want %v", suppressed, err, !tt.confirmed)
			}
			others, err := w.list.Check(t.Context(), ada)
			if err != nil || tt.name == "left another topic" && !others[0].Suppressed {
				t.Errorf("what was left of other topics: got %+v, %v, want it as it was", others, err)
			}
		})
	}
}

// An old link does not take back what its reader has left since.
func TestAnOldLinkDoesNotSubscribeAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(w.Service)
	w.ask(ada)
	link := linkIn(t, w.message().message)
	if ok, err := w.Confirm(t.Context(), link); !ok || err != nil {
		t.Fatalf("Confirm: got %v, %v", ok, err)
	}
	w.clock.move(time.Hour)
	_, err := w.list.Add(t.Context(), suppression.Entry{Address: ada, Scope: suppression.Topic("newsletter"), Reason: suppression.ReasonUnsubscribe, At: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := w.Confirm(t.Context(), link); ok || err != nil {
		t.Errorf("the old link: got %v, %v, want false", ok, err)
	}

	w.clock.move(time.Hour)
	w.ask(ada) // a new one does
	if ok, err := w.Confirm(t.Context(), linkIn(t, w.message().message)); !ok || err != nil {
		t.Errorf("a new link: got %v, %v", ok, err)
	}
}

func TestLinksEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run(w.Service)
	w.ask(ada)
	link := linkIn(t, w.message().message)
	for _, bad := range []string{"", "x", link[1:], link[:len(link)-1], link + "A", strings.ToLower(link)} {
		if _, err := w.Look(bad); !errors.Is(err, token.ErrToken) {
			t.Errorf("Look(%q): got %v, want ErrToken", bad, err)
		}
		if ok, err := w.Confirm(t.Context(), bad); ok || !errors.Is(err, token.ErrToken) {
			t.Errorf("Confirm(%q): got %v, %v, want ErrToken", bad, ok, err)
		}
	}

	w.clock.move(subscribe.LinkLife)
	if _, err := w.Look(link); err != nil {
		t.Errorf("in its last moment: %v", err)
	}
	w.clock.move(time.Millisecond)
	if p, err := w.Look(link); !errors.Is(err, subscribe.ErrExpired) || p.Form.Language != "de" {
		t.Errorf("afterwards: got %+v, %v, want ErrExpired in the language of the link", p, err)
	}
	if ok, err := w.Confirm(t.Context(), link); ok || !errors.Is(err, subscribe.ErrExpired) || len(w.proofs(ada)) != 0 {
		t.Errorf("confirmed afterwards: got %v, %v", ok, err)
	}
}

// An address gets so many messages, and a network asks for so many. About the address
// nothing is said.
func TestLimits(t *testing.T) {
	t.Parallel()
	w := newWorld(t) // 10 minutes and 3 a day for an address, 4 an hour for a network
	waiting := func() int64 { return w.rdb.ZCard(t.Context(), "bs:{subscribe}:outbox").Val() }
	ask := func(to, client string) error {
		r := request(to)
		r.Client = netip.MustParseAddr(client)
		return w.Ask(t.Context(), r)
	}
	step := func(what string, err error, waits int64) {
		t.Helper()
		if err != nil || waiting() != waits {
			t.Errorf("%s: got %v and %d messages, want %d", what, err, waiting(), waits)
		}
	}

	step("the first", ask(ada, "192.0.2.1"), 1)
	step("at once again", ask("ADA@example.org", "198.51.100.1"), 1)
	w.clock.move(10*time.Minute - time.Millisecond)
	step("too early", ask(ada, "198.51.100.1"), 1)
	w.clock.move(time.Millisecond)
	step("the second", ask(ada, "198.51.100.1"), 2)
	w.clock.move(10 * time.Minute)
	step("the third", ask(ada, "198.51.100.1"), 3)
	w.clock.move(time.Hour)
	step("a fourth within a day", ask(ada, "203.0.113.1"), 3)
	w.clock.move(23*time.Hour - 20*time.Minute)
	step("after a day", ask(ada, "203.0.113.1"), 4)

	w.clock.move(48 * time.Hour)
	for i, client := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.200", "::ffff:192.0.2.9"} { // one network
		step(client, ask(string(rune('a'+i))+"@example.net", client), 5+int64(i))
	}
	w.clock.move(20 * time.Minute)
	err := ask("e@example.net", "192.0.2.3")
	if limit, ok := errors.AsType[*subscribe.LimitError](err); !ok || !limit.Network || limit.Wait != 40*time.Minute || waiting() != 8 {
		t.Errorf("a fifth request of the network: got %v, want 40 minutes to wait", err)
	}
	step("its neighbour", ask("e@example.net", "192.0.3.3"), 9)
	w.clock.move(40 * time.Minute)
	step("an hour later", ask("f@example.net", "192.0.2.3"), 10)

	for i := range 4 { // the last 64 bits belong to one customer
		step("IPv6", ask(string(rune('k'+i))+"@example.net", "2001:db8:0:1::"+string(rune('1'+i))), 11+int64(i))
	}
	if err := ask("o@example.net", "2001:db8:0:1:ffff::1"); err == nil {
		t.Error("a fifth request of one IPv6 network was taken")
	}
	step("another one", ask("o@example.net", "2001:db8:0:2::1"), 15)
}

func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, change := range map[string]func(*subscribe.Request){
		"email: no address":   func(r *subscribe.Request) { r.Address = "ada" },
		"email: two":          func(r *subscribe.Request) { r.Address = "ada@example.org, bob@example.org" },
		"email: a line break": func(r *subscribe.Request) { r.Address = "ada@example.org\r\nBcc: bob@example.org" },
		"first_name: long":    func(r *subscribe.Request) { r.Fields["first_name"] = strings.Repeat("x", 101) },
		"first_name: lines":   func(r *subscribe.Request) { r.Fields["first_name"] = "Ada\nLovelace" },
		"first_name: a link":  func(r *subscribe.Request) { r.Fields["first_name"] = "see HTTPS://spam.example" },
		"first_name: a site":  func(r *subscribe.Request) { r.Fields["first_name"] = "WWW.spam.example" },
		"first_name: mail":    func(r *subscribe.Request) { r.Fields["first_name"] = "spam@spam.example" },
		"first_name: no UTF8": func(r *subscribe.Request) { r.Fields["first_name"] = "\xff" },
		"first_name: reverse": func(r *subscribe.Request) { r.Fields["first_name"] = "Ada\u202e" },
		"city: unknown":       func(r *subscribe.Request) { r.Fields["city"] = "Ulm" },
	} {
		r := request(ada)
		change(&r)
		field, _, _ := strings.Cut(name, ":")
		err := w.Ask(t.Context(), r)
		if input, ok := errors.AsType[*subscribe.InputError](err); !ok || input.Field != field {
			t.Errorf("%s: got %v, want an InputError about %s", name, err, field)
		}
	}
	if n := w.rdb.DBSize(t.Context()).Val(); n != 0 {
		t.Errorf("Redis has %d keys, want none", n)
	}
}

// What a server answers decides whether a message is tried again.
func TestAMessageIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	answers := make(chan reply.Reply, 10)
	w.courier.answer = func(string) (reply.Reply, error) {
		a := <-answers
		if a.Code == 0 {
			return a, errors.New("the server is away")
		}
		return a, nil
	}
	w.run(w.Service)
	outbox := func() []redis.Z { return w.rdb.ZRangeWithScores(t.Context(), "bs:{subscribe}:outbox", 0, -1).Val() }

	w.ask(ada)
	first := w.message()
	answers <- reply.Reply{}
	w.eventually("it waits", func() bool { z := outbox(); return len(z) == 1 && int64(z[0].Score) > w.clock.Now().UnixMilli() })
	w.clock.move(time.Minute)
	again := w.message()
	if linkIn(t, again.message) != linkIn(t, first.message) {
		t.Error("the message that is tried again has another link")
	}
	answers <- reply.Reply{Stage: reply.Rcpt, Code: 451, Text: "4.3.0 later"}
	w.eventually("it waits again", func() bool { z := outbox(); return len(z) == 1 && int64(z[0].Score) > w.clock.Now().UnixMilli() })
	w.clock.move(time.Hour)
	w.message()
	answers <- reply.Reply{Stage: reply.Rcpt, Code: 550, Text: "5.1.1 ada@example.org is unknown"}
	w.none()
	if log := w.log.String(); !strings.Contains(log, "confirmation not accepted") || strings.Contains(log, ada) {
		t.Errorf("log:\n%s", log)
	}

	w.clock.move(24 * time.Hour)
	w.ask(ada)
	w.message()
	answers <- reply.Reply{}
	w.eventually("it waits for the last time", func() bool { z := outbox(); return len(z) == 1 && int64(z[0].Score) > w.clock.Now().UnixMilli() })
	w.clock.move(25 * time.Hour)
	w.none()
	if !strings.Contains(w.log.String(), "confirmation given up") {
		t.Errorf("log:\n%s", w.log)
	}
}

// What was asked for and what was confirmed outlives the process.
func TestAnotherProcessGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ask(ada) // by a process that sends nothing, and dies
	other := w.open()
	stop := w.run(other)
	link := linkIn(t, w.message().message)
	stop()
	if ok, err := w.Confirm(t.Context(), link); !ok || err != nil {
		t.Fatalf("Confirm: got %v, %v", ok, err)
	}
	if w.members("readers") != "" {
		t.Error("a process that does not run has changed the list")
	}

	stop = w.run(w.open())
	w.eventually("ada is on the list", func() bool {
		return w.members("readers") == "Ada@example.org,Ada\n" || w.members("readers") == ada+",Ada\n"
	})
	stop()
	if n := w.rdb.Exists(t.Context(), "bs:{subscribe}:waiting:readers", "bs:{subscribe}:outbox", "bs:{subscribe}:lease").Val(); n != 0 {
		t.Errorf("%d keys are left of what is done", n)
	}
}

// Of two processes one sends.
func TestOneProcessSends(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *configs.Config) {
		f := c.Subscribe["newsletter"]
		f.Limits.PerNetwork = 1000
		c.Subscribe["newsletter"] = f
	})
	w.run(w.Service)
	w.run(w.open())
	got := map[string]int{}
	for i := range 20 {
		w.ask("reader" + string(rune('a'+i)) + "@example.org")
	}
	for range 20 {
		got[w.message().to]++
	}
	w.none()
	if len(got) != 20 {
		t.Errorf("%d people got a message, want 20: %v", len(got), got)
	}
}

// Without Redis nothing is answered as if it were noted, and everything works again
// afterwards.
func TestRedisAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sealed, err := w.keys.SealSubscribe(token.Subscribe{Form: "newsletter", Address: ada, Asked: w.clock.Now()})
	if err != nil {
		t.Fatal(err)
	}
	w.redis.Shutdown()
	if err := w.Ask(t.Context(), request(ada)); err == nil {
		t.Error("Ask: no error without Redis")
	}
	if ok, err := w.Confirm(t.Context(), sealed); ok || err == nil {
		t.Errorf("Confirm: got %v, %v without Redis", ok, err)
	}
	if _, err := w.Look(sealed); err != nil {
		t.Errorf("Look: %v, want it without Redis", err)
	}
	w.redis.Start()
	if ok, err := w.Confirm(t.Context(), sealed); !ok || err != nil {
		t.Errorf("Confirm: got %v, %v when Redis is there again", ok, err)
	}
}

// People who subscribe while an operator works on the list are on it afterwards, and the
// versions of the operator stay.
func TestSubscribersPushOutNoVersionOfAnOperator(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, who := range []string{"one@example.org", "two@example.org", "three@example.org"} {
		a, err := address.Parse(who)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.lists.Add(t.Context(), "readers", a); err != nil {
			t.Fatal(err)
		}
	}
	w.run(w.Service)
	for i := range 4 {
		who := string(rune('a'+i)) + "@example.org"
		sealed, err := w.keys.SealSubscribe(token.Subscribe{Form: "newsletter", Address: who, Asked: w.clock.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if ok, err := w.Confirm(t.Context(), sealed); !ok || err != nil {
			t.Fatalf("Confirm: got %v, %v", ok, err)
		}
		w.clock.move(time.Hour)
		w.eventually(who+" is on the list", func() bool { return strings.Contains(w.members("readers"), who) })
	}
	list, err := w.lists.Show(t.Context(), "readers")
	if err != nil {
		t.Fatal(err)
	}
	var versions []int
	for _, v := range list.Versions {
		versions = append(versions, v.N)
	}
	if want := []int{7, 6, 3, 2, 1}; !slices.Equal(versions, want) || list.Count != 7 {
		t.Errorf("versions %v with %d people, want %v with 7", versions, list.Count, want)
	}
	if _, err := w.lists.Restore(t.Context(), "readers", 1); err != nil {
		t.Errorf("restore the first version: %v", err)
	}
}

// The store that is within a process does it as well.
func TestOnTheEmbeddedStore(t *testing.T) {
	t.Parallel()
	st, err := store.OpenEmbedded(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	w := newWorldOn(t, st.Client(), st.Lua)
	stop := w.run(w.Service)
	w.ask(ada)
	link := linkIn(t, w.message().message)
	w.ask(ada) // too early, which is not said
	if ok, err := w.Confirm(t.Context(), link); !ok || err != nil {
		t.Fatalf("Confirm: got %v, %v", ok, err)
	}
	w.eventually("ada is on the list", func() bool { return w.members("readers") == ada+",Ada\n" })
	w.none()
	if got := w.proofs(ada); len(got) != 1 || got[0].Words == "" {
		t.Errorf("proofs: got %+v", got)
	}
	stop()
}

func TestInvite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *configs.Config) { c.OnlyTo = []string{"*@example.org"} })
	r := request(ada)
	r.Source = "fair in Ulm"
	answer, err := w.Invite(t.Context(), r)
	if err != nil || answer.Code != 250 {
		t.Fatalf("got %v, %v", answer, err)
	}
	link := linkIn(t, w.message().message)
	if ok, err := w.Confirm(t.Context(), link); !ok || err != nil || w.proofs(ada)[0].Source != "fair in Ulm" {
		t.Errorf("confirmed %v, %v, proofs %+v", ok, err, w.proofs(ada))
	}

	if _, err := w.Invite(t.Context(), r); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), "try again in 10m0s") {
		t.Errorf("again: got %v, want it refused", err)
	}
	if _, err := w.list.Add(t.Context(), suppression.Entry{Address: "bob@example.org", Reason: suppression.ReasonBounce}); err != nil {
		t.Fatal(err)
	}
	for to, want := range map[string]error{"bob@example.org": failure.ErrRefused, "eve@example.net": failure.ErrRefused, "nobody": failure.ErrInvalid} {
		if _, err := w.Invite(t.Context(), request(to)); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", to, err, want)
		}
	}
	if n := len(w.courier.got); n != 0 {
		t.Errorf("%d messages more were sent", n)
	}
}

// The built-in letter can be confirmed in every language, and one of the project's own
// has its link and its fields.
func TestLetters(t *testing.T) {
	t.Parallel()
	for _, language := range configs.Languages {
		w := newWorld(t)
		r := request(ada)
		r.Language = language
		if _, err := w.Invite(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		_, text, html := parts(t, w.message().message)
		form, ok := w.Form("newsletter", language)
		if !ok || !strings.Contains(form.Words.Title, "Acme News") || strings.Contains(form.Words.Title+form.Words.Text, "{") || form.Words.Email == "" || form.Words.Button == "" {
			t.Errorf("%s: form %+v", language, form)
		}
		if !strings.Contains(html, `lang="`+language+`"`) || !strings.Contains(text, "Acme News") || strings.Contains(text, "nsubscribe") {
			t.Errorf("%s: text:\n%s", language, text)
		}
	}

	own := filepath.Join(t.TempDir(), "confirm.md")
	if err := os.WriteFile(own, []byte("Hello {{default \"you\" .first_name}}, do you want {{.topic}}?\n\n[Yes]({{.confirm_url}})\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, withLetter(own))
	if _, err := w.Invite(t.Context(), request(ada)); err != nil {
		t.Fatal(err)
	}
	m := w.message().message
	linkIn(t, m)
	if header, text, _ := parts(t, m); header.Get("Subject") != "Really?" || !strings.Contains(text, "Hello Ada, do you want Acme News?") {
		t.Errorf("subject %q, text:\n%s", header.Get("Subject"), text)
	}
}

func withLetter(file string) func(*configs.Config) {
	return func(c *configs.Config) {
		f := c.Subscribe["newsletter"]
		f.Letter = file
		f.Subject = "Really?"
		c.Subscribe["newsletter"] = f
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		letter string
		change func(*configs.Config)
		want   string
	}{
		"no file":       {"", withLetter("/nowhere/confirm.md"), "subscribe.newsletter.letter: "},
		"no link":       {"Do you?", nil, "found no {{.confirm_url}}"},
		"hidden link":   {"{{if .first_name}}[Yes]({{.confirm_url}}){{end}}", nil, "link to confirm"},
		"unsubscribing": {"[Yes]({{.confirm_url}}) [No]({{.unsubscribe_url}})", nil, "found {{.unsubscribe_url}}"},
		"no such field": {"{{.city}} [Yes]({{.confirm_url}})", nil, "city"},
		"no account":    {"", func(c *configs.Config) { c.Accounts = nil }, "no account is configured"},
		"two accounts":  {"", func(c *configs.Config) { c.Accounts["other"] = configs.Account{} }, "there are main, other"},
		"no public URL": {"", func(c *configs.Config) { c.PublicURL = "" }, "public_url is not set"},
	} {
		cfg := &configs.Config{
			PublicURL: "https://news.acme.example", Accounts: map[string]configs.Account{"main": {Name: "main"}},
			Subscribe: map[string]configs.SubscribeForm{"newsletter": {List: "l", Topic: "newsletter", From: "news@acme.example", Fields: []string{"first_name"}}},
		}
		if tt.letter != "" {
			file := filepath.Join(t.TempDir(), "confirm.md")
			if err := os.WriteFile(file, []byte(tt.letter), 0o600); err != nil {
				t.Fatal(err)
			}
			withLetter(file)(cfg)
		}
		if tt.change != nil {
			tt.change(cfg)
		}
		_, err := subscribe.New(subscribe.Config{Settings: cfg, Log: slog.New(slog.DiscardHandler)})
		if !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}

	two := &configs.Config{
		PublicURL: "https://news.acme.example", Accounts: map[string]configs.Account{"bulk": {}, "single": {Stream: configs.Transactional}},
		Subscribe: map[string]configs.SubscribeForm{"newsletter": {List: "l", Topic: "newsletter", From: "news@acme.example"}},
	}
	if _, err := subscribe.New(subscribe.Config{Settings: two, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Errorf("with one account for transactional mail: %v", err)
	}
}
