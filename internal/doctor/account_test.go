package doctor_test

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/doctor"
	"broadside/internal/testkit"
	"broadside/sender/smtppool"
)

// What can be seen without a connection is said whether there is one or not.
func TestCheckAccountForesees(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		acct    configs.Account
		problem string // empty: none but that of the connection
	}{
		{"port 465 with STARTTLS", configs.Account{Port: 465, TLS: configs.TLSStartTLS, Helo: "mail.acme.example"}, "port 465 is for TLS from the first byte"},
		{"port 465 without TLS", configs.Account{Port: 465, TLS: configs.TLSNone, Helo: "mail.acme.example"}, "port 465 is for TLS from the first byte"},
		{"port 465 with implicit TLS", configs.Account{Port: 465, TLS: configs.TLSImplicit, Helo: "mail.acme.example"}, ""},
		{"a name without a domain", configs.Account{Port: 1, TLS: configs.TLSNone, Helo: "laptop"}, `the name in EHLO, "laptop", is no full domain name`},
		{"a name of this machine alone", configs.Account{Port: 1, TLS: configs.TLSNone, Helo: "laptop.localdomain"}, "is no full domain name"},
		{"a bare address", configs.Account{Port: 1, TLS: configs.TLSNone, Helo: "192.0.2.1"}, "is no full domain name"},
		{"an address in brackets", configs.Account{Port: 1, TLS: configs.TLSNone, Helo: "[192.0.2.1]"}, ""},
		{"no name, on loopback", configs.Account{Port: 1, TLS: configs.TLSNone}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.acct.Name, tt.acct.Host = "main", "127.0.0.1" // nothing listens on these ports
			check, err := doctor.CheckAccount(t.Context(), &configs.Config{Accounts: map[string]configs.Account{"main": tt.acct}}, "main", doctor.AccountOptions{})
			if err == nil || check == nil {
				t.Fatalf("got %+v, %v; want it to fail", check, err)
			}
			first := check.Problems[0]
			if len(check.Problems) > 1 != (tt.problem != "") || !strings.Contains(first.Problem, tt.problem) || first.Fix == "" {
				t.Errorf("problems %+v, want %q first", check.Problems, tt.problem)
			}
		})
	}
}

// TestCheckAccount tries accounts on a Postfix with a certificate that is about to
// end.
func TestCheckAccount(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	postfix := testkit.Postfix(t, testkit.PostfixConfig{User: "mailer", Password: "right-horse", Cert: certs.Valid})
	starttls, implicit := postfix.Submission(), postfix.Submissions()
	for _, tt := range []struct {
		name, addr, tls, password, ca string
		want                          []string // step and outcome
		problem, fix                  string
	}{
		{"starttls", starttls, configs.TLSStartTLS, "right-horse", certs.CAFile, []string{"connect ok", "ehlo ok", "tls ok", "auth ok"}, "certificate ends on", "renew it"},
		{"implicit", implicit, configs.TLSImplicit, "right-horse", certs.CAFile, []string{"connect ok", "tls ok", "ehlo ok", "auth ok"}, "certificate ends on", "renew it"},
		{"wrong password", starttls, configs.TLSStartTLS, "wrong-horse", certs.CAFile, []string{"connect ok", "ehlo ok", "tls ok", "auth failed"}, "535", "username or password"},
		{"unknown authority", implicit, configs.TLSImplicit, "right-horse", "", []string{"connect ok", "tls failed", "ehlo skipped", "auth skipped"}, "tls_cert", "ca_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host, port, err := net.SplitHostPort(tt.addr)
			if err != nil {
				t.Fatal(err)
			}
			n, err := strconv.Atoi(port)
			if err != nil {
				t.Fatal(err)
			}
			acct := configs.Account{
				Name: "main", Host: host, Port: n, TLS: tt.tls, CAFile: tt.ca, Username: "mailer", Password: configs.Secret(tt.password),
				Limits: configs.Limits{Rate: 14, Connections: 3, MessagesPerConnection: 50},
			}
			cfg := &configs.Config{Accounts: map[string]configs.Account{"main": acct}}
			check, err := doctor.CheckAccount(t.Context(), cfg, "main", doctor.AccountOptions{})
			if check == nil {
				t.Fatalf("no result: %v", err)
			}
			var got []string
			ok := true
			for _, s := range check.Steps {
				got = append(got, s.Step+" "+s.Outcome)
				ok = ok && s.Outcome == "ok"
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
			if check.OK != ok || (err == nil) != ok || (check.Offers != nil) != ok {
				t.Errorf("ok is %v, offers %v, error %v", check.OK, check.Offers, err)
			}
			if !ok && !errors.As(err, new(*smtppool.Error)) {
				t.Errorf("error is a %T", err)
			}
			if len(check.Problems) != 1 || !strings.Contains(check.Problems[0].Problem, tt.problem) || !strings.Contains(check.Problems[0].Fix, tt.fix) {
				t.Errorf("problems are %+v, want one with %q and %q", check.Problems, tt.problem, tt.fix)
			}
			if diff := cmp.Diff(account.Limits{RatePerS: 14, Connections: 3, MessagesPerConnection: 50}, check.Limits); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
		})
	}
}
