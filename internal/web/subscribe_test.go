package web_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/subscribe"
	"broadside/internal/testkit"
	"broadside/internal/web"
	"broadside/sender/reply"
)

// A booth is a site with forms on a real Redis; nothing sends the messages of its outbox.
type booth struct {
	*site
	redis *testkit.RedisServer
	rdb   *redis.Client
	store *subscribe.Store

	mu  sync.Mutex
	now time.Time // what the service takes for the time; guarded by mu
}

func (b *booth) move(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.now = b.now.Add(d)
}

func (b *booth) time() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.now
}

// mute is a courier that no one asks.
type mute struct{}

func (mute) Send(context.Context, string, string, string, []byte) (reply.Reply, error) {
	return reply.Reply{Code: 250}, nil
}

func newBooth(t *testing.T) *booth {
	t.Helper()
	b := &booth{redis: testkit.NewRedis(t), now: time.Date(2026, 10, 1, 7, 0, 0, 0, time.UTC)}
	opts, err := redis.ParseURL(b.redis.URL())
	if err != nil {
		t.Fatal(err)
	}
	opts.MaxRetries = -1
	b.rdb = redis.NewClient(opts)
	t.Cleanup(func() { b.rdb.Close() })
	keys, err := token.NewKeys([]string{"32 bytes of a secret for the tests"}) // as newSite has
	if err != nil {
		t.Fatal(err)
	}

	limits := configs.SubscribeLimits{Every: 10 * time.Minute, PerDay: 5, PerNetwork: 20}
	cfg := &configs.Config{
		PublicURL: "https://news.acme.example", Topics: three, Accounts: map[string]configs.Account{"main": {Name: "main"}},
		Subscribe: map[string]configs.SubscribeForm{
			"newsletter": {List: "readers", Topic: "news", From: "Acme <news@acme.example>", Fields: []string{"first_name"}, Limits: limits},
			"onward":     {List: "onward", Topic: "news", From: "Acme <news@acme.example>", Redirect: "https://acme.example/welcome?a=b", Language: "fr", Limits: limits},
		},
	}
	list := suppression.New(b.rdb, "bs", redis.NewScript)
	b.store = subscribe.NewStore(b.rdb, "bs", redis.NewScript)
	forms, err := subscribe.New(subscribe.Config{
		Settings: cfg, Keys: keys, Store: b.store, Suppression: list, Courier: mute{}, Import: audience.NewLists(b.rdb, "bs").Import,
		Now: b.time, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.site = newSite(t, web.Config{Ready: ready, Topics: three, Subscribe: forms, PublicURL: cfg.PublicURL}, list)
	return b
}

// outbox returns what waits for being sent.
func (b *booth) outbox(t *testing.T) []token.Subscribe {
	t.Helper()
	texts, err := b.rdb.ZRange(t.Context(), "bs:{subscribe}:outbox", 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	var all []token.Subscribe
	for _, text := range texts {
		s, err := b.keys.OpenSubscribe(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
	return all
}

func (b *booth) confirmed(t *testing.T, who string) bool {
	t.Helper()
	a, err := address.Parse(who)
	if err != nil {
		t.Fatal(err)
	}
	proofs, err := b.store.Of(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	return len(proofs) > 0
}

// link returns a token as a message has it.
func (b *booth) link(t *testing.T, s token.Subscribe) string {
	t.Helper()
	text, err := b.keys.SealSubscribe(s)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// send makes a request with headers.
func (b *booth) send(t *testing.T, method, path, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	return exchange(t, req)
}

const asForm, asJSON = "Content-Type: application/x-www-form-urlencoded", "Content-Type: application/json"

func TestTheFormToSubscribe(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	res, text := b.send(t, "GET", "/subscribe/newsletter", "", "Accept-Language: de-AT")
	for _, want := range []string{
		`<html lang="de">`, "<h1>Acme &lt;News&gt; abonnieren</h1>", `<label for="email">E-Mail-Adresse</label>`, `type="email" value="" autocomplete="email" required>`,
		`<label for="first_name">Vorname</label>`, `autocomplete="given-name"`, `<p hidden>`, `name="website"`, `name="language" value="de"`, `<form method="post"`,
	} {
		if res.StatusCode != 200 || !strings.Contains(text, want) {
			t.Errorf("the form: %d, lacks %q:\n%s", res.StatusCode, want, text)
		}
	}
	if _, text := b.send(t, "GET", "/subscribe/onward", "", "Accept-Language: de"); !strings.Contains(text, `<html lang="fr">`) {
		t.Errorf("a form with a language of its own:\n%s", text)
	}

	for _, tt := range []struct {
		method, path string
		status       int
	}{
		{"HEAD", "/subscribe/newsletter", 200},
		{"GET", "/subscribe/newsletter/", 200},
		{"GET", "//subscribe//newsletter", 200},
		{"PUT", "/subscribe/newsletter", 405},
		{"GET", "/subscribe/other", 404},
		{"POST", "/subscribe/other", 404},
		{"GET", "/subscribe/", 404},
		{"GET", "/subscribe", 404},
		{"GET", "/subscribe/Newsletter", 404},
		{"GET", "/subscribe/newsletter/x", 404},
		{"GET", "/subscribe/confirm/", 404},
		{"DELETE", "/subscribe/confirm/x", 405},
	} {
		if res, _ := b.send(t, tt.method, tt.path, ""); res.StatusCode != tt.status {
			t.Errorf("%s %s: got %d, want %d", tt.method, tt.path, res.StatusCode, tt.status)
		}
	}

	none := newSite(t, web.Config{Feedback: applier(func() error { return nil }), Ready: ready}, nil)
	for _, path := range []string{"/subscribe/newsletter", "/subscribe/confirm/x"} {
		if res, _ := none.do(t, "POST", path, form, "email=ada%40example.org"); res.StatusCode != 404 {
			t.Errorf("%s without forms: got %d, want 404", path, res.StatusCode)
		}
	}
}

// Every way to ask is heard, and what cannot be taken is said in words.
func TestAskingToSubscribe(t *testing.T) {
	t.Parallel()
	multiType, multiBody := multi(t, "email", "ada@example.org")
	want := token.Subscribe{Form: "newsletter", Address: "ada@example.org", Language: "en", Source: "page", Network: "127.0.0.0/24"}
	named := want
	named.Fields = map[string]string{"first_name": "Ada"}
	api := named
	api.Source = "api"
	german := want
	german.Language = "de"
	for _, tt := range []struct {
		name, body string
		headers    []string
		status     int
		text       string
		asked      *token.Subscribe // nil: nothing
	}{
		{"form", "email=ada%40example.org&first_name=Ada&submit=x", []string{asForm}, 200, "look into your mailbox", &named},
		{"multipart", multiBody, []string{"Content-Type: " + multiType}, 200, "look into your mailbox", &want},
		{"without a type", "email=ada%40example.org", nil, 200, "look into your mailbox", &want},
		{"in the language of the page", "email=ada%40example.org&language=de", []string{asForm, "Accept-Language: es"}, 200, "in Ihr Postfach", &german},
		{"in no language", "email=ada%40example.org&language=xx", []string{asForm}, 200, "look into your mailbox", &want},
		{"JSON", `{"email": "ada@example.org", "first_name": "Ada"}`, []string{asJSON}, 202, `"message":`, &api},
		{"form, answered in JSON", "email=ada%40example.org", []string{asForm, "Accept: application/json"}, 202, `"message":`, &want},
		{"trap", "email=ada%40example.org&website=spam.example", []string{asForm}, 200, "look into your mailbox", nil},
		{"no address", "email=ada", []string{asForm}, 422, "not an address that can get mail", nil},
		{"nothing", "", []string{asForm}, 422, "not an address that can get mail", nil},
		{"two addresses", "email=ada%40example.org,bob%40example.org", []string{asForm}, 422, `aria-invalid="true"`, nil},
		{"no address, JSON", `{"email": "ada"}`, []string{asJSON}, 422, `"field":"email"`, nil},
		{"a link in the name", "email=ada%40example.org&first_name=http://spam.example", []string{asForm}, 422, "without links", nil},
		{"unknown field, JSON", `{"email": "ada@example.org", "city": "Ulm"}`, []string{asJSON}, 422, `"field":"city"`, nil},
		{"number, JSON", `{"email": 1}`, []string{asJSON}, 400, `"error":`, nil},
		{"array, JSON", `[]`, []string{asJSON}, 400, `"error":`, nil},
		{"null, JSON", `null`, []string{asJSON}, 400, `"error":`, nil},
		{"broken JSON", `{"email": "ada@example.org"`, []string{asJSON}, 400, `"error":`, nil},
		{"broken form", "email=%zz", []string{asForm}, 400, "could not be read", nil},
		{"large", "email=ada%40example.org&x=" + strings.Repeat("x", 5000), []string{asForm}, 413, "could not be read", nil},
		{"large JSON", `{"email": "ada@example.org", "x": "` + strings.Repeat("x", 5000) + `"}`, []string{asJSON}, 413, `"error":`, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBooth(t)
			res, text := b.send(t, "POST", "/subscribe/newsletter", tt.body, tt.headers...)
			if res.StatusCode != tt.status || !strings.Contains(text, tt.text) || strings.Contains(text, "<script") {
				t.Errorf("got %d, want %d with %q:\n%s", res.StatusCode, tt.status, tt.text, text)
			}
			if strings.Contains(tt.text, `"`) && !strings.Contains(tt.text, "aria") && !json.Valid([]byte(text)) {
				t.Errorf("the answer is no JSON: %s", text)
			}
			var asked []token.Subscribe
			if tt.asked != nil {
				asked = append(asked, *tt.asked)
				asked[0].Asked = b.time()
			}
			got := b.outbox(t)
			for i := range got {
				if len(got[i].Text) != 12 {
					t.Errorf("version of the text: got %q", got[i].Text)
				}
				got[i].Text = ""
			}
			if diff := cmp.Diff(asked, got); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
		})
	}
}

// What was filled in stays in the form, as text.
func TestTheFormComesBackFilledIn(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	body := url.Values{"email": {`"><script>alert(1)</script>`}, "first_name": {"<b>Ada"}}.Encode()
	_, text := b.send(t, "POST", "/subscribe/newsletter", body, asForm)
	for _, want := range []string{`value="&#34;&gt;&lt;script&gt;alert(1)&lt;/script&gt;"`, `value="&lt;b&gt;Ada"`, `role="alert"`, `aria-describedby="problem"`} {
		if !strings.Contains(text, want) {
			t.Errorf("the form lacks %q:\n%s", want, text)
		}
	}
}

// The answer is the same whatever is known of an address, and for how often it was asked.
func TestTheAnswerTellsNothingOfAnAddress(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	for who, reason := range map[string]string{"left@example.org": suppression.ReasonUnsubscribe, "complained@example.org": suppression.ReasonComplaint} {
		if _, err := b.list.Add(t.Context(), suppression.Entry{Address: who, Reason: reason}); err != nil {
			t.Fatal(err)
		}
	}
	known := b.link(t, token.Subscribe{Form: "newsletter", Address: "known@example.org", Asked: b.time()})
	if res, _ := b.send(t, "POST", subscribe.ConfirmPath+known, "confirm=yes", asForm); res.StatusCode != 200 {
		t.Fatalf("confirm: got %d", res.StatusCode)
	}

	_, first := b.send(t, "POST", "/subscribe/newsletter", "email=new%40example.org", asForm)
	for _, who := range []string{"new", "left", "complained", "known", "known"} {
		res, text := b.send(t, "POST", "/subscribe/newsletter", "email="+who+"%40example.org", asForm)
		if res.StatusCode != 200 || text != first {
			t.Errorf("%s: got %d and another page:\n%s", who, res.StatusCode, cmp.Diff(first, text))
		}
	}
	if n := len(b.outbox(t)); n != 4 {
		t.Errorf("%d messages wait, want one for each of 4 people", n)
	}
}

// A network asks so often; behind a proxy on this machine it is the one that the proxy
// names last.
func TestANetworkAsksSoOften(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	ask := func(i int, forwarded string) *http.Response {
		t.Helper()
		res, _ := b.send(t, "POST", "/subscribe/newsletter", "email=reader"+string(rune('a'+i))+"%40example.org", asForm, "X-Forwarded-For: "+forwarded)
		return res
	}
	for i := range 20 {
		if res := ask(i, "203.0.113.9, 192.0.2."+string(rune('1'+i%9))); res.StatusCode != 200 {
			t.Fatalf("request %d: got %d", i, res.StatusCode)
		}
	}
	b.move(30 * time.Minute)
	res := ask(20, "198.51.100.1, 192.0.2.50")
	if res.StatusCode != 429 || res.Header.Get("Retry-After") != "1801" {
		t.Errorf("the next one: got %d, Retry-After %q, want 429 and 1801", res.StatusCode, res.Header.Get("Retry-After"))
	}
	if res := ask(20, "192.0.2.50, 198.51.100.1"); res.StatusCode != 200 {
		t.Errorf("another network: got %d, want 200", res.StatusCode)
	}
	b.move(30 * time.Minute)
	if res := ask(21, "192.0.2.50"); res.StatusCode != 200 {
		t.Errorf("an hour later: got %d, want 200", res.StatusCode)
	}
	if got := b.outbox(t)[0].Network; got != "192.0.2.0/24" {
		t.Errorf("network of the proof: got %q", got)
	}
}

// Scanners open every link: whatever is not the button changes nothing.
func TestOnlyTheButtonConfirms(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	link := token.Subscribe{Form: "newsletter", Address: "ada@example.org", Language: "de", Asked: b.time()}
	path := subscribe.ConfirmPath + b.link(t, link)
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string
	}{
		{"look", "GET", path, "", 200, `<button type="submit" name="confirm" value="yes">Ja, abonnieren</button>`},
		{"look with a query", "GET", path + "?confirm=yes", "", 200, "a***@example.org"},
		{"look with a body", "GET", path, "confirm=yes", 200, "<button"},
		{"head", "HEAD", path, "", 200, ""},
		{"empty post", "POST", path, "", 400, "<button"},
		{"query of a post", "POST", path + "?confirm=yes", "", 400, "<button"},
		{"other field", "POST", path, "leave=news", 400, "<button"},
		{"mail program's button", "POST", path, "List-Unsubscribe=One-Click", 400, "<button"},
		{"large", "POST", path, "confirm=yes&x=" + strings.Repeat("x", 5000), 400, "<button"},
		{"put", "PUT", path, "confirm=yes", 405, ""},
		{"another token", "POST", path + "A", "confirm=yes", 404, "This link does not work"},
		{"no token", "POST", subscribe.ConfirmPath, "confirm=yes", 404, "This link does not work"},
		{"link to unsubscribe", "POST", subscribe.ConfirmPath + b.keys.Seal(token.Unsubscribe{Topic: "news", Address: "ada@example.org"}), "confirm=yes", 404, "This link does not work"},
	} {
		res, text := b.send(t, tt.method, tt.path, tt.body, asForm)
		if res.StatusCode != tt.status || !strings.Contains(text, tt.want) {
			t.Errorf("%s: got %d, want %d with %q:\n%s", tt.name, res.StatusCode, tt.status, tt.want, text)
		}
	}
	if b.confirmed(t, "ada@example.org") || b.rdb.DBSize(t.Context()).Val() != 0 {
		t.Fatal("something has changed")
	}

	for range 2 { // the second time is as good as the first
		res, text := b.send(t, "POST", path+".", "confirm=yes", asForm)
		if res.StatusCode != 200 || !strings.Contains(text, "Sie haben es abonniert") || !strings.Contains(text, "Acme &lt;News&gt; an a***@example.org") {
			t.Errorf("the button: got %d:\n%s", res.StatusCode, text)
		}
	}
	if !b.confirmed(t, "ada@example.org") {
		t.Error("nothing was confirmed")
	}
}

func TestConfirmingElsewhere(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	path := subscribe.ConfirmPath + b.link(t, token.Subscribe{Form: "onward", Address: "ada@example.org", Language: "fr", Asked: b.time()})
	res, _ := b.send(t, "GET", path, "")
	if policy := res.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self' https://acme.example;") {
		t.Errorf("policy %q: browsers would not follow", policy)
	}
	res, _ = b.send(t, "POST", path, "confirm=yes", asForm)
	if res.StatusCode != 303 || res.Header.Get("Location") != "https://acme.example/welcome?a=b" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("got %d to %q", res.StatusCode, res.Header.Get("Location"))
	}
	if !b.confirmed(t, "ada@example.org") {
		t.Error("nothing was confirmed")
	}

	// An address that is suppressed is told so: who has the link has the mailbox.
	if _, err := b.list.Add(t.Context(), suppression.Entry{Address: "bob@example.org", Reason: suppression.ReasonComplaint}); err != nil {
		t.Fatal(err)
	}
	bob := token.Subscribe{Form: "newsletter", Address: "bob@example.org", Language: "en", Asked: b.time()}
	res, text := b.send(t, "POST", subscribe.ConfirmPath+b.link(t, bob), "confirm=yes", asForm)
	if res.StatusCode != 409 || !strings.Contains(text, "Nothing has changed") || b.confirmed(t, "bob@example.org") {
		t.Errorf("suppressed: got %d:\n%s", res.StatusCode, text)
	}

	b.move(subscribe.LinkLife + time.Second)
	for _, method := range []string{"GET", "POST"} {
		res, text := b.send(t, method, path, "confirm=yes", asForm)
		if res.StatusCode != 410 || !strings.Contains(text, "trop ancien") {
			t.Errorf("%s a week later: got %d:\n%s", method, res.StatusCode, text)
		}
	}
}

// While Redis is away pages are shown, and nothing is answered as if it were noted.
func TestSubscribingWithoutRedis(t *testing.T) {
	t.Parallel()
	b := newBooth(t)
	path := subscribe.ConfirmPath + b.link(t, token.Subscribe{Form: "newsletter", Address: "ada@example.org", Language: "en", Asked: b.time()})
	b.redis.Shutdown()
	for _, tt := range []struct {
		method, path, body, contentType string
		status                          int
		want                            string
	}{
		{"GET", "/subscribe/newsletter", "", asForm, 200, "<form"},
		{"GET", path, "", asForm, 200, "<button"},
		{"POST", "/subscribe/newsletter", "email=ada%40example.org", asForm, 503, `value="ada@example.org"`},
		{"POST", "/subscribe/newsletter", `{"email":"ada@example.org"}`, asJSON, 503, `"error":`},
		{"POST", path, "confirm=yes", asForm, 503, "<button"},
	} {
		res, text := b.send(t, tt.method, tt.path, tt.body, tt.contentType)
		if res.StatusCode != tt.status || !strings.Contains(text, tt.want) || tt.status == 503 && res.Header.Get("Retry-After") != "30" {
			t.Errorf("%s %s: got %d, Retry-After %q:\n%s", tt.method, tt.path, res.StatusCode, res.Header.Get("Retry-After"), text)
		}
	}
	if log := b.log.String(); strings.Contains(log, "ada@") || strings.Count(log, "subscriptions cannot be noted") != 1 {
		t.Errorf("log:\n%s", log)
	}

	b.redis.Start()
	if res, text := b.send(t, "POST", path, "confirm=yes", asForm); res.StatusCode != 200 {
		t.Errorf("afterwards: got %d:\n%s", res.StatusCode, text)
	}
}

// Both pages in a browser, on a telephone and on a wide screen: they fit, axe finds
// nothing serious, and they work without a mouse.
func TestSubscribePagesInABrowser(t *testing.T) {
	t.Parallel()
	ctx := chromium(t)
	b := newBooth(t)
	scheme := func(name string) {
		t.Helper()
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	run(t, ctx, chromedp.EmulateViewport(390, 844))
	scheme("dark")
	run(t, ctx, chromedp.Navigate(b.http.URL+"/subscribe/newsletter"))
	checkPage(t, ctx, "form-dark")
	scheme("light")
	run(t, ctx, chromedp.Navigate(b.http.URL+"/subscribe/newsletter"))
	checkPage(t, ctx, "form")
	if got := run(t, ctx, chromedp.Evaluate[string](`getComputedStyle(document.getElementById("website").parentElement).display`)); got != "none" {
		t.Errorf("the trap is shown: display %s", got)
	}
	var order []string
	for range 3 {
		run(t, ctx, chromedp.KeyEvent("\t"))
		order = append(order, run(t, ctx, chromedp.Evaluate[string](`document.activeElement.name || document.activeElement.type`)))
	}
	if diff := cmp.Diff([]string{"email", "first_name", "submit"}, order); diff != "" {
		t.Errorf("focus order (-want +got):\n%s", diff)
	}

	// What the browser takes for an address, the server need not.
	run(t, ctx, chromedp.Evaluate[chromedp.Void](`document.querySelector("form").noValidate = true; document.getElementById("email").value = "ada"`))
	submit(t, ctx)
	checkPage(t, ctx, "problem")
	run(t, ctx, chromedp.Evaluate[chromedp.Void](`document.getElementById("email").value = "ada@example.org"`))
	submit(t, ctx)
	checkPage(t, ctx, "sent")
	asked := b.outbox(t)
	if len(asked) != 1 || asked[0].Address != "ada@example.org" {
		t.Fatalf("asked: %+v", asked)
	}

	run(t, ctx, chromedp.EmulateViewport(1280, 800))
	run(t, ctx, chromedp.Navigate(b.http.URL+subscribe.ConfirmPath+b.link(t, asked[0])))
	checkPage(t, ctx, "confirm")
	press(t, ctx, "confirm=yes")
	checkPage(t, ctx, "done")
	if !b.confirmed(t, "ada@example.org") {
		t.Error("nothing was confirmed")
	}
}

// submit presses the only button of a form.
func submit(t *testing.T, ctx context.Context) {
	t.Helper()
	if _, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(`form button[type="submit"]`))); err != nil {
		t.Fatalf("submit: %v", err)
	}
}
