package launch_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/launch"
)

// An address in an exclude file is not mailed, however its row is written.
func TestExcludeFilesAreReadGenerously(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	s.write("people.csv", "email,first_name\nann@example.org,A\nbob@example.org,B\ncat@example.org,C\n")
	for _, tt := range []struct {
		name, file string
		opts       campaign.Exclusion
		mailed     string // of a, b, c
	}{
		{"display name", "email,name\nBob <bob@example.org>,Bob\n", campaign.Exclusion{}, "a c"},
		{"missing and extra columns", "email,name\ncat@example.org\nbob@example.org,Bob,x\n", campaign.Exclusion{}, "a"},
		{"no header", "bob@example.org\n", campaign.Exclusion{}, "a c"},
		{"hidden characters", "email\n\u200bbob@example.org\ncat@example.org\u200b\n", campaign.Exclusion{}, "a"},
		{"other header", "Kontakt\nbob@example.org\n", campaign.Exclusion{}, "a c"},
		{"column and encoding", "Mail,Chef\nbob@example.org,cat@example.org M\xfcller\n", campaign.Exclusion{Email: "Mail", Encoding: "windows-1252"}, "a c"},
	} {
		s.write("staff.csv", tt.file)
		def := s.def("")
		tt.opts.Source = "staff.csv"
		def.Exclude = []campaign.Exclusion{tt.opts}
		plan, err := s.Launcher.Plan(t.Context(), def, launch.Options{})
		want := int64(len(strings.Fields(tt.mailed)))
		if err != nil || plan.Total != want || len(plan.Excluded) != 1 || plan.Excluded[0].Source != "staff.csv" {
			t.Errorf("%s: %+v, %v; want %d recipients", tt.name, plan, err, want)
		}
	}
}

// A row without an address may stand for one that must not be mailed.
func TestExcludeFilesAtFaultAreRefused(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	def := s.def("")
	def.Exclude = []campaign.Exclusion{{Source: "staff.csv"}, {Source: "none.csv"}, {Source: "run:nothing"}}
	s.write("staff.csv", "email,name\nbob@example.org,B\nb\u200bob,Bob\n,,\n\"Z\ned\",\n"+strings.Repeat("x\n", 20))
	_, err := s.Launcher.Plan(t.Context(), def, launch.Options{})
	var problems strictyaml.Problems
	if !errors.As(err, &problems) {
		t.Fatalf("%v, want problems of the campaign file", err)
	}

	for _, want := range []string{
		"exclude[0]: ", "staff.csv:3: 22 of 23 rows have no address", `line 3: "b\u200bob,Bob"`, `line 5: "\"Z\ned\","`, "line 14: ", "and 12 more",
		"exclude[1]: ", "none.csv: no such file", "exclude[2]: ", "nothing",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in:\n%v", want, err)
		}
	}
	if _, err := s.Launcher.Plan(t.Context(), s.def(""), launch.Options{Exclude: []string{filepath.Join(s.dir, "staff.csv")}}); err == nil {
		t.Error("--exclude: no error")
	} else if _, ok := errors.AsType[*audience.FileError](err); !ok || !strings.Contains(err.Error(), "--exclude ") {
		t.Errorf("--exclude: %v, want a FileError", err)
	}

	s.write("staff.csv", "email\n")
	def.Exclude = def.Exclude[:1]
	if _, err := s.Launcher.Plan(t.Context(), def, launch.Options{}); err == nil || !strings.Contains(err.Error(), "no rows") {
		t.Errorf("a header alone: %v", err)
	}
}

// A campaign stands for all its runs, so that recipients of one that is sent in parts get
// it once.
func TestExcludeACampaign(t *testing.T) {
	t.Parallel()
	s := newProject(t)
	people := []string{"a@example.org", "b@example.org", "c@example.org", "d@example.org", "failed+1@example.org", "uncertain+1@example.org"}
	var sent, runs []string
	for i := range 3 {
		run := s.launch(launch.Options{Limit: 2, Again: i > 0, Exclude: []string{"run:news"}[:min(i, 1)]}, people...)
		runs = append(runs, run)
		s.each(run, func(address string, _ ledger.Ref, _ campaign.State) { sent = append(sent, address) })
	}

	if diff := cmp.Diff(len(people), len(sent)); diff != "" {
		t.Errorf("sent to %v", sent)
	}

	seen := map[string]bool{}
	for _, address := range sent {
		if seen[address] {
			t.Errorf("%s got it twice", address)
		}
		seen[address] = true
	}

	plan, err := s.Launcher.Plan(t.Context(), s.def(""), launch.Options{Exclude: []string{"run:news"}})
	want := []sources.Exclusion{{Source: "not.csv", Addresses: 1}, {Source: "run:news", Addresses: 5, Runs: 3}}
	if err != nil || plan.Total != 1 {
		t.Errorf("%+v, %v; want the one that failed", plan, err)
	}

	if diff := cmp.Diff(want, plan.Excluded); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	// Runs whose addresses have expired are counted. When all have, it is not known which
	// recipients got the message.
	s.expire(runs[0])
	plan, err = s.Launcher.Plan(t.Context(), s.def(""), launch.Options{Exclude: []string{"run:news"}})
	if err != nil || plan.Excluded[1].Runs != 2 || plan.Excluded[1].Expired != 1 || plan.Total != 3 {
		t.Errorf("one expired: %+v, %v; want 2 runs, 1 expired, 3 people", plan, err)
	}

	if _, err := s.Launcher.Plan(t.Context(), s.def(""), launch.Options{Exclude: []string{"run:" + runs[0]}}); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("a run that expired: %v, want ErrInvalid", err)
	}

	s.expire(runs[1:]...)
	if _, err := s.Launcher.Plan(t.Context(), s.def(""), launch.Options{Exclude: []string{"run:news"}}); !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), "have expired") {
		t.Errorf("all expired: %v, want ErrInvalid", err)
	}
}

// expire removes the addresses of runs, as retention.addresses does.
func (s *project) expire(runs ...string) {
	s.t.Helper()
	for _, run := range runs {
		keys, err := s.Launcher.Store.Client().Keys(s.t.Context(), "*{run:"+run+"}:*:chunks").Result()
		if err != nil || len(keys) == 0 {
			s.t.Fatalf("chunks of %s: %v, %v", run, keys, err)
		}
		if err := s.Launcher.Store.Client().Del(s.t.Context(), keys...).Err(); err != nil {
			s.t.Fatal(err)
		}
	}
}
