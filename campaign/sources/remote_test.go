package sources_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/campaign/sources"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/testkit"
)

// site serves files to reader, whose password is tiger, and returns its URL with both.
func site(t *testing.T, files map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		user, password, _ := r.BasicAuth()
		switch {
		case user != "reader" || password != "tiger":
			http.Error(w, "who is that?", http.StatusUnauthorized)
		case !ok:
			http.NotFound(w, r)
		default:
			_, _ = io.WriteString(w, text)
		}
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "http://", "http://reader:tiger@", 1)
}

func TestAudienceFromTheWeb(t *testing.T) {
	url := site(t, map[string]string{
		"/people.csv":   "email,name\nann@example.com,Ann\nben@example.com,Ben\n",
		"/people.jsonl": "{\"email\": \"ann@example.com\"}\n{\"email\": \"ben@example.com\", \"name\": \"Ben\"}\n",
		"/people":       "E-Mail;Name\nann@example.com;Ann\nben@example.com;Ben\n",
	})
	t.Setenv("CRM_PASSWORD", "tiger")
	t.Setenv("CRM_PEOPLE", url+"/people.csv")
	for _, address := range []string{
		url + "/people.csv", url + "/people.jsonl", url + "/people?token=hunter2",
		strings.Replace(url, "tiger", "${CRM_PASSWORD}", 1) + "/people.csv", "${CRM_PEOPLE}",
	} {
		def := parse(t, t.TempDir(), "audience: {source: \""+address+"\"}\n")
		rows, err := sources.Sources{}.Audience(t.Context(), def, "")
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if got := addresses(t, rows); got != "ann@example.com ben@example.com" {
			t.Errorf("%s: got %s", address, got)
		}
	}
	if files := sources.Files(parse(t, "", "audience: {source: \""+url+"/people.csv\"}\nexclude: [\""+url+"/staff.csv\"]\n")); len(files) != 1 {
		t.Errorf("files on disk are %v, want the letter alone", files)
	}
}

// Trouble has its place in the campaign file, its kind, and no secret. What is wrong with
// the content is none: it is a fault of the source.
func TestTroubleWithSources(t *testing.T) {
	t.Parallel()
	url := site(t, map[string]string{"/no.csv": "name\nAnn\n", "/bad.csv": "email\n\xff\n"})
	server := testkit.Postgres(t, testkit.KeyPair{})
	server.Exec("create table people (email text)")
	for _, tc := range []struct {
		name, audience string
		trouble        bool
		kind           error
		want           string
	}{
		{"a login", "{source: \"" + strings.Replace(url, "tiger", "hunter2", 1) + "/no.csv\"}", true, failure.ErrInvalid, "campaign.yaml:6:20: audience.source: http://127.0.0.1:"},
		{"no such file", "{source: \"" + url + "/none.csv\"}", true, failure.ErrInvalid, "/none.csv: answered 404 Not Found: is the address right?"},
		{"no server", "{source: \"http://127.0.0.1:1/people.csv?token=hunter2\"}", true, failure.ErrUnreachable, "audience.source: http://127.0.0.1:1/people.csv?...: "},
		{"a private address", "{source: \"https://10.0.0.1/people.csv\"}", true, failure.ErrInvalid, "set allow_private: true for this audience"},
		{"a variable", "{source: \"https://${SURELY_NOT_SET}/people.csv\"}", true, failure.ErrInvalid, "audience.source: the variable SURELY_NOT_SET is not set"},
		{"a column", "{source: \"" + url + "/no.csv\"}", false, nil, "/no.csv:1: no column looks like the address"},
		{"an encoding", "{source: \"" + url + "/bad.csv\"}", false, nil, "/bad.csv:2: byte 1 of the line (0xff) is not UTF-8"},
		{"a password", "{source: \"" + strings.Replace(server.URL, "tiger", "hunter2", 1) + "\", query: select email from people}", true, failure.ErrInvalid, "audience.source: postgres://127.0.0.1:"},
		{"a query", "{source: \"" + server.URL + "\", query: select mail from people}", false, nil, ": audience.query: postgres://127.0.0.1:"},
		{"a name of a column", "{source: \"" + server.URL + "\", query: select email from people, email: mail}", false, nil, `audience.query: postgres://127.0.0.1:`},
	} {
		def := parse(t, t.TempDir(), "audience: "+tc.audience+"\n")
		rows, err := sources.Sources{}.Audience(t.Context(), def, "")
		for err == nil {
			err = rows.Next(new(audience.Row))
		}
		trouble, isTrouble := errors.AsType[*sources.Trouble](err)
		if !strings.Contains(err.Error(), tc.want) || isTrouble != tc.trouble || strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "tiger") {
			t.Errorf("%s: got %v (trouble: %v), want %s", tc.name, err, isTrouble, tc.want)
		}
		if isTrouble && !errors.Is(err, tc.kind) {
			t.Errorf("%s: got another kind: %v", tc.name, trouble)
		}
		if problems, ok := errors.AsType[strictyaml.Problems](err); isTrouble && (!ok || problems[0].Line != 6) {
			t.Errorf("%s: no place in the file: %v", tc.name, err)
		}
	}
}

func TestExclusionsFromTheWeb(t *testing.T) {
	t.Parallel()
	url := site(t, map[string]string{"/staff.csv": "email\nann@acme.example\n", "/broken.csv": "email\nno address\n"})
	def := parse(t, t.TempDir(), "audience: {source: people.csv}\nexclude:\n  - \""+url+"/staff.csv?token=hunter2\"\n")
	x, err := sources.Sources{}.Exclusions(t.Context(), def, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !excludes(t, x, "ann@acme.example") || x.Found[0].Addresses != 1 || strings.Contains(x.Found[0].Source, "hunter2") {
		t.Errorf("found %+v", x.Found)
	}

	// Offline it is not asked for.
	gone := parse(t, t.TempDir(), "audience: {source: people.csv}\nexclude: [\"http://127.0.0.1:1/staff.csv\"]\n")
	if _, err := (sources.Sources{Offline: true}).Exclusions(t.Context(), gone, nil); err != nil {
		t.Errorf("offline: %v", err)
	}

	// Otherwise who is in it might be mailed.
	_, err = sources.Sources{}.Exclusions(t.Context(), gone, nil)
	if trouble, ok := errors.AsType[*sources.Trouble](err); !ok || !errors.Is(err, failure.ErrUnreachable) || !strings.HasPrefix(trouble.Error(), "campaign.yaml:7:11: exclude[0]: ") {
		t.Errorf("got %v, want trouble with exclude[0]", err)
	}
	broken := parse(t, t.TempDir(), "audience: {source: people.csv}\nexclude: [\""+url+"/broken.csv\"]\n")
	if _, err := (sources.Sources{}).Exclusions(t.Context(), broken, nil); err == nil || !strings.Contains(err.Error(), "1 of 1 rows have no address") {
		t.Errorf("got %v, want a refusal", err)
	}

	// On the command line its secrets would be in the list of processes.
	_, err = sources.Sources{}.Exclusions(t.Context(), &campaign.Definition{}, []string{"https://acme.example/staff.csv?token=hunter2"})
	if !errors.Is(err, failure.ErrInvalid) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want a refusal", err)
	}
}
