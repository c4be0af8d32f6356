package e2e

import (
	"bufio"
	"compress/gzip"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// oldBinary writes the fixture of TestUpgrade again, with another broadside:
//
//	go test ./internal/e2e -run '^TestUpgrade$' -args -upgrade.from PATH
var oldBinary = flag.String("upgrade.from", "", "write the fixture of TestUpgrade with this `binary` of broadside first")

// The fixture: what an older binary left in Redis, and a backup file of it.
const (
	fixtureKeys   = "testdata/upgrade/keys.jsonl.gz"
	fixtureBackup = "testdata/upgrade/readers.backup"
)

const (
	upgradeFirst      = 200 // recipients of the run whose uncertain recipients are resent
	upgradeNews       = 900 // recipients of the run that was paused in its middle
	upgradeDeferred   = "deferred.example"
	upgradeBounced    = "bounced.example"
	upgradeSuppressed = "left@example.org"
)

// A fixtureHead is the first line of the fixture.
type fixtureHead struct {
	Written time.Time
	First   string            // the run whose uncertain recipients are resent
	Resend  string            // the run that resends them, paused before its first message
	News    string            // the run that was paused in its middle
	Sent    map[string]int    // how often each recipient of News has the message
	Unsure  map[string]string // Message-ID of each uncertain recipient of First
	List    string            // what `list export` printed
	Supp    string            // what `suppression export` printed
}

// A fixtureKey is one key, as DUMP writes it. TTL is zero for none.
type fixtureKey struct {
	Key  string
	Dump []byte
	TTL  time.Duration
}

// newsAddress is the address of a recipient of the run that was paused in its
// middle.
func newsAddress(i int) string {
	domain := "example.org"
	switch i % 30 {
	case 7:
		domain = upgradeDeferred
	case 11:
		domain = upgradeBounced
	}
	return fmt.Sprintf("news%d@%s", i, domain)
}

// makeFixture lets the older binary work, and writes down what it leaves.
func makeFixture(t *testing.T) {
	t.Helper()
	first := testkit.NewRecsink(t, "-close-every", "20")
	news := testkit.NewRecsink(t, "-perm", upgradeBounced+"=100", "-temp", upgradeDeferred+"=100", "-temp-times", "1")
	w := newWorld(t, setup{bin: *oldBinary, accounts: account("sink", first.Addr(), "")})
	head := fixtureHead{Unsure: map[string]string{}}
	w.stock()

	// A run with uncertain recipients, and their resend.
	w.people(upgradeFirst, "first%d@example.org")
	w.letter("first", "delivery: {accounts: [sink]}")
	worker := w.worker()
	head.First = w.begin("campaign", "launch", "first.yaml")
	w.finished(head.First, time.Minute)
	end(t, worker)
	for _, r := range first.Records() {
		if r.Kind == 'L' {
			head.Unsure[r.Rcpt] = r.ID
		}
	}

	head.Resend = w.begin("run", "resolve", head.First, "--uncertain", "resend", "--yes")
	w.run(0, "run", "pause", head.Resend)

	// A run that is paused in its middle.
	config, err := os.ReadFile(filepath.Join(w.dir, "broadside.yaml"))
	if err != nil {
		t.Fatal(err)
	}

	_, oldPort, _ := strings.Cut(first.Addr(), ":")
	_, newPort, _ := strings.Cut(news.Addr(), ":")
	w.write("broadside.yaml", strings.Replace(string(config), oldPort, newPort, 1))
	var people strings.Builder
	people.WriteString("email,first_name,city\n")
	for i := range upgradeNews {
		fmt.Fprintf(&people, "%s,First%d,City%d\n", newsAddress(i), i, i%50)
	}

	w.write("people.csv", people.String())
	w.letter("news", "delivery: {accounts: [sink], rate: 100/s, retry: [2s]}")
	worker = w.worker()
	head.News = w.begin("campaign", "launch", "news.yaml")
	w.until(head.News, time.Minute, "in its middle", func(d document) bool {
		return d.Counts["accepted"] > upgradeNews/3 && d.Counts["deferred"] > 0 && d.Counts["bounced"] > 0
	})
	w.run(0, "run", "pause", head.News)
	end(t, worker)
	head.Sent = news.Accepted()

	head.List, _ = w.run(0, "list", "export", "readers")
	head.Supp, _ = w.run(0, "suppression", "export")
	file, err := filepath.Abs(fixtureBackup)
	if err != nil {
		t.Fatal(err)
	}

	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}

	w.run(0, "backup", "--out", file)
	if d := w.show(head.News); d.State != "paused" || d.Counts["pending"] == 0 || d.Counts["deferred"] == 0 || len(head.Unsure) == 0 {
		t.Fatalf("the fixture would show too little: %+v, %d uncertain", d, len(head.Unsure))
	}

	writeFixture(t, w, head)
}

// stock stores a list, a suppression and two schedules.
func (w *world) stock() {
	w.t.Helper()
	w.run(0, "suppression", "add", upgradeSuppressed, "--reason", "complaint")
	w.people(40, "reader%d@example.org")
	w.run(0, "list", "import", "readers", "people.csv")
	w.letter("yearly", "schedule: {cron: '0 9 1 1 *'}")
	w.letter("someday", "schedule: {at: 2099-01-01T09:00}")
	w.run(0, "campaign", "schedule", "yearly.yaml", "--yes")
	w.run(0, "campaign", "schedule", "someday.yaml", "--yes")
}

// letter writes the campaign file id.yaml.
func (w *world) letter(id, more string) {
	w.t.Helper()
	w.write(id+".yaml", "id: "+id+`
topic: newsletter
from: Acme News <news@acme.example>
subject: "Hello {{.first_name}}"
audience: {source: people.csv}
content: {markdown: letter.md}
`+more+"\n")
}

// begin calls a command that makes a run, and returns the run.
func (w *world) begin(args ...string) string {
	w.t.Helper()
	out, _ := w.run(0, append(args, "--json")...)
	return parseDocument(w.t, out).Run
}

// end stops a process as an operator does.
func end(t *testing.T, p *testkit.Proc) {
	t.Helper()
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(25 * time.Second); code != 0 {
		t.Fatalf("exit code %d\n%s", code, p.Output())
	}
}

// writeFixture writes down every key of the world.
func writeFixture(t *testing.T, w *world, head fixtureHead) {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	defer rdb.Close()
	file, err := os.Create(fixtureKeys)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	head.Written = time.Now()
	packed := gzip.NewWriter(file)
	lines := json.NewEncoder(packed)
	if err := lines.Encode(head); err != nil {
		t.Fatal(err)
	}

	keys := rdb.Scan(t.Context(), 0, "*", 1000).Iterator()
	for keys.Next(t.Context()) {
		k := fixtureKey{Key: keys.Val()}
		dump, err := rdb.Dump(t.Context(), k.Key).Result()
		if err != nil {
			t.Fatal(err)
		}
		k.Dump = []byte(dump)
		if k.TTL, err = rdb.PTTL(t.Context(), k.Key).Result(); err != nil {
			t.Fatal(err)
		}
		k.TTL = max(k.TTL, 0)
		if err := lines.Encode(k); err != nil {
			t.Fatal(err)
		}
	}

	if err := keys.Err(); err != nil {
		t.Fatal(err)
	}

	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
}

// loadFixture puts the keys of the fixture into the world's Redis, as if they
// had been written just now.
func loadFixture(t *testing.T, w *world) fixtureHead {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: w.redis.Addr()})
	defer rdb.Close()
	file, err := os.Open(fixtureKeys)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(bufio.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}

	lines := json.NewDecoder(unpacked)
	var head fixtureHead
	if err := lines.Decode(&head); err != nil {
		t.Fatal(err)
	}

	for lines.More() {
		var k fixtureKey
		if err := lines.Decode(&k); err != nil {
			t.Fatal(err)
		}
		if err := rdb.Restore(t.Context(), k.Key, k.TTL, string(k.Dump)).Err(); err != nil {
			t.Fatalf("restore %s: %v", k.Key, err)
		}
	}

	// Cells count seconds from the creation of their run, at most half a year.
	age := time.Since(head.Written).Milliseconds()
	for _, run := range []string{head.First, head.Resend, head.News} {
		for _, field := range []string{"created", "ready", "finished"} {
			record := "e2e:{run:" + run + "}:record"
			if n, err := rdb.HGet(t.Context(), record, field).Int64(); err != nil || n == 0 {
				continue // the run has not finished
			}
			if err := rdb.HIncrBy(t.Context(), record, field, age).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}

	return head
}
