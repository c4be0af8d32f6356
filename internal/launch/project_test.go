package launch_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/failure"
	"broadside/internal/launch"
	"broadside/internal/testkit"
)

// A project is one with a campaign, on a Redis of its own. No process of it runs: tests
// fire its schedules and end its runs.
type project struct {
	*app.App
	t    *testing.T
	dir  string
	line *ledger.Line
}

const campaignFile = `id: news
topic: newsletter
from: Acme News <news@acme.example>
subject: "Hello {{.first_name}}"
audience: {source: people.csv}
exclude: [not.csv]
content: {markdown: letter.md}
`

func newProject(t *testing.T) *project {
	t.Helper()
	s := &project{t: t, dir: t.TempDir()}
	s.write("people.csv", "email,first_name\nada@example.org,Ada\ngrace@gmail.com,Grace\nzoe@example.com,Zoe\n")
	s.write("not.csv", "email\nzoe@example.com\n")
	s.write("letter.md", "# Hello {{.first_name}}\n")
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: s.dir, Env: []string{
		"REDIS_URL=" + testkit.Redis(t), "SMTP_URL=smtp://127.0.0.1:9?tls=none", "BROADSIDE_TIMEZONE=Europe/Berlin",
		"BROADSIDE_PUBLIC_URL=http://127.0.0.1:8080", "BROADSIDE_SECRETS=a-secret-of-the-tests-that-signs-nothing-real", "BROADSIDE_POSTAL_ADDRESS=Acme",
	}})
	if err != nil {
		t.Fatal(err)
	}

	s.App, err = app.Open(t.Context(), cfg, app.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}

	t.Cleanup(func() { s.Close() })

	s.line = s.Ledger.Line(s.Launcher.Store.Client(), s.Suppression)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.line.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return s
}

// write writes a file of the project.
func (s *project) write(name, text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

// def loads a campaign whose file ends in more.
func (s *project) def(more string) *campaign.Definition {
	s.t.Helper()
	s.write("campaign.yaml", campaignFile+more)
	def, err := campaign.Load(s.t.Context(), filepath.Join(s.dir, "campaign.yaml"))
	if err != nil {
		s.t.Fatal(err)
	}
	return def
}

// launch makes a run of some recipients, and ends each in the state that its local part
// names: failed, bounced or uncertain, and accepted otherwise.
func (s *project) launch(o launch.Options, people ...string) string {
	s.t.Helper()
	s.write("people.csv", "email,first_name\n"+strings.Join(people, ",X\n")+",X\n")
	launched, err := s.Launcher.Launch(s.t.Context(), s.def(""), o)
	if err != nil {
		s.t.Fatal(err)
	}
	s.end(launched.Run, nil)
	return launched.Run
}

// each calls do for the recipients of a run.
func (s *project) each(run string, do func(address string, ref ledger.Ref, state campaign.State)) {
	s.t.Helper()
	rec, err := s.Ledger.Record(s.t.Context(), run)
	if err != nil {
		s.t.Fatal(err)
	}

	h := rec.Handle()
	err = s.Runs.Each(s.t.Context(), h, func(part, index int, c ledger.Cell, row audience.Row) error {
		do(row.Address.String(), ledger.Ref{Run: h, Part: part, Index: index}, c.State)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// end gives each recipient that has no final state the one that outcome returns for its
// address; nil: the one that its local part names.
func (s *project) end(run string, outcome func(address string) campaign.State) {
	s.t.Helper()
	if outcome == nil {
		outcome = func(address string) campaign.State {
			word, _, _ := strings.Cut(address, "+")
			if state, ok := campaign.ParseState(word); ok {
				return state
			}
			return campaign.Accepted
		}
	}

	s.each(run, func(address string, ref ledger.Ref, state campaign.State) {
		if state.Final() {
			return
		}
		token := "w-" + ref.String()
		if _, err := s.line.Claim(s.t.Context(), ref, token, ledger.SuppressionKey{}); err != nil {
			s.t.Fatal(err)
		}
		o := ledger.Outcome{State: outcome(address)}
		switch o.State {
		case campaign.Failed:
			o.Reply = ledger.Reply{Code: 554, Enhanced: "5.7.1", Text: "policy of " + address[strings.Index(address, "@")+1:]}
		case campaign.Bounced:
			o.Reply = ledger.Reply{Code: 550, Enhanced: "5.1.1", Text: "no such user"}
		}
		if ok, err := s.line.Settle(s.t.Context(), ref, token, o); err != nil || !ok {
			s.t.Fatalf("settle %s: %v, %v", ref, ok, err)
		}
	})
}

// states returns the recipients of a run with their states, as "address state".
func (s *project) states(run string) []string {
	s.t.Helper()
	var all []string
	s.each(run, func(address string, _ ledger.Ref, state campaign.State) {
		all = append(all, address+" "+state.String())
	})
	slices.Sort(all)
	return all
}

// retry retries recipients of a run, and returns the run of the retry.
func (s *project) retry(run string, o launch.RetryOptions) string {
	s.t.Helper()
	launched, err := s.Launcher.Retry(s.t.Context(), run, o)
	if err != nil {
		s.t.Fatal(err)
	}
	return launched.Run
}

// refused fails the test unless a retry is refused for the reason given, and makes no run.
func (s *project) refused(run string, o launch.RetryOptions, why string) {
	s.t.Helper()
	before, _ := s.Ledger.List(s.t.Context(), "")
	launched, err := s.Launcher.Retry(s.t.Context(), run, o)
	if !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), why) {
		s.t.Errorf("retry of %s: got %+v, %v; want ErrRefused with %q", run, launched, err, why)
	}
	if after, _ := s.Ledger.List(s.t.Context(), ""); len(after) != len(before) {
		s.t.Errorf("there are runs %v, before %v", after, before)
	}
}

// want compares the recipients of a run with those wanted, as "address state".
func (s *project) want(run string, want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.states(run)); diff != "" {
		s.t.Errorf("recipients of %s (-want +got):\n%s", run, diff)
	}
}
