package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestADeploymentIsRestarted runs what the Procfile names as a platform does: with the
// variables of app.json, PORT and REDIS_URL, without a file of ours, and with a Redis whose
// certificate no authority of the system has signed. The release comes first, a scheduled
// campaign makes the run, and three times in its middle everything is told to end and is
// started again.
func TestADeploymentIsRestarted(t *testing.T) {
	t.Parallel()
	const people = 20_000
	sink := testkit.NewRecsink(t, "-delay", "5ms")
	certs := testkit.Certs(t)
	secure := testkit.Port(t)
	w := newWorld(t, setup{people: people, redis: []string{
		"--tls-port", fmt.Sprint(secure), "--tls-cert-file", certs.Valid.CertFile, "--tls-key-file", certs.Valid.KeyFile,
		"--tls-ca-cert-file", certs.CAFile, "--tls-auth-clients", "no",
	}})
	if err := os.Remove(filepath.Join(w.dir, "broadside.yaml")); err != nil {
		t.Fatal(err)
	}
	w.env = append(platformVariables(t, map[string]string{
		"BROADSIDE_PUBLIC_URL":     "http://127.0.0.1:8080",
		"BROADSIDE_POSTAL_ADDRESS": "Acme Ltd, 1 High Street, London",
		"BROADSIDE_TIMEZONE":       "Europe/Berlin",
		"SMTP_URL":                 "smtp://" + sink.Addr() + "?tls=none",
		"LOG_LEVEL":                "debug",

		"BROADSIDE_ACCOUNTS__DEFAULT__LIMITS__RATE": "2500/s", // so that there is a middle
	}), fmt.Sprintf("REDIS_URL=rediss://127.0.0.1:%d", secure), fmt.Sprintf("PORT=%d", testkit.Port(t)))

	commands := procfile(t)
	w.run(0, commands["release"]...)
	f := w.formation(commands)
	at := time.Now().Add(3 * time.Second).UTC().Format("2006-01-02T15:04:05Z")
	w.run(0, "campaign", "schedule", "campaign.yaml", "--at", at, "--yes")

	for round := range 3 {
		want := people * (round + 1) / 5
		for range testkit.Tries(2 * time.Minute) {
			if sink.Count() >= want {
				break
			}
		}
		if n := sink.Count(); n < want || n > people*9/10 {
			t.Fatalf("%d messages at restart %d, want some %d: the pace is wrong", n, round, want)
		}
		took := f.end(round == 1) // signals come more than once: nothing is to be cut short by that
		t.Logf("restart %d after %d messages: all gone after %s", round+1, want, took)
		f.start()
	}

	run := w.firstRun(time.Minute)
	d := w.finished(run, 2*time.Minute)
	if d.Counts["accepted"] != people {
		t.Errorf("counts %v, want all accepted: nothing was killed", d.Counts)
	}
	exactlyOnce(t, sink.Accepted(), people, pattern, 0)
	f.end(false)
	f.toldEverything(run, people)
}

// platformVariables returns what a platform sets before the first start: the variables of
// app.json, those without a value as a person would fill them in.
func platformVariables(t *testing.T, filled map[string]string) (env []string) {
	t.Helper()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "app.json"))
	if err != nil {
		t.Fatal(err)
	}
	var app struct {
		Env map[string]struct {
			Value, Generator string
			Required         *bool
		}
	}
	if err := json.Unmarshal(text, &app); err != nil {
		t.Fatal(err)
	}

	for name, v := range app.Env {
		value, ok := filled[name]
		switch {
		case ok:
		case v.Generator == "secret":
			value = strings.Repeat("0123456789abcdef", 4)
		case v.Value != "" || v.Required != nil && !*v.Required:
			value = v.Value
		default:
			t.Fatalf("app.json: %s is new: give it a value in this test", name)
		}
		env = append(env, name+"="+value)
	}
	return env
}

// A formation is the processes of a Procfile as a platform runs them.
type formation struct {
	w        *world
	commands map[string][]string
	now      map[string]*testkit.Proc // those that run, by dyno: worker.1
	all      []*testkit.Proc
}

// formation starts one web, two workers and one scheduler.
func (w *world) formation(commands map[string][]string) *formation {
	w.t.Helper()
	f := &formation{w: w, commands: commands}
	f.start()
	return f
}

func (f *formation) start() {
	f.w.t.Helper()
	f.now = map[string]*testkit.Proc{}
	for _, name := range []string{"web.1", "worker.1", "worker.2", "scheduler.1"} {
		kind, _, _ := strings.Cut(name, ".")
		if f.commands[kind] == nil {
			f.w.t.Fatalf("the Procfile has no %s", kind)
		}
		f.now[name] = f.w.start(f.commands[kind]...)
		f.all = append(f.all, f.now[name])
	}
	for name, p := range f.now {
		kind, _, _ := strings.Cut(name, ".")
		p.WaitLine(`"msg":"`+kind+` started"`, time.Minute)
	}
}

// end tells every process to end, again and again if asked to, and returns how long it
// took until the last one had.
func (f *formation) end(repeatedly bool) time.Duration {
	f.w.t.Helper()
	begun := time.Now()
	for _, p := range f.now {
		p.Signal(syscall.SIGTERM)
	}
	for repeatedly && slices.ContainsFunc(f.workers(), running) && time.Since(begun) < drained {
		<-time.After(20 * time.Millisecond)
		for _, p := range f.now {
			p.Signal(syscall.SIGTERM)
		}
	}
	for name, p := range f.now {
		if code := p.Wait(drained); code != 0 {
			f.w.t.Errorf("%s: exit code %d\n%s", name, code, p.Output())
		}
	}
	return time.Since(begun).Round(time.Millisecond)
}

func (f *formation) workers() []*testkit.Proc {
	return []*testkit.Proc{f.now["worker.1"], f.now["worker.2"]}
}

func running(p *testkit.Proc) bool {
	select {
	case <-p.Done():
		return false
	default:
		return true
	}
}

// An answeredLine is what a log has to say of each message.
type answeredLine struct {
	Time     time.Time
	Msg      string
	Run      string
	Account  string
	Lane     string
	Part     int
	Index    *int
	Attempt  int
	Code     any // of a reply a number, of other lines a text
	Reply    string
	QueueID  string `json:"queue_id"`
	Duration *int64 `json:"duration_ms"`
}

// toldEverything checks that the logs are JSON, and say of each message exactly when which
// one was sent, without an address.
func (f *formation) toldEverything(run string, people int) {
	f.w.t.Helper()
	type recipient struct{ part, index int }
	answered := map[recipient]int{}
	for _, p := range f.all {
		for line := range strings.Lines(p.Output()) {
			if strings.Contains(line, "@example.org") {
				f.w.t.Fatalf("an address is in the log: %s", line)
			}
			var l answeredLine
			if err := json.Unmarshal([]byte(line), &l); err != nil || l.Time.IsZero() || l.Msg == "" {
				f.w.t.Fatalf("no line of JSON with time and msg: %s", line)
			}
			if l.Msg != "message answered" {
				continue
			}
			if l.Run != run || l.Account == "" || l.Lane == "" || l.Index == nil || l.Attempt != 1 || l.Code != 250.0 || l.Reply == "" || l.QueueID == "" || l.Duration == nil {
				f.w.t.Fatalf("the log does not say all of a message: %s", line)
			}
			answered[recipient{l.Part, *l.Index}]++
		}
	}
	for r, n := range answered {
		if n != 1 {
			f.w.t.Errorf("part %d, index %d: the log has %d answers", r.part, r.index, n)
		}
	}
	if len(answered) != people {
		f.w.t.Errorf("the logs have %d messages, want %d", len(answered), people)
	}
}

// procfile reads the commands of the Procfile.
func procfile(t *testing.T) map[string][]string {
	t.Helper()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(root, "Procfile"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[string][]string{}
	for s := bufio.NewScanner(f); s.Scan(); {
		name, command, ok := strings.Cut(s.Text(), ":")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		words := strings.Fields(command)
		if len(words) < 2 || !strings.HasSuffix(words[0], "broadside") {
			t.Fatalf("Procfile line %q", s.Text())
		}
		out[name] = words[1:]
	}
	return out
}
