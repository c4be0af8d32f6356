package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// receipts is an account for single messages next to that for bulk mail.
func receipts(addr string) string { return account("receipts", addr, "    stream: transactional\n") }

// single is how a single message stands.
type single struct {
	ID    string `json:"id"`
	State string `json:"state"`
}

// shop writes a template, and returns a token for the API.
func (w *world) shop() string {
	w.t.Helper()
	w.write("receipt.yaml", "id: receipt\nfrom: Acme <shop@acme.example>\nsubject: Order {{.order}}\ncontent: {markdown: receipt.md}\ndelivery: {retry: [1s]}\n")
	w.write("receipt.md", "Thank you for order {{.order}}.\n")
	token, _ := w.run(0, "token", "create", "--scope", "send")
	return strings.TrimSpace(token)
}

// post asks for the message of an order. The answer is that of a process which may die at
// any moment: ok says whether one came that says the message was taken.
func (w *world) post(base, token string, order int) (st single, ok bool) {
	w.t.Helper()
	body := fmt.Sprintf(`{"template": "receipt", "to": %q, "data": {"order": %d}}`, customer(order), order)
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, base+"/api/v1/send", bytes.NewBufferString(body))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", fmt.Sprintf("order-%d", order))
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return single{}, false
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusAccepted && res.StatusCode != http.StatusOK {
		return single{}, false
	}
	if err := json.NewDecoder(res.Body).Decode(&st); err != nil {
		return single{}, false
	}
	return st, true
}

// sendsSingle has a program and an operator send a message each.
func (w *world) sendsSingle(base string, sink *testkit.RecSink) {
	w.t.Helper()
	token := w.shop()
	if _, ok := w.post(base, token, 1); !ok {
		w.t.Fatal("a message was not taken")
	}
	w.soon("the message arrives", func() bool { return sink.Accepted()[customer(1)] == 1 })
	w.write("data.json", `{"order": 2}`)
	w.run(0, "send", "--template", "receipt.yaml", "--to", customer(2), "--data", "data.json", "--key", "order-2")
	w.run(0, "person", "erase", customer(2))
	w.run(0, "token", "ls")
	w.run(0, "token", "revoke", strings.Split(token, "_")[1])
}

func customer(order int) string { return fmt.Sprintf("customer%d@example.org", order) }

// TestSinglesOutliveKills asks for messages, each under a key and until it is answered,
// while web and workers are killed again and again: none arrives twice, and none that was
// answered is lost.
func TestSinglesOutliveKills(t *testing.T) {
	t.Parallel()
	const orders = 60
	const kills = 3
	sink := testkit.NewRecsink(t, "-delay", "100ms")
	w := newWorld(t, setup{accounts: receipts(sink.Addr())})
	token := w.shop()
	web, base := w.web()
	workers := []*testkit.Proc{w.worker(), w.worker()}

	ids := make([]string, orders)
	next := make(chan int)
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for order := range next {
				for range testkit.Tries(time.Minute) { // web is away now and then
					if st, ok := w.post(base, token, order); ok {
						ids[order] = st.ID
						break
					}
				}
			}
		})
	}
	for order := range orders {
		next <- order
		if order%(orders/kills) == orders/kills/2 {
			w.soon("a message is on its way", func() bool { return sink.Count() > order/3 })
			i := order / (orders / kills) % len(workers)
			workers[i].Kill()
			web.Kill()
			web = w.start("web") // at the same address
			web.WaitLine("web started", 20*time.Second)
			workers[i] = w.worker()
		}
	}
	close(next)
	asking.Wait()

	// What was in its body at a kill stays claimed; all others are accepted.
	inDoubt := 0
	for order := range orders {
		var st single
		w.soon(customer(order)+" has its message", func() bool {
			var ok bool
			st, ok = w.post(base, token, order)
			if ok && st.ID != ids[order] {
				t.Fatalf("order %d: got id %s, was answered %s", order, st.ID, ids[order])
			}
			return ok && (st.State == "accepted" || st.State == "sending" || st.State == "uncertain")
		})
		if st.State == "sending" {
			inDoubt++
		}
	}
	got := sink.Accepted()
	for order := range orders {
		if n := got[customer(order)]; n > 1 {
			t.Errorf("order %d arrived %d times", order, n)
		}
	}
	if missing := orders - len(got); missing > inDoubt {
		t.Errorf("%d of %d messages arrived, and only %d are in doubt", len(got), orders, inDoubt)
	}
	if most := kills * 10; inDoubt > most {
		t.Errorf("%d messages are in doubt, want at most %d, which the killed had in hand", inDoubt, most)
	}
}

// TestASingleMessageIsNotBehindBulk asks for messages while a campaign with 20,000
// recipients goes out: by an account of its own, and by that of the campaign.
func TestASingleMessageIsNotBehindBulk(t *testing.T) {
	const people = 20_000
	// A message takes some milliseconds here. The campaign needs more than 40 s; what the
	// test allows is for a machine that is busy with other tests.
	const allowed = 10 * time.Second
	bulk := testkit.NewRecsink(t)
	own := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: people, accounts: account("bulk", bulk.Addr(), "    limits: {rate: 450/s}\n") + receipts(own.Addr()), delivery: "  accounts: [bulk]\n"})
	token := w.shop()
	_, base := w.web()
	w.worker()
	run := w.launch()
	w.until(run, time.Minute, "under way", func(d document) bool { return d.Counts["accepted"] > 100 })

	began := time.Now()
	if _, ok := w.post(base, token, 1); !ok {
		t.Fatal("not taken")
	}
	w.soon("the message arrives", func() bool { return own.Accepted()[customer(1)] == 1 })
	if took := time.Since(began); took > allowed {
		t.Errorf("by an account of its own it took %s", took)
	}
	began = time.Now()
	w.write("data.json", `{"order": 2}`)
	w.run(0, "send", "--template", "receipt.yaml", "--to", customer(2), "--data", "data.json", "--account", "bulk")
	if took := time.Since(began); took > allowed {
		t.Errorf("by the account of the campaign it took %s", took)
	}
	if bulk.Accepted()[customer(2)] != 1 {
		t.Error("the message did not go by the account that was named")
	}
	if d := w.show(run); d.State != "running" {
		t.Errorf("the campaign is %s, want it under way all the time", d.State)
	}
}
