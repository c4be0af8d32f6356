package app

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/configs"
)

// draft writes a project with an audience and returns its parts.
func draft(t *testing.T, audience string) (*configs.Config, *campaign.Definition) {
	t.Helper()
	dir := t.TempDir()
	if _, err := NewProject(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "subscribers.csv"), []byte(audience), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	def, err := campaign.Load(t.Context(), filepath.Join(dir, "campaign.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return cfg, def
}

func TestExtremes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, rows string
		want       []int
	}{
		{"nobody has a blank", "a@x.example,A,Oslo\nb@x.example,B,Pune\n", []int{1}},
		{"the first has most", "a@x.example,,\nb@x.example,B,\nc@x.example,,\n", []int{1}},
		{"the first of those with most", "a@x.example,A,Oslo\nb@x.example,B,\nc@x.example,,\nd@x.example,,\n", []int{1, 3}},
		{"blanks are white space too", "a@x.example,A,Oslo\nb@x.example, ,Pune\n", []int{1, 2}},
		{"refused rows count and are not taken", "nobody,,\na@x.example,A,Oslo\nnobody,,\nb@x.example,,Pune\n", []int{2, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, def := draft(t, "email,first name,city\n"+tt.rows)
			d, err := openDesk(t.Context(), Proof{Config: cfg, Def: def})
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			people, err := d.extremes()
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, p := range people {
				got = append(got, p.n)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// A column that the campaign does not use is no reason to choose a row.
func TestExtremesLooksAtUsedFields(t *testing.T) {
	t.Parallel()
	cfg, def := draft(t, "email,first name,city,note,more\na@x.example,A,Oslo,n,m\nb@x.example,B,Pune,,\nc@x.example,,Pune,n,m\n")
	d, err := openDesk(t.Context(), Proof{Config: cfg, Def: def})
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	people, err := d.extremes()
	if err != nil || len(people) != 2 || people[1].n != 3 {
		t.Errorf("chose %d rows, %v", len(people), err)
	}
}

func TestPreviewMessage(t *testing.T) {
	t.Parallel()
	cfg, def := draft(t, "email,first name,city\nada@x.example,\"Jürgen <b> the very first of that long and winding name, who wraps\",Oslo\n")
	p, err := NewPreview(t.Context(), Proof{Config: cfg, Def: def}, "")
	if err != nil {
		t.Fatal(err)
	}
	if p.To != "ada@x.example" || !strings.HasPrefix(p.Subject, "Jürgen <b> the") || strings.Contains(p.HTML, "<b> the") {
		t.Errorf("to %q, subject %q", p.To, p.Subject)
	}
	for _, h := range p.Headers {
		if strings.ContainsAny(h.Value, "\r\n") {
			t.Errorf("header %s is folded: %q", h.Name, h.Value)
		}
		if h.Name == "Subject" && h.Value != p.Subject {
			t.Errorf("the header says %q, the subject is %q", h.Value, p.Subject)
		}
	}
	// Its link opens, and unsubscribes nobody.
	_, token, ok := strings.Cut(p.Text, cfg.PublicURL+"/u/")
	if !ok {
		t.Fatalf("no link in %q", p.Text)
	}
	token, _, _ = strings.Cut(token, ">")
	keys, err := keysOf(cfg)
	if err != nil {
		t.Fatal(err)
	}
	u, err := keys.Open(token)
	if err != nil || !u.Test || u.Address != "ada@x.example" {
		t.Errorf("token is %+v, %v", u, err)
	}
}

func TestHeadersOf(t *testing.T) {
	t.Parallel()
	got, err := headersOf([]byte("Subject: =?utf-8?q?J=C3=BCrgen?=\r\n =?utf-8?q?_and?=\r\nX-Long: a\r\n\tb\r\n\r\nBody: no\r\n"))
	want := []Header{{"Subject", "Jürgen and"}, {"X-Long", "a b"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, bad := range []string{"", "Subject: x\r\n", "no colon\r\n\r\n"} {
		if got, err := headersOf([]byte(bad)); err == nil {
			t.Errorf("headersOf(%q) = %v, want an error", bad, got)
		}
	}
}

func TestTrialAddresses(t *testing.T) {
	t.Parallel()
	cfg := &configs.Config{}
	if to, err := (Trial{To: []string{" ada@x.example", "bob@y.example "}}).addresses(cfg); err != nil || len(to) != 2 || to[0] != "ada@x.example" {
		t.Errorf("addresses are %q, %v", to, err)
	}
	for _, bad := range [][]string{nil, make([]string, MaxTrial+1), {"ada"}} {
		if to, err := (Trial{To: bad}).addresses(cfg); !errors.Is(err, ErrInvalid) {
			t.Errorf("addresses of %q are %q, %v", bad, to, err)
		}
	}
	cfg.OnlyTo = []string{"*@acme.example"}
	if _, err := (Trial{To: []string{"a@acme.example", "b@x.example"}}).addresses(cfg); !errors.Is(err, ErrRefused) {
		t.Errorf("only_to lets everybody pass: %v", err)
	}
}

// Everything that init writes is what it says.
func TestNewProject(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	names, err := NewProject(dir)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(names) {
		t.Errorf("%d files for the names %q, %v", len(entries), names, err)
	}
	cfg, err := configs.Load(t.Context(), configs.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	acct, ok := cfg.Accounts["sink"]
	if len(cfg.Secrets) != 1 || len(cfg.Secrets[0].Reveal()) != 52 || !ok || !acct.Loopback() || cfg.RedisURL != "" {
		t.Errorf("configuration is %+v", cfg)
	}
	if _, err := NewProject(dir); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), ".gitignore") {
		t.Errorf("a second project over the first: %v", err)
	}
	file := filepath.Join(dir, "letter.md")
	if _, err := NewProject(file); err == nil {
		t.Error("a file is no directory")
	}
}
