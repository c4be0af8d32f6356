package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"broadside/internal/standardwebhooks"
)

// receiverSecret is the secret of what startReceiver starts.
const receiverSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// startReceiver starts a receiver of webhooks, whose answer is in the path: /ok, /gone,
// /bad, /moved. The file told has a line for each request that was signed.
func startReceiver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: receiver")
	}
	key, err := standardwebhooks.Key(receiverSecret)
	ts.Check(err)
	told := ts.MkAbs("told")
	ts.Check(os.WriteFile(told, nil, 0o600))

	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		if !standardwebhooks.Verify(r.Header, key, body) {
			http.Error(w, "who is that?", http.StatusUnauthorized)
			return
		}

		mu.Lock()
		defer mu.Unlock()
		f, err := os.OpenFile(told, os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprintln(f, r.URL.Path, r.Header.Get(standardwebhooks.HeaderID), string(body))
		_ = f.Close()
		switch r.URL.Path {
		case "/gone":
			w.WriteHeader(http.StatusGone)
		case "/bad":
			http.Error(w, "no room", http.StatusInsufficientStorage)
		case "/moved":
			http.Redirect(w, r, "/ok", http.StatusPermanentRedirect)
		default:
			fmt.Fprint(w, "thank you")
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv("CRM", server.URL)
	ts.Setenv("CRM_SECRET", receiverSecret)
}
