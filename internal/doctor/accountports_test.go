package doctor_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/configs"
	"broadside/internal/doctor"
	"broadside/internal/testkit"
	"broadside/sender/oauth"
	"broadside/sender/smtppool"
)

// check tries an account on loopback.
func check(t *testing.T, acct configs.Account, o doctor.AccountOptions) (*doctor.AccountCheck, error) {
	t.Helper()
	acct.Name = "main"
	if acct.Host == "" {
		acct.Host = "127.0.0.1"
	}
	got, err := doctor.CheckAccount(t.Context(), &configs.Config{Accounts: map[string]configs.Account{"main": acct}}, "main", o)
	if got == nil {
		t.Fatalf("no result: %v", err)
	}
	return got, err
}

// When nothing answers, the other ports are tried, and the one that works is offered.
func TestCheckAccountOffersAnotherPort(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	valid := keyPair(t, certs.Valid)
	open := &smtpServer{answer: func(string) string { return "" }} // a login would end it
	secure := &smtpServer{answer: open.answer, cert: &valid}
	silent := (&smtpServer{mute: true}).serve(t, "127.0.0.1")
	plain, implicit := open.serve(t, "127.0.0.1"), secure.serve(t, "127.0.0.1")
	shut := testkit.Port(t)
	for _, tt := range []struct {
		name  string
		port  int
		ports []configs.Port
		fix   string
		other *doctor.AccountPort
	}{
		{
			"refused", shut,
			[]configs.Port{{Number: silent, TLS: configs.TLSNone}, {Number: plain, TLS: configs.TLSNone}},
			fmt.Sprintf("port %d cannot be reached, %d can: set port: %d", shut, plain, plain), &doctor.AccountPort{Port: plain, TLS: configs.TLSNone},
		},
		{
			"closed without a greeting", silent,
			[]configs.Port{{Number: plain, TLS: configs.TLSNone}},
			fmt.Sprintf("port %d cannot be reached, %d can", silent, plain), &doctor.AccountPort{Port: plain, TLS: configs.TLSNone},
		},
		{
			"the first that works", shut,
			[]configs.Port{{Number: implicit, TLS: configs.TLSImplicit}, {Number: plain, TLS: configs.TLSNone}},
			fmt.Sprintf("set port: %d and tls: implicit", implicit), &doctor.AccountPort{Port: implicit, TLS: configs.TLSImplicit},
		},
		{"none", shut, []configs.Port{{Number: shut, TLS: configs.TLSNone}, {Number: silent, TLS: configs.TLSNone}}, "can be reached no more than", nil},
		{"no other", shut, []configs.Port{{Number: shut, TLS: configs.TLSNone}}, "nothing listens there", nil},
		{"this one works", plain, []configs.Port{{Number: implicit, TLS: configs.TLSImplicit}}, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			acct := configs.Account{Port: tt.port, TLS: configs.TLSNone, CAFile: certs.CAFile, Username: "user", Password: "password-of-the-test"}
			if tt.other == nil && tt.fix == "" {
				acct.Username = "" // the login would fail
			}
			got, err := check(t, acct, doctor.AccountOptions{Ports: tt.ports})
			if tt.fix == "" {
				if err != nil || got.OtherPort != nil {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			fix := got.Problems[len(got.Problems)-1].Fix
			if err == nil || !strings.Contains(fix, tt.fix) || (got.OtherPort == nil) != (tt.other == nil) {
				t.Fatalf("fix %q, port %v, %v; want %q", fix, got.OtherPort, err, tt.fix)
			}
			if tt.other != nil && *got.OtherPort != *tt.other {
				t.Errorf("got %+v, want %+v", *got.OtherPort, *tt.other)
			}
		})
	}
}

func keyPair(t *testing.T, p testkit.KeyPair) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

// Each problem of a server comes with its fix.
func TestCheckAccountFixes(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	valid, expired := keyPair(t, certs.Valid), keyPair(t, certs.Expired)
	says := func(text string) func(string) string { return func(string) string { return text } }
	for _, tt := range []struct {
		name, host string // empty: 127.0.0.1
		server     smtpServer
		tls        string
		fix        string
	}{
		{"no AUTH", "", smtpServer{}, configs.TLSNone, "the server offers no login here"},
		{"no AUTH before TLS", "", smtpServer{offers: []string{"STARTTLS"}}, configs.TLSNone, "set tls: starttls"},
		{"basic authentication is off", "", smtpServer{offers: []string{"AUTH LOGIN PLAIN XOAUTH2"}, answer: says("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.")}, configs.TLSNone, "set auth: xoauth2"},
		{"not authenticated", "", smtpServer{offers: []string{"AUTH PLAIN"}, answer: says("530 5.7.57 Client not authenticated to send mail.")}, configs.TLSNone, "set auth: xoauth2"},
		{"the certificate has ended", "", smtpServer{cert: &expired}, configs.TLSImplicit, "renew it on the server"},
		{"the certificate is of another name", "127.0.0.2", smtpServer{cert: &valid}, configs.TLSImplicit, "is not for 127.0.0.2: it names localhost"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			host := tt.host
			if host == "" {
				host = "127.0.0.1"
			}
			port := tt.server.serve(t, host)
			got, err := check(t, configs.Account{Host: host, Port: port, TLS: tt.tls, CAFile: certs.CAFile, Username: "user", Password: "password-of-the-test"}, doctor.AccountOptions{})
			fix := got.Problems[len(got.Problems)-1].Fix
			if err == nil || !strings.Contains(fix, tt.fix) {
				t.Errorf("fix %q, %v; want %q", fix, err, tt.fix)
			}
		})
	}
}

// What is offered, how a message goes and which limits hold is said in words.
func TestCheckAccountInWords(t *testing.T) {
	t.Parallel()
	server := smtpServer{offers: []string{"PIPELINING", "SIZE 36700160", "X-ODD", "8bitmime"}}
	acct := configs.Account{
		Port: server.serve(t, "127.0.0.1"), TLS: configs.TLSNone,
		Limits: configs.Limits{Rate: 0.5, PerDay: 9000, Connections: 2, MessagesPerConnection: 50, ConnectionRate: 5},
		Lanes:  map[string]configs.Lane{"gmail": {Rate: 20, Connections: 4}},
	}
	for setting, dialogue := range map[string]string{
		"auto": "behind the body", "envelope": "(pipelining: envelope)", "off": "each command waits for its reply",
	} {
		acct.Pipelining = setting
		got, err := check(t, acct, doctor.AccountOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprint(got.Offers.Keywords, got.Ceilings)
		for _, want := range []string{"messages of at most 35 MiB", "{X-ODD }", "{8BITMIME letters", "9000 in any 24 hours, 2 connections, 50 messages each, 5/s connections opened", "gmail: rate 20/s, 4 connections"} {
			if !strings.Contains(text, want) {
				t.Errorf("%q is not in %s", want, text)
			}
		}
		if !strings.Contains(got.Offers.Dialogue, dialogue) {
			t.Errorf("%s: got %q", setting, got.Offers.Dialogue)
		}
	}
}

// An account with a refresh token logs in with an access token, which is asked for once
// and shared. When there is none the reason says what to do.
func TestCheckAccountByToken(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	requests, gone := 0, false
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		requests++
		if gone || r.PostFormValue("refresh_token") != "refresh-token-of-the-test" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"access-of-the-test","token_type":"Bearer","expires_in":3600}`)
	}))
	t.Cleanup(endpoint.Close)
	want := "AUTH XOAUTH2 " + base64.StdEncoding.EncodeToString([]byte("user=news@acme.example\x01auth=Bearer access-of-the-test\x01\x01"))
	server := smtpServer{offers: []string{"AUTH XOAUTH2"}, answer: func(line string) string {
		if line != want {
			return "535 5.7.8 no"
		}
		return "235 in"
	}}
	acct := configs.Account{
		Port: server.serve(t, "127.0.0.1"), TLS: configs.TLSNone, Auth: configs.AuthXOAUTH2, Username: "news@acme.example",
		OAuth2: &configs.OAuth2{TokenURL: endpoint.URL, ClientID: "app", RefreshToken: "refresh-token-of-the-test"},
	}

	url := testkit.Redis(t)
	for range 2 { // processes
		o, err := redis.ParseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		rdb := redis.NewClient(o)
		t.Cleanup(func() { _ = rdb.Close() })
		store, err := oauth.New(rdb, "bs", []string{strings.Repeat("s", 32)}, redis.NewScript, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		got, err := check(t, acct, doctor.AccountOptions{Tokens: store})
		if err != nil || !got.OK || got.Steps[len(got.Steps)-1].Detail != "XOAUTH2" {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	mu.Lock()
	if requests != 1 {
		t.Errorf("%d requests, want 1", requests)
	}
	gone = true
	mu.Unlock()

	got, err := check(t, acct, doctor.AccountOptions{})
	var smtp *smtppool.Error
	if !errors.As(err, &smtp) || !strings.Contains(err.Error(), "new refresh token") || !strings.Contains(err.Error(), "invalid_grant") {
		t.Errorf("got %v", err)
	}
	if s := got.Steps[len(got.Steps)-1]; s.Step != "auth" || s.Outcome != "failed" {
		t.Errorf("steps %+v", got.Steps)
	}
	if strings.Contains(fmt.Sprintf("%v %+v", err, got), "-of-the-test") {
		t.Errorf("a secret is shown: %v", err)
	}

	acct.OAuth2 = &configs.OAuth2{TokenURL: "http://login.example/token", ClientID: "app", RefreshToken: "refresh-token-of-the-test"}
	if _, err := doctor.CheckAccount(t.Context(), &configs.Config{Accounts: map[string]configs.Account{"main": acct}}, "main", doctor.AccountOptions{}); err == nil || !strings.Contains(err.Error(), "in clear") {
		t.Errorf("got %v", err)
	}
}
