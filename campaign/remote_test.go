package campaign_test

import (
	"fmt"
	"strings"
	"testing"

	"broadside/campaign"
)

// No way of printing an address shows what is secret in it.
func TestRemoteShowsNoSecret(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"https://acme.example/people.csv":                                 "https://acme.example/people.csv",
		"https://reader:tiger@acme.example:8443/people.csv?token=hunter2": "https://acme.example:8443/people.csv?...",
		"https://acme.example/v1/tiger9hunter2/people.csv#tiger":          "https://acme.example/v1/.../people.csv",
		"https://acme.example/@people/all.csv":                            "https://acme.example/@people/all.csv",
		"https://reader:ti/ger@acme.example/people.csv":                   "https://...",
		"https://reader:ti?ger@acme.example/people.csv":                   "https://...",
		"https://reader:ti@ger@acme.example/people.csv":                   "https://acme.example/people.csv",
		"https://reader:${PASSWORD}@acme.example/${TOKEN}/people.csv":     "https://acme.example/${TOKEN}/people.csv",
		"postgres://reader:tiger@db.acme.example/crm?password=hunter2":    "postgres://db.acme.example/crm?...",
		"postgresql:///crm?host=/run/postgresql&password=hunter2":         "postgresql:///crm?...",
		"${CRM_DATABASE}": "${CRM_DATABASE}",
	} {
		r := campaign.Remote{Address: address}
		e := campaign.Exclusion{Source: r.String(), Remote: r}
		if got := r.String(); got != want {
			t.Errorf("%s is shown as %s, want %s", address, got, want)
		}
		for _, text := range []string{fmt.Sprintf("%v", r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r), fmt.Sprintf("%v %+v", e, e), r.LogValue().String()} {
			if strings.Contains(text, "tiger") || strings.Contains(text, "hunter2") {
				t.Errorf("%s is printed as %s", address, text)
			}
		}
	}
}

// Variables are filled in when a source is read, and what comes out is checked then.
func TestRemoteURL(t *testing.T) {
	t.Parallel()
	variable := func(name string) (string, bool) {
		value, ok := map[string]string{
			"PASSWORD": "tiger%2F2", "HOST": "acme.example", "EMPTY": "",
			"WEB": "https://reader:tiger@acme.example/people.csv", "CRM": "postgres://reader:tiger@db.acme.example/crm", "BAD": "reader:tiger/hunter2",
		}[name]
		return value, ok
	}
	for _, tc := range []struct{ address, query, want, problem string }{
		{"https://reader:${PASSWORD}@${HOST}/people.csv", "", "https://reader:tiger%2F2@acme.example/people.csv", ""},
		{"https://acme.example/$${HOST}", "", "https://acme.example/${HOST}", ""},
		{"${WEB}", "", "https://reader:tiger@acme.example/people.csv", ""},
		{"${CRM}", "select email from people", "postgres://reader:tiger@db.acme.example/crm", ""},
		{"${CRM}", "", "", "found another value in the variable (not shown), expected an address such as https://"},
		{"${WEB}", "select email from people", "", "found another value in the variable (not shown), expected an address such as postgres://"},
		{"${BAD}", "", "", "found another value in the variable (not shown), expected an address such as https://"},
		{"https://${NONE}/", "", "", "the variable NONE is not set in the environment of this process"},
		{"https://${EMPTY}/", "", "", "the variable EMPTY is not set"},
		{"http://${HOST}/people.csv", "", "", `found "http://${HOST}/people.csv", expected an address such as https://`},
	} {
		got, problem := campaign.Remote{Address: tc.address, Query: tc.query}.URL(variable)
		if !strings.HasPrefix(problem, tc.problem) || (problem == "") != (tc.problem == "") || problem == "" && got != tc.want {
			t.Errorf("%s: got %s, problem %s; want %s, %s", tc.address, got, problem, tc.want, tc.problem)
		}
		if strings.Contains(problem, "tiger") {
			t.Errorf("%s: a secret is in the problem: %s", tc.address, problem)
		}
	}
}
