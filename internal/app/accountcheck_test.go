package app_test

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/configs"
	"broadside/internal/app"
	"broadside/internal/testkit"
	"broadside/sender/smtppool"
)

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
			check, err := app.CheckAccount(t.Context(), cfg, "main")
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
			if diff := cmp.Diff(app.AccountLimits{RatePerS: 14, Connections: 3, MessagesPerConnection: 50}, check.Limits); diff != "" {
				t.Errorf("limits (-want +got):\n%s", diff)
			}
		})
	}
}
