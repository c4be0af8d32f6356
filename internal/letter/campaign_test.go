package letter

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/project"
)

// draft writes a project with an audience and returns its parts.
func draft(t *testing.T, audience string) (*configs.Config, *campaign.Definition) {
	t.Helper()
	dir := t.TempDir()
	if _, err := project.New(dir); err != nil {
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
		{"no blanks", "a@x.example,A,Oslo\nb@x.example,B,Pune\n", []int{1}},
		{"the first has most", "a@x.example,,\nb@x.example,B,\nc@x.example,,\n", []int{1}},
		{"the first of those with most", "a@x.example,A,Oslo\nb@x.example,B,\nc@x.example,,\nd@x.example,,\n", []int{1, 3}},
		{"blanks are white space too", "a@x.example,A,Oslo\nb@x.example, ,Pune\n", []int{1, 2}},
		{"rows that cannot be mailed count, and are not chosen", "nobody,,\na@x.example,A,Oslo\nnobody,,\nb@x.example,,Pune\n", []int{2, 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, def := draft(t, "email,first name,city\n"+tt.rows)
			l, err := Campaign{Config: cfg, Def: def}.open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer l.close()
			recipients, err := l.extremes()
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, r := range recipients {
				got = append(got, r.number)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
		})
	}
}

// A blank in a column that the campaign does not use does not count.
func TestExtremesLooksAtUsedFields(t *testing.T) {
	t.Parallel()
	cfg, def := draft(t, "email,first name,city,note,more\na@x.example,A,Oslo,n,m\nb@x.example,B,Pune,,\nc@x.example,,Pune,n,m\n")
	l, err := Campaign{Config: cfg, Def: def}.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	recipients, err := l.extremes()
	if err != nil || len(recipients) != 2 || recipients[1].number != 3 {
		t.Errorf("chose %d rows, %v", len(recipients), err)
	}
}

func TestPreviewMessage(t *testing.T) {
	t.Parallel()
	cfg, def := draft(t, "email,first name,city\nada@x.example,\"Jürgen <b> the very first of that long and winding name, who wraps\",Oslo\n")
	p, err := Campaign{Config: cfg, Def: def}.Preview(t.Context(), "")
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
	keys, err := Keys(cfg)
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

func TestAddressesOfATest(t *testing.T) {
	t.Parallel()
	cfg := &configs.Config{}
	if to, err := (TestOptions{To: []string{" ada@x.example", "bob@y.example "}}).addresses(cfg); err != nil || len(to) != 2 || to[0] != "ada@x.example" {
		t.Errorf("addresses are %q, %v", to, err)
	}

	for _, bad := range [][]string{nil, make([]string, MaxTestAddresses+1), {"ada"}} {
		if to, err := (TestOptions{To: bad}).addresses(cfg); !errors.Is(err, failure.ErrInvalid) {
			t.Errorf("addresses of %q are %q, %v", bad, to, err)
		}
	}

	cfg.OnlyTo = []string{"*@acme.example"}
	if _, err := (TestOptions{To: []string{"a@acme.example", "b@x.example"}}).addresses(cfg); !errors.Is(err, failure.ErrRefused) {
		t.Errorf("an address outside only_to is accepted: %v", err)
	}
}
