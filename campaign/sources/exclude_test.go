package sources_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/ledger"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
)

// reached are the recipients of earlier runs, by run or campaign.
type reached map[string][]string

var errRedis = errors.New("redis does not answer")

// Reached says of the campaign "news" that it has two runs, and one whose addresses
// are no longer kept. It knows no run "none", and fails at "lost".
func (r reached) Reached(_ context.Context, name string, seen *audience.Seen) (runs, expired int, err error) {
	switch name {
	case "none":
		return 0, 0, ledger.ErrNoRun
	case "lost":
		return 0, 0, errRedis
	}

	for _, text := range r[name] {
		a, err := address.Parse(text)
		if err != nil {
			return 0, 0, err
		}
		seen.Add(a.Hash())
	}

	if name == "news" {
		return 2, 1, nil
	}

	return 0, 0, nil
}

// excludes reports whether an address is excluded.
func excludes(t *testing.T, x *sources.Exclusions, text string) bool {
	t.Helper()
	a, err := address.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return x.Has(a.Hash())
}

func TestExclusions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "staff.csv", "email\nann@example.org\nbob@example.org\n")
	write(t, dir, "chefs.csv", "Mail,Chef\neve@example.org,\xfc mallory@example.org\n")
	more := write(t, t.TempDir(), "more.csv", "dan@example.org\nann@example.org\n")
	lists := audience.NewLists(client(t), "test")
	importList(t, lists, "friends", "email\nbob@example.org\ncat@example.org\n")
	s := sources.Sources{Lists: lists, Runs: reached{"news": {"cat@example.org", "fay@example.org"}, "news-1": {"gus@example.org"}}}
	def := parse(t, dir, "audience: {source: list:all}\n"+
		"exclude: [staff.csv, list:friends, run:news, run:news-1, {file: chefs.csv, email: Mail, encoding: windows-1252}]\n")

	x, err := s.Exclusions(t.Context(), def, []string{more})
	if err != nil {
		t.Fatal(err)
	}

	want := []sources.Exclusion{ // an address counts where it is found first
		{Source: "staff.csv", Addresses: 2},
		{Source: "list:friends", Addresses: 1},
		{Source: "run:news", Addresses: 1, Runs: 2, Expired: 1},
		{Source: "run:news-1", Addresses: 1},
		{Source: "chefs.csv", Addresses: 1},
		{Source: more, Addresses: 1},
	}
	if diff := cmp.Diff(want, x.Found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}

	for _, name := range []string{"ann", "bob", "cat", "dan", "eve", "fay", "gus"} {
		if !excludes(t, x, name+"@example.org") {
			t.Errorf("%s is not excluded", name)
		}
	}

	if excludes(t, x, "mallory@example.org") {
		t.Error("an address in a column that was not named is excluded")
	}
}

func TestNoExclusionsExcludeNone(t *testing.T) {
	t.Parallel()
	var none *sources.Exclusions
	if excludes(t, none, "ann@example.org") {
		t.Error("no exclusions exclude an address")
	}

	x, err := sources.Sources{}.Exclusions(t.Context(), &campaign.Definition{}, nil)
	if err != nil || len(x.Found) > 0 || excludes(t, x, "ann@example.org") {
		t.Errorf("a campaign without exclusions: %+v, %v", x, err)
	}
}

// Without Redis a campaign can still be checked: its lists and runs are left out.
func TestExclusionsWithoutRedis(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "staff.csv", "ann@example.org\n")
	def := parse(t, dir, "audience: {source: staff.csv}\nexclude: [list:friends, staff.csv, run:news]\n")

	x, err := sources.Sources{}.Exclusions(t.Context(), def, nil)
	if err != nil {
		t.Fatal(err)
	}

	if diff := cmp.Diff([]string{"list:friends", "run:news"}, x.Unread); diff != "" {
		t.Errorf("not read (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]sources.Exclusion{{Source: "staff.csv", Addresses: 1}}, x.Found); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
}

// Sources of the command line are on disk, also where those of the campaign are stored,
// and relative to where the command runs.
func TestExclusionsOfTheCommandLineAreOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	more := write(t, dir, "more.csv", "dan@example.org\n")
	def := parse(t, dir, "audience: {source: list:all}\nexclude: [staff.csv]\n")
	s, _ := storedFiles(map[string]string{"exclude[0]": "ann@example.org\n"})

	x, err := s.Exclusions(t.Context(), def, []string{more})
	if err != nil {
		t.Fatal(err)
	}

	if !excludes(t, x, "ann@example.org") || !excludes(t, x, "dan@example.org") {
		t.Errorf("excluded: %+v, want the stored and the named file", x.Found)
	}

	if _, err := s.Exclusions(t.Context(), def, []string{"more.csv"}); err == nil || !strings.Contains(err.Error(), "--exclude more.csv: more.csv: no such file") {
		t.Errorf("a name that only the campaign's directory has: %v", err)
	}
}

// Every source is read before the error is returned. What is wrong with a source is a
// problem of the campaign file; trouble with reading it keeps its kind too.
func TestExclusionsHaveEveryProblem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "empty.csv", "email\n")
	s := sources.Sources{Lists: audience.NewLists(client(t), "test"), Runs: reached{}}
	for name, tt := range map[string]struct {
		exclude string
		more    []string
		want    []string
		kind    error // that the error must have; nil: it is about input alone
	}{
		"input": {
			exclude: "[empty.csv, none.csv, list:none, run:none]",
			want:    []string{"exclude[0]: ", "empty.csv: no rows", "exclude[1]: ", "none.csv: no such file", "exclude[2]: ", "no such list", "exclude[3]: "},
		},
		"redis": {exclude: "[none.csv, run:lost]", want: []string{"exclude[0]: ", "exclude[1]: redis does not answer"}, kind: errRedis},
		"the command line": {
			exclude: "[none.csv]", more: []string{"list:none", "run:lost", "-"}, kind: errRedis,
			want: []string{"exclude[0]: ", "--exclude list:none: ", "--exclude run:lost: ", "--exclude -: ", "nothing to read from"},
		},
	} {
		def := parse(t, dir, "audience: {source: list:all}\nexclude: "+tt.exclude+"\n")
		x, err := s.Exclusions(t.Context(), def, tt.more)
		if x != nil || !errors.As(err, new(strictyaml.Problems)) {
			t.Errorf("%s: got %v, %v; want problems of the campaign file", name, x, err)
			continue
		}

		for _, text := range tt.want {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: no %q in:\n%v", name, text, err)
			}
		}

		if errors.Is(err, errRedis) != (tt.kind != nil) || errors.Is(err, ledger.ErrNoRun) {
			t.Errorf("%s: of the wrong kind: %v", name, err)
		}
	}
}
