package app

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/campaign/address"
	"broadside/configs"
	"broadside/internal/sink"
	"broadside/internal/testkit"
)

// subscribePatience is how long the test waits for what processes do.
const subscribePatience = 20 * time.Second

// From the form in a browser over a server that takes mail to the list, in the processes
// that an installation has.
func TestSubscribingFromTheFormToTheList(t *testing.T) {
	t.Parallel()
	messages := make(chan string, 10)
	server, err := sink.Listen("127.0.0.1:0", sink.Config{Record: func(e sink.Event) {
		if e.Data != nil {
			messages <- e.To + "\n" + string(e.Data)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { server.Serve(ctx) })

	host, port, err := net.SplitHostPort(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	text := "redis_url: " + testkit.Redis(t) + "\npublic_url: http://127.0.0.1:8080\nsecrets: [a-secret-of-the-tests-that-signs-nothing-real]\n" +
		"accounts:\n  single: {host: " + host + ", port: " + port + ", tls: none, stream: transactional, limits: {rate: 20/s, per_day: 5, connections: 1}}\n" +
		"  bulk: {host: bulk.invalid}\n" +
		"subscribe:\n  newsletter: {from: Acme <news@acme.example>, fields: [first_name]}\n"
	if err := os.WriteFile(filepath.Join(dir, configs.DefaultFile), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	a, err := Open(t.Context(), cfg, Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	base := "http://" + ln.Addr().String()
	running.Go(func() {
		if err := a.Web(ctx, ln); err != nil {
			t.Errorf("Web: %v", err)
		}
	})

	post(t, base+configs.SubscribePath+"newsletter", "email=ada%40example.org&first_name=Ada", 200)
	var message string
	select {
	case message = <-messages:
	case <-time.After(subscribePatience):
		t.Fatal("no message came")
	}
	to, message, _ := strings.Cut(message, "\n")
	unfolded := strings.ReplaceAll(message, "=\r\n", "") // soft breaks; no character of a token is encoded
	link := regexp.MustCompile(`http://127\.0\.0\.1:8080(/subscribe/confirm/[A-Za-z0-9_-]+)`).FindStringSubmatch(unfolded)
	if to != "ada@example.org" || link == nil || strings.Contains(message, "List-Unsubscribe") {
		t.Fatalf("message to %s:\n%s", to, message)
	}

	post(t, base+link[1], "confirm=yes", 200)
	has := func() bool {
		parsed, err := address.Parse("ada@example.org")
		if err != nil {
			t.Fatal(err)
		}
		found, err := a.Lists.Has(t.Context(), "newsletter", parsed)
		return err == nil && found
	}
	on := false
	for range testkit.Tries(subscribePatience) {
		if on = has(); on {
			break
		}
	}
	if !on {
		t.Fatal("the list does not have the address")
	}
	used, err := a.used(t.Context(), "single")
	if err != nil || len(used) != 1 || used[0].Used != 1 {
		t.Errorf("used of the account's quotas: got %+v, %v, want one message", used, err)
	}
	counts, err := a.conns.Counts(t.Context(), "single")
	open := 0
	for _, n := range counts {
		open += n
	}
	if err != nil || open != 0 {
		t.Errorf("connections that count: %v, %v, want none", counts, err)
	}
	if counts, err := a.Subscribers.Counts(t.Context()); counts["newsletter"] != 1 || err != nil {
		t.Errorf("confirmed: %v, %v", counts, err)
	}
}

// post sends a form and expects a status.
func post(t *testing.T, to, body string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	client := http.Client{}
	defer client.CloseIdleConnections()
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != status {
		t.Fatalf("POST %s: got %d, %v, want %d:\n%s", to, res.StatusCode, err, status, text)
	}
}

// Without forms nothing is asked of the letters and accounts of any.
func TestAnInstallationWithoutForms(t *testing.T) {
	t.Parallel()
	a := openProject(t, t.TempDir())
	forms, err := a.Subscriptions()
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := forms.Form("newsletter", "en"); ok {
		t.Error("there is a form")
	}
	if _, err := forms.Look("x"); err == nil {
		t.Error("a link opens")
	}
}
