package e2e

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/token"
	"broadside/internal/testkit"
	"broadside/internal/wire"
)

// at lets what is started from now on use another Redis than the world's own.
func (w *world) at(url string) { w.env = append(w.env, "REDIS_URL="+url) }

// admin returns a client of a server for the test itself.
func admin(t *testing.T, addr string) *redis.Client {
	t.Helper()
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: 2, PipelinePoolSize: -1, ClientName: "test"})
	t.Cleanup(func() {
		if err := rdb.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return rdb
}

// silent fails the test when a process has logged one of the words.
func silent(t *testing.T, words []string, procs ...*testkit.Proc) {
	t.Helper()
	for _, p := range procs {
		for line := range strings.Lines(p.Output()) {
			for _, w := range words {
				if strings.Contains(line, w) {
					t.Errorf("logged: %s", line)
				}
			}
		}
	}
}

// underWay starts workers and a run, and waits until n messages are accepted.
func (w *world) underWay(workers int, n int64) (run string) {
	w.t.Helper()
	for range workers {
		w.worker()
	}
	run = w.launch()
	w.until(run, time.Minute, "under way", accepted(n))
	return run
}

func accepted(n int64) func(document) bool {
	return func(d document) bool { return d.Counts["accepted"] >= n }
}

// TestSentinelFailoverInTheMiddle kills the primary while two workers send.
func TestSentinelFailoverInTheMiddle(t *testing.T) {
	t.Parallel()
	const people = 4_000
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	sentinels := testkit.NewSentinels(t, 2, "--appendonly", "yes")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "")})
	w.at(sentinels.URL())
	run := w.underWay(2, people/4)
	old := sentinels.Primary()
	old.Kill()
	sentinels.WaitFailover(old)
	w.endsOnce(run, sink, people, 20) // one for each connection of both workers
}

// TestClusterCarriesTheWholePath takes a list through a schedule, a run, an
// unsubscribe and a report on three primaries, which all get keys.
func TestClusterCarriesTheWholePath(t *testing.T) {
	t.Parallel()
	const people = 2_000
	sink := testkit.NewRecsink(t)
	cluster := testkit.NewCluster(t, 3, false)
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "    limits: {rate: 500/s}\n") + aForm})
	w.at(cluster.URL())
	web, base := w.web()
	procs := []*testkit.Proc{web, w.worker(), w.worker(), w.start("scheduler", "--log-level", "debug")}
	procs[3].WaitLine("scheduler started", 20*time.Second)

	w.run(0, "list", "import", "everybody", "people.csv")
	last := fmt.Sprintf(pattern, people-1)
	at := time.Now().Add(2 * time.Second).UTC().Format("2006-01-02T15:04:05Z")
	w.campaign("list:everybody")
	w.run(0, "campaign", "schedule", "campaign.yaml", "--at", at, "--yes")
	run := w.firstRun(time.Minute)
	w.until(run, time.Minute, "under way", accepted(50))
	press(t, base+"/u/"+unsubscribeToken(t, last, run))
	w.run(0, "run", "pause", run)
	w.run(0, "run", "resume", run)
	d := w.finished(run, time.Minute)
	if d.Counts["accepted"]+d.Counts["suppressed"] != people || d.After["unsubscribed"] != 1 {
		t.Errorf("counts %v, after %v", d.Counts, d.After)
	}
	exactlyOnce(t, sink.Accepted(), people, pattern, d.Counts["suppressed"])
	again := w.finished(w.launch("--again"), time.Minute)
	if again.Counts["suppressed"] != 1 || again.Counts["accepted"] != people-1 {
		t.Errorf("next run: %v", again.Counts)
	}
	w.verbs(run)
	w.subscribes(base, sink)
	for _, r := range cluster.Primaries {
		if n, err := admin(t, r.Addr()).DBSize(t.Context()).Result(); err != nil || n < 5 {
			t.Errorf("%s has %d keys, %v: they are not spread", r.Addr(), n, err)
		}
	}
	for _, p := range procs {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range procs {
		if code := p.Wait(25 * time.Second); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.Output())
		}
	}
	silent(t, []string{"CROSSSLOT", "MOVED", "keys in request", `"level":"ERROR"`}, procs...)
}

// verbs calls what reads and changes without sending; each must exit with 0.
func (w *world) verbs(run string) {
	w.t.Helper()
	for _, args := range [][]string{
		{"run", "list"},
		{"run", "show", run},
		{"run", "report", run, "--format", "md"},
		{"run", "recipients", run, "--state", "accepted", "--format", "csv"},
		{"run", "rejects", run},
		{"trace", fmt.Sprintf(pattern, 0), "--run", run},
		{"list", "ls"},
		{"list", "show", "everybody"},
		{"list", "add", "everybody", "new@example.org"},
		{"list", "remove", "everybody", "new@example.org"},
		{"list", "export", "everybody"},
		{"list", "restore", "everybody@1"},
		{"list", "import", "others", "people.csv"},
		{"list", "rm", "others", "--yes"},
		{"suppression", "add", "gone@example.org"},
		{"suppression", "check", "gone@example.org"},
		{"suppression", "export", "suppressions.csv"},
		{"suppression", "import", "suppressions.csv"},
		{"suppression", "stats"},
		{"suppression", "rm", "gone@example.org"},
		{"campaign", "list"},
		{"campaign", "schedule", "campaign.yaml", "--at", "2099-01-01T00:00:00Z", "--again", "--yes"},
		{"campaign", "show", "news"},
		{"campaign", "unschedule", "news"},
		{"account", "ls"},
		{"release"},
	} {
		w.run(0, args...)
	}
}

// campaign makes source the audience of the world's campaign.
func (w *world) campaign(source string) {
	w.t.Helper()
	b, err := os.ReadFile(w.dir + "/campaign.yaml")
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("campaign.yaml", strings.Replace(string(b), "people.csv", source, 1))
}

// press posts a one-click unsubscribe.
func press(t *testing.T, link string) {
	t.Helper()
	res, err := http.PostForm(link, url.Values{"List-Unsubscribe": {"One-Click"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("POST answers %s", res.Status)
	}
}

// TestClusterFailoverInTheMiddle kills the primary that has the run.
func TestClusterFailoverInTheMiddle(t *testing.T) {
	t.Parallel()
	const people = 4_000
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	cluster := testkit.NewCluster(t, 3, true, "--appendonly", "yes")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), "")})
	w.at(cluster.URL())
	run := w.underWay(2, people/4)
	for i, r := range cluster.Primaries {
		if n, err := admin(t, r.Addr()).Exists(t.Context(), "e2e:{run:"+run+"}:record").Result(); err == nil && n == 1 {
			r.Kill()
			cluster.WaitFailover(i)
		}
	}
	w.endsOnce(run, sink, people, 20) // one for each connection of both workers
}

// users are options of a redis-server that has a user for each process, who
// may do everything: CLIENT LIST tells their connections apart by that.
func users(names ...string) []string {
	var args []string
	for _, n := range names {
		args = append(args, "--user", n, "on", ">pw", "~*", "&*", "+@all")
	}
	return args
}

// TestConnectionsStayBelowTheCeiling counts the connections of each process at
// Redis while it works, while Redis hangs, and while it is restarted.
func TestConnectionsStayBelowTheCeiling(t *testing.T) {
	t.Parallel()
	const people = 6_000
	limits := map[string]int{"worker": 12, "web": 3, "scheduler": 3}
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	w := newWorld(t, setup{
		people: people, accounts: account("sink", sink.Addr(), ""),
		redis: append([]string{"--appendonly", "yes", "--appendfsync", "always"}, users("worker", "web", "scheduler")...),
	})
	for name, limit := range limits {
		w.at("redis://" + name + ":pw@" + w.redis.Addr())
		env := w.env
		w.env = append(w.env, fmt.Sprintf("BROADSIDE_REDIS__MAX_CONNECTIONS=%d", limit))
		switch name {
		case "web":
			w.web()
		default:
			w.start(name).WaitLine(name+" started", 20*time.Second)
		}
		w.env = env
	}
	w.at(w.redis.URL())
	watch := watchConnections(t, w.redis.Addr())
	run := w.launch()
	w.until(run, time.Minute, "under way", accepted(people/6))
	w.redis.Stop()
	<-time.After(5 * time.Second) // longer than a client waits for an answer
	w.redis.Cont()
	n := w.show(run).Counts["accepted"]
	w.until(run, time.Minute, "going on", accepted(n+people/6))
	w.redis.Kill()
	w.redis.Start()
	d := w.finished(run, 2*time.Minute)
	exactlyOnce(t, sink.Accepted(), people, pattern, d.Counts["uncertain"])
	most := watch()
	for name, limit := range limits {
		if most[name] > limit || most[name] == 0 {
			t.Errorf("%s had %d connections at once, the limit is %d", name, most[name], limit)
		}
	}
	t.Logf("most connections at once: %v", most)
}

// watchConnections counts connections by user until the function that it
// returns is called, which returns the most of each.
func watchConnections(t *testing.T, addr string) func() map[string]int {
	t.Helper()
	rdb := admin(t, addr)
	ctx, cancel := context.WithCancel(t.Context())
	most := map[string]int{}
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			list, err := rdb.ClientList(ctx).Result()
			now := map[string]int{}
			for line := range strings.Lines(list) {
				if _, after, ok := strings.Cut(line, " user="); ok && err == nil {
					user, _, _ := strings.Cut(after, " ")
					now[user]++
				}
			}
			for user, n := range now {
				most[user] = max(most[user], n)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	return func() map[string]int {
		cancel()
		wg.Wait()
		return most
	}
}

// aclLine is the line of docs/redis.md that makes the user.
func aclLine(t *testing.T) []string {
	t.Helper()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(root + "/docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, ok := strings.Cut(string(doc), "ACL SETUSER ")
	text, _, end := strings.Cut(after, "\n\n")
	if !ok || !end {
		t.Fatal("docs/redis.md has no ACL SETUSER line")
	}
	text = strings.NewReplacer("\\\n", " ", "~acme:", "~e2e:", ">PASSWORD", ">pw").Replace(text)
	return strings.Fields(text)
}

// TestTheDocumentedUserMayRunEveryScript finds what a run does not call.
func TestTheDocumentedUserMayRunEveryScript(t *testing.T) {
	t.Parallel()
	line := aclLine(t)
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	called := regexp.MustCompile(`redis\.p?call\(['"]([A-Za-z]+)['"]`)
	scripts := 0
	err = filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".lua" {
			return err
		}
		scripts++
		src, err := os.ReadFile(path)
		for _, m := range called.FindAllStringSubmatch(string(src), -1) {
			if !slices.Contains(line, "+"+strings.ToLower(m[1])) {
				t.Errorf("%s calls %s, which docs/redis.md does not allow", filepath.Base(path), m[1])
			}
		}
		return err
	})
	if err != nil || scripts == 0 {
		t.Fatalf("%d scripts, %v", scripts, err)
	}
}

// TestTheDocumentedUserIsEnough runs a campaign with every process as the user
// of docs/redis.md: nothing is denied, and without any of its permissions
// something would be.
func TestTheDocumentedUserIsEnough(t *testing.T) {
	t.Parallel()
	const people = 300
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{
		people: people, accounts: account("sink", sink.Addr(), "    limits: {rate: 100/s}\n") + aForm,
		delivery: "  retry: [5m]\ntracking: {opens: true, clicks: true}\n", redis: []string{"--appendonly", "yes"},
	})
	line := aclLine(t)
	args := []any{"ACL", "SETUSER"}
	for _, word := range line {
		args = append(args, word)
	}
	root := admin(t, w.redis.Addr())
	if err := root.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	w.at("redis://" + line[0] + ":pw@" + w.redis.Addr())
	web, base := w.web()
	procs := []*testkit.Proc{web, w.worker(), w.start("scheduler", "--log-level", "debug")}
	procs[2].WaitLine("scheduler started", 20*time.Second)
	w.run(0, "list", "import", "everybody", "people.csv")
	run := w.launch()
	w.until(run, time.Minute, "under way", accepted(10))
	press(t, base+"/u/"+unsubscribeToken(t, fmt.Sprintf(pattern, people-1), run))
	d := w.finished(run, time.Minute)
	if d.Counts["suppressed"] != 1 || d.Counts["accepted"] != people-1 {
		t.Errorf("counts %v", d.Counts)
	}
	w.comesBack(run)
	w.subscribes(base, sink)
	w.sendsSingle(base, sink)
	w.followed(base, run)
	cancelled := w.launch("--again")
	w.until(cancelled, time.Minute, "under way", accepted(10))
	w.run(0, "run", "cancel", cancelled)
	w.verbs(run)
	for _, p := range procs {
		p.Signal(syscall.SIGTERM)
	}
	for _, p := range procs {
		if code := p.Wait(25 * time.Second); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.Output())
		}
	}
	silent(t, []string{"NOPERM", "no permissions", "redis denies"}, procs...)
	log, err := root.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil {
		t.Fatalf("ACL LOG: %v", err)
	}
	for _, entry := range log {
		// CONFIG is asked for by the checks, which do without where it is forbidden.
		if text := fmt.Sprint(entry); !strings.Contains(text, "object:config|get") {
			t.Errorf("ACL LOG: %s", text)
		}
	}
	noneTooMany(t, root, line)
}

// rare are commands that a campaign does not call when all goes well: another
// database, replicas, what asynq does with the tasks of a dead process, rejects
// and the history of schedules.
var rare = []string{"select", "wait", "pexpire", "rpush", "ltrim", "zrange", "zremrangebyrank"}

// noneTooMany looks for commands that the line allows and no one has called.
func noneTooMany(t *testing.T, root *redis.Client, line []string) {
	t.Helper()
	stats, err := root.Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range line {
		command, ok := strings.CutPrefix(word, "+")
		if ok && !slices.Contains(rare, command) && !strings.Contains(stats, "cmdstat_"+command+":") {
			t.Errorf("%s is allowed and never called", word)
		}
	}
}

// A failover is a primary whose replica misses its last writes and takes its
// place behind the name that everybody uses.
type failover struct {
	primary, replica *testkit.RedisServer
	name             *wire.Wire
}

func newFailover(t *testing.T, w *world) *failover {
	t.Helper()
	f := &failover{primary: w.redis}
	f.replica = follow(t, f.primary)
	f.name = testkit.NewWire(t, f.primary.Addr())
	w.at("redis://" + f.name.Addr())
	return f
}

// follow starts a replica and waits until it has what primary has.
func follow(t *testing.T, primary *testkit.RedisServer) *testkit.RedisServer {
	t.Helper()
	r := testkit.NewRedis(t, "--replicaof", strings.Replace(primary.Addr(), ":", " ", 1), "--appendonly", "yes")
	rdb := admin(t, primary.Addr())
	for range testkit.Tries(20 * time.Second) {
		if rdb.Do(t.Context(), "WAIT", 1, 100).Val() == int64(1) {
			return r
		}
	}
	t.Fatal("the replica does not follow")
	return nil
}

// detach ends the replication: what is written from now on is lost.
func (f *failover) detach(t *testing.T) {
	t.Helper()
	if err := admin(t, f.replica.Addr()).Do(t.Context(), "REPLICAOF", "NO", "ONE").Err(); err != nil {
		t.Fatal(err)
	}
}

// over kills the primary; the name leads to the replica.
func (f *failover) over() {
	f.primary.Kill()
	f.name.Lead(f.replica.Addr())
}

// TestLostWritesAreMadeGoodByTheJournals promotes a replica that has missed a
// good part of the run. The workers live, and tell it.
func TestLostWritesAreMadeGoodByTheJournals(t *testing.T) {
	t.Parallel()
	const people = 4_000
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), ""), redis: []string{"--appendonly", "yes"}})
	f := newFailover(t, w)
	run := w.underWay(2, people/4)
	f.detach(t)
	w.until(run, time.Minute, "further than the replica knows", accepted(people/2))
	f.over()
	w.endsOnce(run, sink, people, 20) // one for each connection of both workers
}

// TestAReplacedPrimaryGetsNoClaims lets the name lead to the replica while the
// old primary lives on and answers those who still have a connection to it: as in
// a partition. Once somebody sees the new one, no one may claim at the old.
func TestAReplacedPrimaryGetsNoClaims(t *testing.T) {
	t.Parallel()
	const people = 4_000
	sink := testkit.NewRecsink(t, "-delay", "10ms")
	w := newWorld(t, setup{people: people, accounts: account("sink", sink.Addr(), ""), redis: []string{"--appendonly", "yes"}})
	f := newFailover(t, w)
	run := w.underWay(2, people/4)
	f.detach(t)
	f.name.Divert(f.replica.Addr())
	old := admin(t, f.primary.Addr())
	list, err := old.ClientList(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(list) {
		id, _, _ := strings.Cut(strings.TrimPrefix(line, "id="), " ")
		if strings.Contains(line, "name=test") {
			continue
		}
		if n++; n%2 == 0 { // every second one ends, and is made again to the new primary
			_ = old.ClientKillByFilter(t.Context(), "ID", id).Err() // it may have ended by itself
		}
	}
	w.endsOnce(run, sink, people, 20) // one for each connection of both workers
}

// TestLostWritesWithTheirOwner kills a worker together with the primary, so
// that its journal is lost with the writes. Under durability: replicated it
// had no claim that the replica does not know: no one gets a second copy. The
// same under fast is the worst case of docs/redis.md, and shows that the test
// can tell.
func TestLostWritesWithTheirOwner(t *testing.T) {
	t.Parallel()
	for _, durability := range []string{"replicated", "fast"} {
		t.Run(durability, func(t *testing.T) {
			t.Parallel()
			const people = 3_000
			sink := testkit.NewRecsink(t, "-delay", "10ms")
			w := newWorld(t, setup{
				people: people, accounts: account("sink", sink.Addr(), ""), redis: []string{"--appendonly", "yes"},
				delivery: "  durability: " + durability + "\n",
			})
			f := newFailover(t, w)
			worker := w.worker()
			run := w.underWay(0, people/4)
			f.detach(t)
			atDetach := w.show(run).Counts["accepted"]
			for range testkit.Tries(3 * time.Second) { // none are sent under replicated
				if int64(sink.Stats()["accepted"]) >= atDetach+people/10 {
					break
				}
			}
			worker.Kill()
			f.over()
			follow(t, f.replica) // without a replica nothing is claimed under replicated
			w.worker()
			d := w.finished(run, 2*time.Minute)
			lost, twice := tally(sink.Accepted(), people, pattern)
			t.Logf("%s: %d lost, %d twice, %d uncertain", durability, lost, twice, d.Counts["uncertain"])
			if lost > d.Counts["uncertain"] {
				t.Errorf("%d without a message, %d uncertain", lost, d.Counts["uncertain"])
			}
			if durability == "replicated" && twice != 0 {
				t.Errorf("%d got two messages under durability: replicated", twice)
			}
			if durability == "fast" && twice == 0 {
				t.Error("nobody got two messages under durability: fast: the fault was none")
			}
		})
	}
}

// TestTLSVerifiesAgainstTheSystem uses a real redis-server with a certificate
// of an authority that the system trusts, and one that it does not.
func TestTLSVerifiesAgainstTheSystem(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	port := testkit.Port(t)
	sink := testkit.NewRecsink(t)
	w := newWorld(t, setup{people: 50, accounts: account("sink", sink.Addr(), ""), redis: []string{
		"--tls-port", fmt.Sprint(port), "--tls-cert-file", certs.Valid.CertFile, "--tls-key-file", certs.Valid.KeyFile,
		"--tls-ca-cert-file", certs.CAFile, "--tls-auth-clients", "no",
	}})
	w.at(fmt.Sprintf("rediss://127.0.0.1:%d", port))
	if _, errs := w.run(4, "run", "list"); !strings.Contains(errs, "redis.tls_insecure: true") {
		t.Errorf("an unknown authority: %s", errs)
	}
	env := w.env
	for _, trust := range []string{"SSL_CERT_FILE=" + certs.CAFile, "BROADSIDE_REDIS__TLS_INSECURE=true"} {
		w.env = append(env, trust)
		out, _ := w.run(0, "campaign", "launch", "campaign.yaml", "--again", "--wait", "--timeout", "1m", "--json")
		if d := parseDocument(t, out); d.Counts["accepted"] != 50 {
			t.Errorf("with %s: %+v", trust, d.Counts)
		}
	}
}

// comesBack has the message to the first recipient of a run come back, as its mailbox is
// full, and looks at what is counted.
func (w *world) comesBack(run string) {
	w.t.Helper()
	keys, err := token.NewKeys([]string{secret})
	if err != nil {
		w.t.Fatal(err)
	}
	to := fmt.Sprintf(pattern, 0)
	domain := to[strings.LastIndex(to, "@")+1:]
	w.write("bounce.eml", "From: MAILER-DAEMON@mx.example.com\nTo: "+token.Prefix+keys.Message(run, campaign.PartOf(domain), 0)+"@bounce.acme.example\n"+
		"Subject: Undelivered Mail Returned to Sender\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"+
		"--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example.com\n\n"+
		"Final-Recipient: rfc822; "+to+"\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full\n\n--b--\n")
	w.run(0, "feedback", "ingest", "bounce.eml")
	if d := w.show(run); d.After["bounced"] != 1 {
		w.t.Errorf("after acceptance %v, want 1 bounced", d.After)
	}
}
