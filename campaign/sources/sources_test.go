package sources_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/testkit"
	"broadside/scheduler"
)

// write writes a file and returns its path.
func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// parse reads a campaign file that is in dir.
func parse(t *testing.T, dir, more string) *campaign.Definition {
	t.Helper()
	text := "id: news\ntopic: news\nfrom: news@acme.example\nsubject: Hello\ncontent: {markdown: letter.md}\n" + more
	def, err := campaign.Parse("campaign.yaml", dir, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return def
}

// client returns a client of a private redis-server.
func client(t *testing.T) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}

	rdb := redis.NewClient(o)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}

// importList makes a list of rows in CSV.
func importList(t *testing.T, lists *audience.Lists, name, rows string) {
	t.Helper()
	r, err := audience.Open(t.Context(), audience.Source{Path: "-", Reader: strings.NewReader(rows)}, audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := lists.Import(t.Context(), name, r, audience.ImportOptions{}); err != nil {
		t.Fatal(err)
	}
}

// addresses returns the addresses that are left to read, one a word.
func addresses(t *testing.T, r *audience.Reader) string {
	t.Helper()
	defer r.Close() //nolint:errcheck // only read
	var found []string
	var row audience.Row
	for {
		err := r.Next(&row)
		if err == io.EOF {
			return strings.Join(found, " ")
		}
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, row.Address.String())
	}
}

// A stored is a file of a schedule that says when it was closed.
type stored struct {
	io.Reader
	closed *int
}

func (s stored) Close() error {
	*s.closed++
	return nil
}

// storedFiles returns a source of stored files by their keys, and how many of those
// that were opened have been closed.
func storedFiles(files map[string]string) (sources.Sources, *int) {
	closed := new(int)
	return sources.Sources{Stored: func(_ context.Context, key string) (io.ReadCloser, error) {
		text, ok := files[key]
		if !ok {
			return nil, errors.New("the schedule has no file for " + key)
		}
		return stored{strings.NewReader(text), closed}, nil
	}}, closed
}

func TestFilesThatACampaignNames(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		def  campaign.Definition
		want []sources.NamedFile
	}{
		"none": {},
		"content": {
			campaign.Definition{Content: campaign.Content{HTML: "l.html", Text: "l.txt"}},
			[]sources.NamedFile{{Key: "content.html", Name: "l.html"}, {Key: "content.text", Name: "l.txt"}},
		},
		"an audience from a file": {
			campaign.Definition{Content: campaign.Content{Markdown: "l.md"}, Audience: campaign.Audience{Source: "people.csv"}},
			[]sources.NamedFile{{Key: "content.markdown", Name: "l.md"}, {Key: "audience.source", Name: "people.csv"}},
		},
		"an audience from a list":           {def: campaign.Definition{Audience: campaign.Audience{Source: "list:people"}}},
		"an audience on the standard input": {def: campaign.Definition{Audience: campaign.Audience{Source: "-"}}},
		"exclusions keep their numbers": {
			campaign.Definition{Exclude: []campaign.Exclusion{{Source: "list:staff"}, {Source: "a.csv"}, {Source: "run:news"}, {Source: "../b.csv"}}},
			[]sources.NamedFile{{Key: "exclude[1]", Name: "a.csv"}, {Key: "exclude[3]", Name: "../b.csv"}},
		},
	} {
		if diff := cmp.Diff(tt.want, sources.Files(&tt.def)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestContentFromDisk(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	dir := filepath.Join(root, "october")
	def := parse(t, dir, "audience: {source: people.csv}\n")
	write(t, dir, "letter.md", "next to the campaign")
	write(t, dir, "parts/letter.md", "below the campaign")
	shared := write(t, root, "shared.md", "shared")
	if err := os.Symlink(shared, filepath.Join(dir, "link.md")); err != nil {
		t.Fatal(err)
	}

	for name, want := range map[string]string{
		"letter.md":       "next to the campaign",
		"parts/letter.md": "below the campaign",
		"../shared.md":    "shared", // a campaign is its author's own: it may name what they may read
		"link.md":         "shared",
		shared:            "shared",
	} {
		f, err := sources.Sources{}.File(t.Context(), def, "content.markdown", name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}

		got, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if string(got) != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A schedule has the files as they were when it was made, under the keys of the
// campaign file. What their names lead to now is not looked at.
func TestStoredFilesAreReadInsteadOfTheirNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	def := parse(t, dir, "audience: {source: people.csv}\nexclude: [list:staff, not.csv]\n")
	for _, name := range []string{"letter.md", "people.csv", "not.csv"} {
		write(t, dir, name, "email\ndisk@example.org\n")
	}

	s, closed := storedFiles(map[string]string{
		"content.markdown": "stored", "audience.source": "email\nstored@example.org\n", "exclude[1]": "email\nout@example.org\n",
	})

	for _, name := range []string{"letter.md", "/dev/zero", "../../../../etc/passwd", ""} {
		f, err := s.File(t.Context(), def, "content.markdown", name)
		if err != nil {
			t.Fatalf("%q: %v", name, err)
		}
		if got, err := io.ReadAll(f); err != nil || string(got) != "stored" {
			t.Errorf("%q: got %q, %v; want the stored text", name, got, err)
		}
	}

	r, err := s.Audience(t.Context(), def, "")
	if err != nil {
		t.Fatal(err)
	}

	if got := addresses(t, r); got != "stored@example.org" || *closed != 1 {
		t.Errorf("the audience is %q, closed %d times; want the stored one, closed at its end", got, *closed)
	}

	x, err := s.Exclusions(t.Context(), def, nil)
	if err != nil {
		t.Fatal(err)
	}

	if *closed != 2 || !excludes(t, x, "out@example.org") || excludes(t, x, "disk@example.org") {
		t.Errorf("excluded %+v, %d files closed; want the stored addresses", x.Found, *closed)
	}

	if _, err := s.File(t.Context(), def, "content.text", "letter.md"); err == nil || !strings.Contains(err.Error(), "no file for content.text") {
		t.Errorf("a file that is not stored: %v, want the schedule's error", err)
	}
}

// A fault in a stored file is found under the name that the campaign file has for it.
func TestFaultsOfStoredFilesHaveTheirNames(t *testing.T) {
	t.Parallel()
	def := parse(t, t.TempDir(), "audience: {source: people.csv}\nexclude: [not.csv]\n")
	s, _ := storedFiles(map[string]string{"audience.source": "name,age\nAda,36\n", "exclude[0]": "email\nnobody\n"})

	_, err := s.Audience(t.Context(), def, "")
	if file, ok := errors.AsType[*audience.FileError](err); !ok || file.File != "people.csv" {
		t.Errorf("audience: %v, want a fault of people.csv", err)
	}

	_, err = s.Exclusions(t.Context(), def, nil)
	if err == nil || !strings.Contains(err.Error(), "not.csv:2: 1 of 1 rows have no address") {
		t.Errorf("exclude: %v, want a fault of not.csv", err)
	}
}

func TestAudience(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "people.csv", "email\nfile@example.org\n")
	write(t, dir, "columns.csv", "Mail,Chef\nm@example.org,\xfcn@example.org\n")
	elsewhere := write(t, t.TempDir(), "other.csv", "email\nother@example.org\n")
	lists := audience.NewLists(client(t), "test")
	importList(t, lists, "friends", "email\nlist@example.org\n")
	s := sources.Sources{Lists: lists}
	for name, tt := range map[string]struct {
		audience, instead, stdin string
		want                     string
	}{
		"a file next to the campaign":   {audience: "people.csv", want: "file@example.org"},
		"a file by its full path":       {audience: elsewhere, want: "other@example.org"},
		"a list":                        {audience: "list:friends", want: "list@example.org"},
		"the standard input":            {audience: "-", stdin: "email\nin@example.org\n", want: "in@example.org"},
		"another file in its place":     {audience: "people.csv", instead: elsewhere, want: "other@example.org"},
		"another list in its place":     {audience: "people.csv", instead: "list:friends", want: "list@example.org"},
		"the standard input instead":    {audience: "list:friends", instead: "-", stdin: "email\nin@example.org\n", want: "in@example.org"},
		"with a column and an encoding": {audience: "columns.csv, email: Mail, encoding: windows-1252", want: "m@example.org"},
	} {
		def := parse(t, dir, "audience: {source: "+tt.audience+"}\n")
		in := s
		if tt.stdin != "" {
			in.Stdin = strings.NewReader(tt.stdin)
		}

		r, err := in.Audience(t.Context(), def, tt.instead)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}

		if got := addresses(t, r); got != tt.want {
			t.Errorf("%s: got %s, want %s", name, got, tt.want)
		}
	}
}

func TestAudienceAtFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir, "people.csv", "email\nfile@example.org\n")
	s := sources.Sources{Lists: audience.NewLists(client(t), "test")}

	_, err := s.Audience(t.Context(), parse(t, dir, "audience: {source: peple.csv}\n"), "")
	problems, ok := errors.AsType[strictyaml.Problems](err)
	if !ok || problems[0].Line != 6 || problems[0].Key != "audience.source" || !strings.Contains(err.Error(), "a path is relative to the campaign file") {
		t.Errorf("no such file: %v, want a problem in line 6 of the campaign file", err)
	}

	// A path of the command line is relative to where the command runs.
	def := parse(t, dir, "audience: {source: people.csv}\n")
	_, err = s.Audience(t.Context(), def, "people.csv")
	if _, ok := errors.AsType[*audience.FileError](err); !ok || !errors.Is(err, fs.ErrNotExist) || errors.As(err, &problems) {
		t.Errorf("a file of the campaign's directory instead: %v, want that it does not exist", err)
	}

	if _, err = s.Audience(t.Context(), def, "-"); !errors.Is(err, failure.ErrInvalid) {
		t.Errorf("no standard input: %v, want ErrInvalid", err)
	}
	if _, err = s.Audience(t.Context(), def, "list:none"); !errors.Is(err, audience.ErrNoList) {
		t.Errorf("no such list: %v, want ErrNoList", err)
	}
}

// A campaign is read from a real schedule after its files on disk are gone.
func TestCampaignFromASchedule(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	def := parse(t, dir, "audience: {source: people.csv}\nexclude: [run:news, not.csv]\n")
	write(t, dir, "letter.md", "# Hello\n")
	write(t, dir, "people.csv", "email\nada@example.org\nzoe@example.org\n")
	write(t, dir, "not.csv", "zoe@example.org\n")

	schedules := scheduler.NewSchedules(client(t), "test", redis.NewScript)
	schedule := &scheduler.Schedule{ID: "news", Version: scheduler.NewVersion()}
	for _, f := range sources.Files(def) {
		r, err := sources.Sources{}.File(t.Context(), def, f.Key, f.Name)
		if err != nil {
			t.Fatal(err)
		}
		staged, err := schedules.Stage(t.Context(), schedule.Version, f.Key, f.Name, r)
		if err := errors.Join(err, r.Close(), os.Remove(filepath.Join(dir, f.Name))); err != nil {
			t.Fatal(err)
		}
		schedule.Files = append(schedule.Files, staged)
	}

	s := sources.Sources{Runs: reached{}, Stored: func(ctx context.Context, key string) (io.ReadCloser, error) {
		return schedules.Open(ctx, schedule, key)
	}}
	f, err := s.File(t.Context(), def, "content.markdown", "letter.md")
	if err != nil {
		t.Fatal(err)
	}

	text, err := io.ReadAll(f)
	if err := errors.Join(err, f.Close()); err != nil || string(text) != "# Hello\n" {
		t.Errorf("content: %q, %v", text, err)
	}

	r, err := s.Audience(t.Context(), def, "")
	if err != nil {
		t.Fatal(err)
	}

	if got := addresses(t, r); got != "ada@example.org zoe@example.org" {
		t.Errorf("audience: %s", got)
	}

	x, err := s.Exclusions(t.Context(), def, nil)
	if err != nil {
		t.Fatal(err)
	}

	if !excludes(t, x, "zoe@example.org") || excludes(t, x, "ada@example.org") {
		t.Errorf("excluded: %+v, want zoe", x.Found)
	}
}
