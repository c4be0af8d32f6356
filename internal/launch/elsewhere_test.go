package launch_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/internal/testkit"
	"broadside/scheduler"
)

// A shop is where an audience is on the web.
type shop struct {
	url    string
	status atomic.Int64
	body   atomic.Value // string
	asked  atomic.Int64
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{}
	s.status.Store(http.StatusOK)
	s.body.Store("email,first_name\nada@example.org,Ada\nzoe@example.com,Zoe\n")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		w.WriteHeader(int(s.status.Load()))
		text, _ := s.body.Load().(string)
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	s.url = strings.Replace(server.URL, "http://", "http://reader:tiger@", 1) + "/people.csv?token=hunter2"
	return s
}

// elsewhere loads a campaign whose audience is somewhere else.
func (s *project) elsewhere(audience, more string) *campaign.Definition {
	s.t.Helper()
	s.write("campaign.yaml", strings.Replace(campaignFile, "{source: people.csv}", audience, 1)+more)
	def, err := campaign.Load(s.t.Context(), filepath.Join(s.dir, "campaign.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	return def
}

// A campaign whose audience is elsewhere is stored without it, after a look at its columns.
func TestAnAudienceElsewhereIsNotStored(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	web := newShop(t)
	def := s.elsewhere("{source: \""+web.url+"\"}", "schedule: {cron: \"@daily\"}\n")
	var asked launch.Plan
	done, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{Confirm: func(p launch.Plan) error { asked = p; return nil }})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"email", "first_name"}, asked.Columns); diff != "" || done.Recipients != 0 {
		t.Errorf("%d recipients, columns (-want +got):\n%s", done.Recipients, diff)
	}
	for _, f := range done.Files {
		if f.Key == "audience.source" {
			t.Errorf("the audience is stored: %+v", f)
		}
	}

	// It is read when it is due, and the record of the run has no secret.
	web.body.Store("email,first_name\nada@example.org,Ada\n")
	made, err := s.makeRun(t.Context(), firingOf(done), goOn)
	if err != nil || made.Failure != "" {
		t.Fatalf("got %+v, %v", made, err)
	}
	rec, err := s.Ledger.Record(t.Context(), made.Run)
	if err != nil || rec.Total() != 1 {
		t.Fatalf("got %d recipients, %v; want 1", rec.Total(), err)
	}
	text, err := json.Marshal(rec)
	if err != nil || !strings.Contains(rec.Audience, "/people.csv?...") || strings.Contains(string(text), "tiger") || strings.Contains(string(text), "hunter2") {
		t.Errorf("the audience of the record is %s, error %v", rec.Audience, err)
	}

	// What is wrong with it shows when it is scheduled.
	web.body.Store("name\nAda\n")
	if _, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{}); err == nil || !strings.Contains(err.Error(), "no column looks like the address") {
		t.Errorf("got %v, want a refusal", err)
	}
	web.status.Store(http.StatusNotFound)
	if _, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{}); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

// When a campaign is due, a source that cannot be read is trouble that may pass, whatever
// its server says; what is wrong with its content is not.
func TestTroubleWithASourceMayPass(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	web := newShop(t)
	def := s.elsewhere("{source: \""+web.url+"\"}", "schedule: {cron: \"@daily\"}\n")
	done, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}

	for _, status := range []int{http.StatusServiceUnavailable, http.StatusNotFound, http.StatusUnauthorized, http.StatusTooManyRequests} {
		web.status.Store(int64(status))
		made, err := s.makeRun(t.Context(), firingOf(done), goOn)
		if _, ok := errors.AsType[*sources.Trouble](err); !ok || made != (scheduler.Made{}) {
			t.Errorf("%d: got %+v, %v; want trouble", status, made, err)
		}
	}
	if rec, err := s.Ledger.Record(t.Context(), campaign.RunID("news", done.Next)); !ledger.Gone(err) {
		t.Errorf("there is a run: %+v, %v", rec, err)
	}

	web.status.Store(http.StatusOK)
	web.body.Store("email,first_name\nnobody,Ada\n")
	made, err := s.makeRun(t.Context(), firingOf(done), goOn)
	if err != nil || !strings.Contains(made.Failure, "no valid address in 1 rows") || strings.Contains(made.Failure, "hunter2") {
		t.Errorf("got %+v, %v; want a failure", made, err)
	}
}

// A query that was right when it was stored is wrong when a column is gone; that a
// database is away passes.
func TestADatabaseThatChanges(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	server := testkit.Postgres(t, testkit.KeyPair{})
	server.Exec("create table people (email text, first_name text); insert into people values ('ada@example.org', 'Ada'), ('zoe@example.com', 'Zoe')")
	def := s.elsewhere("{source: \""+server.URL+"\", query: select * from people}", "schedule: {cron: \"@daily\"}\n")
	done, err := s.Schedules.Add(t.Context(), def, launch.ScheduleOptions{})
	if err != nil {
		t.Fatal(err)
	}

	later := firingOf(done)
	later.Occurrence = done.Next.AddDate(0, 0, 1)
	server.Exec("alter table people rename email to post")
	made, err := s.makeRun(t.Context(), later, goOn)
	if err != nil || !strings.Contains(made.Failure, "audience.query") || !strings.Contains(made.Failure, "no column looks like the address") {
		t.Errorf("got %+v, %v; want a failure", made, err)
	}
	server.Exec("alter table people rename post to email")
	if made, err := s.makeRun(t.Context(), firingOf(done), goOn); err != nil || made.Failure != "" {
		t.Errorf("got %+v, %v", made, err)
	}
	server.Stop()
	later.Occurrence = done.Next.AddDate(0, 0, 2)
	if made, err := s.makeRun(t.Context(), later, goOn); !errors.Is(err, failure.ErrUnreachable) {
		t.Errorf("got %+v, %v; want trouble", made, err)
	}
}
