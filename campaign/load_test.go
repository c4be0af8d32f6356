package campaign_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/configs/strictyaml"
)

var update = flag.Bool("update", false, "rewrite the golden files")

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

// dump prints the definition as JSON, without the text and places.
func dump(t *testing.T, d *campaign.Definition) string {
	t.Helper()
	c := *d
	c.Source, c.Lines = nil, nil
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestGoodFiles(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/good/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			d, err := campaign.Load(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", dump(t, d))
		})
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, file := range files(t, "testdata/bad/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, err := campaign.Load(t.Context(), file)
			var problems strictyaml.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("got error %v of type %T, want Problems", err, err)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".want", err.Error()+"\n")
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "none.yaml")
	_, err := campaign.Load(t.Context(), file)
	var problems strictyaml.Problems
	if want := file + ": there is no such file"; !errors.Is(err, fs.ErrNotExist) || !errors.As(err, &problems) || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestProblemPointsAtKey(t *testing.T) {
	t.Parallel()
	d, err := campaign.Load(t.Context(), "testdata/good/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ key, want string }{
		{"schedule.at", "testdata/good/full.yaml:21:7: schedule.at: is past"},
		{"delivery.accounts[1]", "testdata/good/full.yaml:24:24: delivery.accounts[1]: is past"},
		{"delivery.accounts[9]", "testdata/good/full.yaml:24:3: delivery.accounts[9]: is past"},
		{"schedule.cron", "testdata/good/full.yaml:20:1: schedule.cron: is past"},
		{"nothing", "testdata/good/full.yaml:1:1: nothing: is past"},
	} {
		if got := d.Problem(tt.key, "is %s", "past").Error(); got != tt.want {
			t.Errorf("Problem(%q) = %q, want %q", tt.key, got, tt.want)
		}
	}
}

func TestDefaultsAreNotShared(t *testing.T) {
	t.Parallel()
	d, err := campaign.Load(t.Context(), "testdata/good/minimal.yaml")
	if err != nil {
		t.Fatal(err)
	}
	d.Delivery.Retry[0] = time.Hour
	if campaign.DefaultRetry[0] != 5*time.Minute {
		t.Error("a definition shares its retry pauses with DefaultRetry")
	}
}

func TestFrom(t *testing.T) {
	t.Parallel()
	const file = "id: a\ntopic: a\nsubject: a\naudience: {source: a.csv}\ncontent: {html: a.html}\nfrom: "
	for from, want := range map[string]bool{
		`news@acme.example`:                           true,
		`Acme <news@acme.example>`:                    true,
		`'"Acme, Inc." <news@acme.example>'`:          true,
		`"=?utf-8?q?M=C3=BCller?= <a@b.example>"`:     true,
		`Müller <a@b.example>`:                        true,
		`a@münchen.example`:                           true,
		`Acme`:                                        false,
		`acme.example`:                                false,
		`a@b@c.example`:                               false,
		`a@b.example, c@d.example`:                    false,
		`"Team: a@b.example;"`:                        false,
		`"a@[127.0.0.1]"`:                             false,
		`'"a b"@c.example'`:                           false,
		`"A <a@b.example>\r\nBcc: c@d.example"`:       false,
		`"=?utf-8?q?A=0D=0ABcc:_c@d?= <a@b.example>"`: false,
		`a..b@c.example`:                              false,
		`a@-b.example`:                                false,
		`a@b..example`:                                false,
		`"<>"`:                                        false,
	} {
		_, err := campaign.Parse("f.yaml", ".", []byte(file+from+"\n"))
		if got := err == nil; got != want {
			t.Errorf("from: %s: got %v, want valid %v", from, err, want)
		}
	}
}

// FuzzParse reads any bytes as a campaign. Either it is valid, always to the
// same definition, which holds what its fields promise; or every problem is
// one line with a place.
func FuzzParse(f *testing.F) {
	for _, name := range files(f, "testdata/*/*.yaml") {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := campaign.Parse("f.yaml", ".", data)
		again, err2 := campaign.Parse("f.yaml", ".", data)
		if diff := cmp.Diff(fmt.Sprint(err), fmt.Sprint(err2)); diff != "" {
			t.Fatalf("two results (-first +second):\n%s", diff)
		}
		if err != nil {
			var problems strictyaml.Problems
			if !errors.As(err, &problems) || len(problems) == 0 {
				t.Fatalf("got error %v of type %T, want Problems", err, err)
			}
			for _, p := range problems {
				if strings.ContainsAny(p.Error(), "\r\n\x00") {
					t.Errorf("problem of several lines: %q", p.Error())
				}
			}
			return
		}
		if diff := cmp.Diff(d, again); diff != "" {
			t.Fatalf("two definitions (-first +second):\n%s", diff)
		}
		for name, line := range map[string]string{"from": d.From, "reply_to": d.ReplyTo, "subject": d.Subject, "preheader": d.Preheader, "topic": d.Topic} {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%s has a line break: %q", name, line)
			}
		}
		v := d.Delivery
		if d.ID == "" || d.Topic == "" || d.Subject == "" || d.Audience.Source == "" || (d.Content.Markdown == "") == (d.Content.HTML == "") ||
			len(v.Retry) == 0 || v.MaxAttempts < 1 || v.MaxAttempts > 15 || v.Rate < 0 || v.ExpiresAfter <= 0 {
			t.Errorf("valid, but %#v", d)
		}
	})
}
