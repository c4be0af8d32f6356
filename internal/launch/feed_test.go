package launch_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/feed"
	"broadside/campaign/ledger"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/scheduler"
)

// A site has a feed, whose items tests publish.
type site struct {
	url string

	mu    sync.Mutex
	items []string // newest first
	down  bool
}

func newSite(t *testing.T, items ...string) *site {
	t.Helper()
	s := &site{items: items}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			http.Error(w, "later", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, `<rss version="2.0"><channel><title>Acme</title>`)
		for _, item := range s.items {
			fmt.Fprintf(w, "<item><guid>%s</guid><title>Title %s</title><link>/%s</link></item>", item, item, item)
		}
		fmt.Fprint(w, "</channel></rss>")
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// publish puts an item in front of the feed.
func (s *site) publish(item string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.items = append([]string{item}, s.items...)
}

func (s *site) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// digest is a campaign of a feed.
func (s *project) digest(id string, from *site, more string) *campaign.Definition {
	s.t.Helper()
	s.write("digest.md", "{{range .feed.items}}\n- {{.title}}\n{{end}}\n")
	text := "id: " + id + "\ntopic: newsletter\nfrom: Acme News <news@acme.example>\nsubject: \"{{len .feed.items}} articles\"\n" +
		"audience: {source: people.csv}\ncontent: {markdown: digest.md, feed: \"" + from.url + "\"}\n" + more
	def, err := campaign.Parse("digest.yaml", s.dir, []byte(text))
	if err != nil {
		s.t.Fatal(err)
	}
	return def
}

const daily = "schedule: {cron: \"@daily\"}\n"

// titles returns the items in the content of a run.
func titles(t *testing.T, a *app.App, run string) string {
	t.Helper()
	rec, err := a.Ledger.Record(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	content, err := a.Ledger.Snapshot(t.Context(), rec.Handle())
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for part := range strings.SplitSeq(content.Markdown, "Title ") {
		if name, _, ok := strings.Cut(part, `"`); ok && !strings.HasPrefix(part, "-") {
			found = append(found, name)
		}
	}
	return strings.Join(found, " ")
}

func TestADigestHasWhatIsNewSinceTheLastRun(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	web := newSite(t, "b", "a")
	def := s.digest("news", web, daily)
	launchNow := func() (launch.Launched, error) {
		return s.Launcher.Launch(t.Context(), def, launch.Options{Now: true})
	}

	first, err := launchNow()
	if err != nil {
		t.Fatal(err)
	}
	if got := titles(t, s.App, first.Run); got != "b a" {
		t.Errorf("the first run has %q, want b a", got)
	}
	if _, err := launchNow(); !errors.Is(err, feed.ErrNothingNew) {
		t.Errorf("nothing is new: got %v", err)
	}
	if _, err := s.Launcher.Plan(t.Context(), def, launch.Options{Now: true}); !errors.Is(err, feed.ErrNothingNew) {
		t.Errorf("plan, nothing is new: got %v", err)
	}

	// A run that does not become ready leaves its items new.
	web.publish("c")
	no := errors.New("no")
	if _, err := s.Launcher.Launch(t.Context(), def, launch.Options{Now: true, Confirm: func(launch.Plan) error { return no }}); !errors.Is(err, no) {
		t.Fatalf("got %v, want %v", err, no)
	}
	if _, err := s.Launcher.Plan(t.Context(), def, launch.Options{Now: true}); err != nil {
		t.Errorf("plan: %v", err)
	}
	second, err := launchNow()
	if err != nil {
		t.Fatal(err)
	}
	if got := titles(t, s.App, second.Run); got != "c" {
		t.Errorf("the second run has %q, want c", got)
	}

	// Another campaign of the same feed has sent nothing.
	other, err := s.Launcher.Launch(t.Context(), s.digest("other", web, daily), launch.Options{Now: true})
	if err != nil {
		t.Fatal(err)
	}
	if got := titles(t, s.App, other.Run); got != "c b a" {
		t.Errorf("the run of another campaign has %q, want c b a", got)
	}
}

// Two launches read the same items, and one of them has to begin again.
func TestItemsAreNotSentByTwoRuns(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	web := newSite(t, "a")
	def := s.digest("news", web, daily)
	_, err := s.Launcher.Launch(t.Context(), def, launch.Options{Now: true, Key: "one", Confirm: func(launch.Plan) error {
		_, err := s.Launcher.Launch(t.Context(), def, launch.Options{Now: true, Key: "two"})
		return err
	}})
	if err == nil || !strings.Contains(err.Error(), "another run of the campaign has sent items of its feed since they were read; nothing was sent") {
		t.Errorf("got %v", err)
	}
	if ids, err := s.Ledger.List(t.Context(), "news"); err != nil || len(ids) != 1 {
		t.Errorf("runs %v, error %v; want one", ids, err)
	}
}

// A launch that dies right after its run is ready has not noted the items: the next one
// looks at the run.
func TestItemsOfARunWhoseLaunchDied(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	web := newSite(t, "a")
	def := s.digest("news", web, daily)
	if _, err := s.Launcher.Launch(t.Context(), def, launch.Options{Now: true}); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Launcher.Store.Client().Del(t.Context(), s.Config.Namespace+":feed:news").Result(); err != nil || n != 1 {
		t.Fatalf("forget what was noted: %d, %v", n, err)
	}
	if _, err := s.Launcher.Launch(t.Context(), def, launch.Options{Now: true}); !errors.Is(err, feed.ErrNothingNew) {
		t.Errorf("got %v, want that nothing is new", err)
	}
}

func TestOccurrencesOfADigest(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	web := newSite(t, "a")
	done, err := s.Schedules.Add(t.Context(), s.digest("news", web, daily), launch.ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := func(days int) scheduler.Firing {
		return scheduler.Firing{Schedule: done.Schedule, Occurrence: done.Next.AddDate(0, 0, days)}
	}
	run := func(days int) string { return campaign.RunID("news", done.Next.AddDate(0, 0, days)) }

	web.publish("b") // after it was scheduled
	if made, err := s.makeRun(t.Context(), at(0), goOn); err != nil || made != (scheduler.Made{Run: run(0)}) {
		t.Fatalf("first: %+v, %v", made, err)
	}
	if got := titles(t, s.App, run(0)); got != "b a" {
		t.Errorf("the first run has %q, want b a", got)
	}

	skipped := scheduler.Made{Skipped: "the feed has no new items since the last run"}
	if made, err := s.makeRun(t.Context(), at(1), goOn); err != nil || made != skipped {
		t.Errorf("nothing new: %+v, %v", made, err)
	}
	if _, err := s.Ledger.Record(t.Context(), run(1)); !ledger.Gone(err) {
		t.Errorf("nothing new: there is a run, error %v", err)
	}
	if _, err := s.Schedules.RunNow(t.Context(), "news", done.Next.AddDate(0, 0, 1).Format(time.RFC3339)); !errors.Is(err, feed.ErrNothingNew) {
		t.Errorf("run now: %v", err)
	}

	// It cannot be reached, or is none: that is no fault of the campaign.
	web.publish("c")
	web.setDown(true)
	if made, err := s.makeRun(t.Context(), at(2), goOn); made != (scheduler.Made{}) || !errors.Is(err, failure.ErrUnreachable) {
		t.Errorf("down: %+v, %v", made, err)
	}
	web.setDown(false)
	if made, err := s.makeRun(t.Context(), at(2), goOn); err != nil || made.Run != run(2) || titles(t, s.App, run(2)) != "c" {
		t.Errorf("up again: %+v, %v", made, err)
	}

	// Schedules can be stored again when nothing is new.
	if _, err := s.Schedules.Add(t.Context(), s.digest("news", web, daily), launch.ScheduleOptions{}); err != nil {
		t.Errorf("schedule again: %v", err)
	}
}

// A diesAt is a hook that lets a process die at a command: it and all later ones fail, the
// first one before Redis has it, or after.
type diesAt struct {
	command  int64 // from 1
	answered bool  // Redis has it, and only the answer is lost
	n        atomic.Int64
}

var errDead = errors.New("the process is dead")

func (d *diesAt) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d *diesAt) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return d.do(func() error { return next(ctx, cmd) }, cmd)
	}
}

func (d *diesAt) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		return d.do(func() error { return next(ctx, cmds) }, cmds...)
	}
}

func (d *diesAt) do(ask func() error, cmds ...redis.Cmder) error {
	n := d.n.Add(1)
	if n < d.command {
		return ask()
	}
	if n == d.command && d.answered {
		_ = ask() // nothing hears what came of it
	}
	for _, cmd := range cmds {
		cmd.SetErr(errDead)
	}
	return errDead
}

// A scheduler dies at each command in turn while it makes the run of a digest, before Redis
// has the command and after. Another one goes on with the occurrence, and with the next one:
// each item is in one run that became ready.
func TestItemsAreSentOnceWhereverASchedulerDies(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	reached := false
	for command := int64(1); !reached; command++ {
		for _, answered := range []bool{false, true} {
			d := &diesAt{command: command, answered: answered}
			reached = s.dieAndGoOn(fmt.Sprintf("digest-%d-%t", command, answered), d)
		}
		if command > 200 {
			t.Fatal("the run is never made")
		}
	}
}

// dieAndGoOn reports whether the run was made before the process died.
func (s *project) dieAndGoOn(id string, d *diesAt) bool {
	t := s.t
	t.Helper()
	web := newSite(t, "b", "a")
	done, err := s.Schedules.Add(t.Context(), s.digest(id, web, daily), launch.ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}

	dying, err := app.Open(t.Context(), s.Config, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer dying.Close()
	dying.Launcher.Store.Client().AddHook(d)
	cfg := scheduler.FirerConfig{Maker: dying.Launcher.Maker, Campaigns: dying.Schedules, Log: slog.New(slog.DiscardHandler)}
	_, err = scheduler.NewFirer(dying.Schedules.Stored, cfg).MakeRun(t.Context(), firingOf(done), goOn)
	made := err == nil && d.n.Load() < d.command

	// The next item comes while nothing runs.
	web.publish("c")
	next := firingOf(done)
	next.Occurrence = done.Next.AddDate(0, 0, 1)
	last := next
	last.Occurrence = done.Next.AddDate(0, 0, 2)
	for _, f := range []scheduler.Firing{firingOf(done), next, last} {
		if _, err := s.makeRun(t.Context(), f, goOn); err != nil {
			t.Fatalf("%s: %s: %v", id, f.Occurrence, err)
		}
	}

	runs, err := s.Ledger.List(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	sent := map[string]int{}
	for _, run := range runs {
		if rec, err := s.Ledger.Record(t.Context(), run); err != nil || rec.Handle() == nil {
			t.Fatalf("%s: run %s: %+v, %v", id, run, rec, err)
		}
		for _, item := range strings.Fields(titles(t, s.App, run)) {
			sent[item]++
		}
	}
	if diff := cmp.Diff(map[string]int{"a": 1, "b": 1, "c": 1}, sent); diff != "" {
		t.Errorf("%s: items and how often they were sent (-want +got):\n%s", id, diff)
	}
	return made
}
