package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/rogpeppe/go-internal/testscript"
)

// startMailbox starts a provider that takes logins with access tokens only: its token
// endpoint and its SMTP server.
func startMailbox(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: mailbox")
	}
	asked, revoked := ts.MkAbs("asked"), ts.MkAbs("revoked")
	ts.Check(os.WriteFile(asked, nil, 0o600))
	endpoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f, err := os.OpenFile(asked, os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(f, r.PostFormValue("grant_type"))
		_ = f.Close()
		if _, err := os.Stat(revoked); err == nil || r.PostFormValue("refresh_token") != "the-refresh-token" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant","error_description":"Token has been revoked: the-refresh-token"}`)
			return
		}
		fmt.Fprint(w, `{"access_token":"the-access-token","token_type":"Bearer","expires_in":3600}`)
	}))
	ts.Defer(endpoint.Close)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) { return &mailboxSession{}, nil }))
	server.AllowInsecureAuth = true
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	ts.Defer(func() {
		_ = server.Close()
		serving.Wait()
	})
	ts.Setenv("TOKEN_URL", endpoint.URL+"/token")
	ts.Setenv("MAILBOX_PORT", strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
}

// A mailboxSession takes mail after a login with the right token.
type mailboxSession struct{ in bool }

func (s *mailboxSession) AuthMechanisms() []string { return []string{"XOAUTH2"} }

func (s *mailboxSession) Auth(string) (sasl.Server, error) { return s, nil }

// Next is the server's side of XOAUTH2.
func (s *mailboxSession) Next(response []byte) (challenge []byte, done bool, err error) {
	switch string(response) {
	case "user=news@acme.example\x01auth=Bearer the-access-token\x01\x01":
		s.in = true
		return nil, true, nil
	case "":
		return nil, true, smtp.ErrAuthFailed
	}
	return []byte(`{"status":"400","schemes":"bearer","scope":"https://mail.acme.example/"}`), false, nil
}

func (s *mailboxSession) Mail(string, *smtp.MailOptions) error {
	if !s.in {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (s *mailboxSession) Rcpt(string, *smtp.RcptOptions) error { return nil }

func (s *mailboxSession) Data(r io.Reader) error {
	n, err := io.Copy(io.Discard, r)
	if n == 0 {
		err = errors.Join(err, errors.New("an empty message"))
	}
	return err
}

func (s *mailboxSession) Reset() {}

func (s *mailboxSession) Logout() error { return nil }
