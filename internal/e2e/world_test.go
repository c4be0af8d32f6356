package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// secret seals the links of every world.
const secret = "0123456789abcdef0123456789abcdef-e2e"

// A world is a project directory with a Redis and a server to send to.
type world struct {
	t     *testing.T
	bin   string
	dir   string
	redis *testkit.RedisServer
	env   []string
}

// A setup says what is not as usual.
type setup struct {
	redis    []string // arguments of redis-server
	accounts string   // YAML below accounts:, two blanks deep
	delivery string   // YAML below delivery:, two blanks deep
	people   int
	bin      string // of broadside; empty: testkit.Build
}

// noStorm is what stands behind the accounts where so many dead addresses are to be
// met that the storm guard would close their lane.
const noStorm = "storm: {share: 100%}\n"

// account is the YAML of an account at addr without TLS.
func account(name, addr, more string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("  %s:\n    host: %s\n    port: %s\n    tls: none\n%s", name, host, port, more)
}

func newWorld(t *testing.T, s setup) *world {
	t.Helper()
	testkit.NeedsServer(t)
	if s.bin == "" {
		s.bin = testkit.Build(t)
	}
	w := &world{t: t, bin: s.bin, dir: t.TempDir(), redis: testkit.NewRedis(t, s.redis...)}
	w.write("broadside.yaml", `namespace: e2e
redis_url: `+w.redis.URL()+`
public_url: http://127.0.0.1:8080
secrets: [`+secret+`]
timezone: UTC
postal_address: Acme Ltd, 1 High Street, London
accounts:
`+s.accounts)
	delivery := ""
	if s.delivery != "" {
		delivery = "delivery:\n" + s.delivery
	}
	w.write("campaign.yaml", `id: news
topic: newsletter
from: Acme News <news@acme.example>
subject: "Hello {{.first_name}}"
audience: {source: people.csv}
content: {markdown: letter.md}
`+delivery)
	w.write("letter.md", "# Hello {{.first_name}}\n\nSome news from {{.city}}.\n")
	w.people(s.people, pattern)
	return w
}

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
}

// people writes the audience; pattern makes an address of a number.
func (w *world) people(n int, pattern string) {
	var b bytes.Buffer
	b.WriteString("email,first_name,city\n")
	for i := range n {
		fmt.Fprintf(&b, pattern+",First%d,City%d\n", i, i, i%50)
	}
	w.write("people.csv", b.String())
}

// command is one call of broadside in the world's directory.
func (w *world) command(args ...string) *exec.Cmd {
	cmd := exec.Command(w.bin, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), w.env...)
	return cmd
}

// run calls broadside and returns its standard output; code is the exit code
// that is expected.
func (w *world) run(code int, args ...string) (stdout, stderr string) {
	w.t.Helper()
	cmd := w.command(args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != code {
		w.t.Fatalf("broadside %s: exit %d (%v), want %d\n%s%s", strings.Join(args, " "), got, err, code, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

// start starts a process of broadside that goes on.
func (w *world) start(args ...string) *testkit.Proc {
	w.t.Helper()
	all := append([]string{"-C", w.dir, w.bin}, args...)
	return testkit.Start(w.t, w.env, "/usr/bin/env", all...)
}

// worker starts a worker and waits until it works.
func (w *world) worker() *testkit.Proc {
	w.t.Helper()
	p := w.start("worker", "--log-level", "debug")
	p.WaitLine("worker started", 20*time.Second)
	return p
}

// A document is the JSON of a run.
type document struct {
	Run     string           `json:"run"`
	State   string           `json:"state"`
	Reason  string           `json:"reason"`
	Total   int64            `json:"total"`
	Counts  map[string]int64 `json:"counts"`
	After   map[string]int64 `json:"after"`
	Skipped map[string]int64 `json:"skipped"`
	Waiting []wait           `json:"waiting"`
}

func (d document) sum() (n int64) {
	for _, v := range d.Counts {
		n += v
	}
	return n
}

// launch makes a run and returns its id; workers send it.
func (w *world) launch(args ...string) string {
	w.t.Helper()
	out, _ := w.run(0, append([]string{"campaign", "launch", "campaign.yaml", "--json"}, args...)...)
	return parseDocument(w.t, out).Run
}

func parseDocument(t *testing.T, text string) document {
	t.Helper()
	var d document
	if err := json.Unmarshal([]byte(text), &d); err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return d
}

func (w *world) show(run string) document {
	w.t.Helper()
	out, _ := w.run(0, "run", "show", run, "--json")
	return parseDocument(w.t, out)
}

// until asks for the run until ok says so; the states must add up every time.
func (w *world) until(run string, limit time.Duration, what string, ok func(document) bool) document {
	w.t.Helper()
	var d document
	var err error
	for range testkit.Tries(limit) {
		var out []byte
		if out, err = w.command("run", "show", run, "--json").Output(); err != nil {
			continue // Redis may be away for a moment
		}
		d = parseDocument(w.t, string(out))
		if d.sum() != d.Total {
			w.t.Fatalf("states do not add up: %+v", d)
		}
		if ok(d) {
			return d
		}
	}
	w.t.Fatalf("not %s within %s: %+v, %v", what, limit, d, err)
	return d
}

func (w *world) finished(run string, limit time.Duration) document {
	w.t.Helper()
	return w.until(run, limit, "finished", func(d document) bool { return d.State == "finished" })
}

// endsOnce waits for the end of a run that something happened to, and checks
// it: who is not accepted is uncertain, no more than most are, and no one got two
// messages.
func (w *world) endsOnce(run string, sink *testkit.RecSink, people int, most int64) {
	w.t.Helper()
	d := w.finished(run, 2*time.Minute)
	uncertain := d.Counts["uncertain"]
	if d.Counts["accepted"]+uncertain != int64(people) || uncertain > most {
		w.t.Errorf("counts %v of %d people, want at most %d uncertain", d.Counts, people, most)
	}
	exactlyOnce(w.t, sink.Accepted(), people, pattern, uncertain)
}

// exactlyOnce checks the sink against the audience: who is expected got one
// message, except those in doubt, and no one got two.
func exactlyOnce(t *testing.T, got map[string]int, people int, pattern string, uncertain int64) {
	t.Helper()
	lost, twice := tally(got, people, pattern)
	if twice > 0 || lost > uncertain || len(got) > people {
		t.Errorf("%d twice, %d without, of %d people (%d uncertain, %d addresses at the sink)", twice, lost, people, uncertain, len(got))
	}
}

// tally counts who got no message, and who got more than one.
func tally(got map[string]int, people int, pattern string) (lost, twice int64) {
	for i := range people {
		switch n := got[fmt.Sprintf(pattern, i)]; {
		case n == 0:
			lost++
		case n > 1:
			twice++
		}
	}
	return lost, twice
}
