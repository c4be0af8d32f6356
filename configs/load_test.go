package configs_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"broadside/configs"
	"broadside/configs/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// testEnv is the environment of every file in testdata.
var testEnv = []string{
	"BROADSIDE_SECRET=an-own-secret-of-thirty-two-bytes-or-more", "SES_USER=AKIA", "SES_PASSWORD=hunter2",
	"MAILGUN_SIGNING_KEY=hunter2", "HOOK_PASSWORD=hunter2", "HOOK_SECRET=whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==",
	"CRM_SECRET=whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==", "BOUNCES_PASSWORD=hunter2", "BOUNCES_CLIENT_SECRET=hunter2", "BOUNCES_REFRESH_TOKEN=hunter2-refresh", "GOOGLE_CLIENT=id", "GOOGLE_SECRET=hunter2", "GOOGLE_REFRESH_TOKEN=hunter2",
	"HOST=smtp.acme.example", "FIVE=5",
}

// files returns the files that match, of which there must be some.
func files(t testing.TB, pattern string) []string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) == 0 {
		t.Fatalf("no file matches %s (%v)", pattern, err)
	}
	return names
}

// golden compares got with the file, or rewrites it with -update.
func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

func rows(c *configs.Config) string {
	var b strings.Builder
	for _, r := range c.Rows() {
		b.WriteString(r.Key + "\t" + r.Value + "\t" + r.Source + "\n")
	}
	return b.String()
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			c, err := configs.Load(t.Context(), configs.Options{File: file, Env: testEnv})
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", rows(c))
		})
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, err := configs.Load(t.Context(), configs.Options{File: file, Env: testEnv})
			var problems strictyaml.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got error %v of type %T, want Problems", err, err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret is shown:\n%v", err)
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatalf("without a file: %v", err)
	}
	if c.File != "" || c.Namespace != "bs" {
		t.Errorf("got file %q, namespace %q, want no file and the default", c.File, c.Namespace)
	}

	_, err = configs.Load(t.Context(), configs.Options{Dir: dir, File: "other.yaml"})
	want := filepath.Join(dir, "other.yaml") + ": there is no such file"
	if err == nil || err.Error() != want || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want %s", err, want)
	}

	_, err = configs.Load(t.Context(), configs.Options{File: dir})
	want = dir + ": cannot be read: it is a directory, expected a file or a pipe"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestFileInDir(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, configs.DefaultFile)
	if err := os.WriteFile(file, []byte("namespace: here\naccounts: {a: {host: x, ca_file: ca.pem}}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{c.File, c.Namespace, c.Sources["namespace"], c.Accounts["a"].CAFile}
	want := []string{file, "here", file + ":1", filepath.Join(dir, "ca.pem")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTooLargeFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(file, []byte(strings.Repeat("#", strictyaml.MaxFile+1)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := configs.Load(t.Context(), configs.Options{File: file})
	want := file + ": found more than 1048576 bytes: is this the right file?"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestRequireSecrets(t *testing.T) {
	t.Parallel()
	c, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var problems strictyaml.Problems
	if err := c.RequireSecrets(); !errors.As(err, &problems) || !strings.Contains(err.Error(), "BROADSIDE_SECRET=$(openssl rand -hex 32)") {
		t.Errorf("got %v, want Problems with a line that makes a secret", err)
	}
	c.Secrets = []configs.Secret{"x"}
	if err := c.RequireSecrets(); err != nil {
		t.Errorf("with a secret: %v", err)
	}
}

func TestLocation(t *testing.T) {
	t.Parallel()
	c := &configs.Config{}
	if loc, ok := c.Location(); ok || loc != time.UTC {
		t.Errorf("without a zone: got %v, %v", loc, ok)
	}
	c.Timezone = "Europe/Berlin"
	if loc, ok := c.Location(); !ok || loc.String() != "Europe/Berlin" {
		t.Errorf("got %v, %v", loc, ok)
	}
}

// Outside of a project a message says that there is no file, and where it was looked for.
func TestWhereNamesTheDirectoryWithoutAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want := "broadside.yaml (there is none in " + dir + ")"
	if got := c.Where(); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if err := c.RequireSecrets(); err == nil || !strings.Contains(err.Error(), "none is set, nor in "+want) {
		t.Errorf("got %v, want %s in it", err, want)
	}
	file := filepath.Join(dir, "broadside.yaml")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if c, err = configs.Load(t.Context(), configs.Options{Dir: dir}); err != nil || c.Where() != file {
		t.Errorf("got %s, %v, want %s", c.Where(), err, file)
	}
}
