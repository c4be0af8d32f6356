package sender

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/internal/testkit"
)

// relayTexts are what relays say when they take nothing more from an account.
var relayTexts = []struct {
	relay, stage, text string
	want               codes.Code
}{
	{"ses", "dot", "454 Throttling failure: Daily message quota exceeded.", codes.AccountQuota},
	{"ses", "dot", "554 Message rejected: Email address is not verified. The following identities failed the check in region US-EAST-1: news@example.com", codes.AccountSender},
	{"ses", "dot", "554 Message rejected: Sending paused for this account.", codes.AccountSuspended},
	{"sendgrid", "mail", "451 Authentication failed: Maximum credits exceeded", codes.AccountQuota},
	{"sendgrid", "dot", "550 The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.", codes.AccountSender},
	{"mailgun", "dot", "550 5.7.1 Domain mg.example.com is not allowed to send: Account disabled", codes.AccountSuspended},
	{"postmark", "auth", "535 5.7.8 Error: authentication failed: authentication failure", codes.AccountLogin},
	{"gmail-smtp", "mail", "550 5.4.5 Daily user sending limit exceeded. For more information on Gmail sending limits go to https://support.google.com/a/answer/166852 - gsmtp", codes.AccountQuota},
	{"gmail-smtp", "auth", "454 4.7.0 Too many login attempts, please try again later.", codes.AccountBusy},
	{"gmail-relay", "rcpt", "550 5.7.0 Email relay denied 192.0.2.1. Invalid credentials for relay for one of the domains in: example.com", codes.AccountRelay},
	{"gmail-relay", "mail", "550 5.7.1 Email sending denied. The account was suspended due to abuse.", codes.AccountSuspended},
	{"office365", "auth", "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", codes.AccountLogin},
	{"office365", "dot", "554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", codes.AccountQuota},
	{"office365", "rcpt", "550 5.7.705 Access denied, tenant has exceeded threshold.", codes.AccountSuspended},
	{"brevo", "rcpt", "550 5.7.0 The email limit is reached. Please upgrade your plan.", codes.AccountQuota},
	{"smtp2go", "rcpt", "550 5.7.1 Your mail limit has been reached.", codes.AccountQuota},
	{"mailjet", "mail", "550 5.7.0 Your SMTP account is not yet activated. Please contact us.", codes.AccountSuspended},
	{"postfix", "rcpt", "554 5.7.1 <user@example.com>: Relay access denied", codes.AccountRelay},
}

// What a relay says about the account closes it, with a code whose explanation has the
// remedy. No recipient is charged, refused or suppressed.
func TestARelaysOwnTextClosesTheAccount(t *testing.T) {
	t.Parallel()
	for _, c := range relayTexts {
		t.Run(c.relay+" "+c.text, func(t *testing.T) {
			t.Parallel()
			server := testkit.NewScriptServer(t, func(stage, _ string) testkit.Answer {
				if stage == c.stage {
					return testkit.Answer{Text: c.text}
				}
				return testkit.Answer{}
			})
			b := newFixture(t, "ada@example.org", "bob@example.org", "eve@example.org", "dan@example.org")
			var w *Config
			b.alter = func(cfg *Config) {
				w = cfg
				host, port, _ := net.SplitHostPort(server.Addr())
				number, _ := strconv.Atoi(port)
				way := &cfg.Ways[0]
				way.Relay = c.relay
				way.SMTP.Host, way.SMTP.Port = host, number
				way.SMTP.Username, way.SMTP.Password = "user", "secret"
			}

			reason := ""
			counts := b.work(b.supp, func(now campaign.Counts) bool {
				states, err := w.Accounts.States(t.Context(), "sink")
				if err != nil {
					t.Fatal(err)
				}
				reason = states["sink"].Reason
				return states["sink"].Code != "" && now.Open() == int64(len(b.to)) && now[campaign.Sending] == 0
			})
			if got := codes.Of(reason); got != c.want {
				t.Errorf("closed with %q, want the code %s", reason, c.want)
			}
			if e, known := codes.Explain(string(c.want)); !known || len(e.Steps) == 0 {
				t.Errorf("code %s has no remedy", c.want)
			}
			if counts[campaign.Deferred] > 0 {
				t.Errorf("counts %v: a recipient was charged", counts)
			}
			found, err := b.supp.Check(t.Context(), b.to...)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				if f.Suppressed {
					t.Errorf("%+v is suppressed", f)
				}
			}
			if strings.Contains(reason, "secret") {
				t.Errorf("the reason tells the password: %q", reason)
			}
		})
	}
}
