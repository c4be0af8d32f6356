package e2e

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// submission is the YAML of an account on a Postfix port.
func submission(addr, tls, password, ca string) string {
	host, port, _ := net.SplitHostPort(addr)
	return fmt.Sprintf("  relay:\n    host: %s\n    port: %s\n    tls: %s\n    username: news\n    password: %s\n    ca_file: %s\n", host, port, tls, password, ca)
}

// TestPostfixTakesACampaign sends to a real Postfix with SASL, over STARTTLS
// and over implicit TLS.
func TestPostfixTakesACampaign(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Fatal("Postfix needs root to start")
	}
	certs := testkit.Certs(t)
	for _, tls := range []string{"starttls", "implicit"} {
		t.Run(tls, func(t *testing.T) {
			t.Parallel()
			const people = 50
			p := testkit.Postfix(t, testkit.PostfixConfig{User: "news", Password: "correct-horse", Cert: certs.Valid})
			addr := p.Submission()
			if tls == "implicit" {
				addr = p.Submissions()
			}
			w := newWorld(t, setup{people: people, accounts: submission(addr, tls, "correct-horse", certs.CAFile)})
			w.run(0, "account", "check", "relay")
			out, _ := w.run(0, "campaign", "launch", "campaign.yaml", "--wait", "--timeout", "1m", "--json")
			d := parseDocument(t, out)
			if d.Counts["accepted"] != people || d.State != "finished" {
				t.Errorf("%+v", d)
			}
			got := map[string]int{}
			for _, m := range p.WaitDelivered(people, time.Minute) {
				got[m.To]++
			}
			exactlyOnce(t, got, people, pattern, 0)
		})
	}
}

// TestPostfixRefusalsHaveTheirOwnErrors shows what a person reads, and that
// no one is charged for it.
func TestPostfixRefusalsHaveTheirOwnErrors(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	for _, tt := range []struct {
		name     string
		cfg      testkit.PostfixConfig
		password string
		want     string
	}{
		{"wrong password", testkit.PostfixConfig{Cert: certs.Valid}, "wrong", "password"},
		{"expired certificate", testkit.PostfixConfig{Cert: certs.Expired}, "correct-horse", "expired"},
		{"no STARTTLS", testkit.PostfixConfig{Cert: certs.Valid, NoStartTLS: true}, "correct-horse", "STARTTLS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.cfg.User, tt.cfg.Password = "news", "correct-horse"
			p := testkit.Postfix(t, tt.cfg)
			w := newWorld(t, setup{people: 5, accounts: submission(p.Submission(), "starttls", tt.password, certs.CAFile)})
			_, errs := w.run(4, "account", "check", "relay")
			if !strings.Contains(errs, tt.want) {
				t.Errorf("account check says %q, expected it to name %q", errs, tt.want)
			}
			_, errs = w.run(4, "campaign", "launch", "campaign.yaml", "--wait", "--timeout", "1m")
			if !strings.Contains(errs, tt.want) {
				t.Errorf("launch says %q, expected it to name %q", errs, tt.want)
			}
			if strings.Contains(errs, "correct-horse") {
				t.Error("the password is in the message")
			}
			out, _ := w.run(0, "run", "list", "--json")
			if !strings.Contains(out, `"state": "running"`) && !strings.Contains(out, `"state":"running"`) {
				t.Errorf("the run did not stay: %s", out)
			}
			out, _ = w.run(0, "run", "recipients", "news", "--json")
			if strings.Count(out, `"attempts": 0`)+strings.Count(out, `"attempts":0`) != 5 {
				t.Errorf("somebody was charged: %s", out)
			}
		})
	}
}
