package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"

	"broadside/internal/testkit"
)

// startSite serves the files of the directory site to reader, whose password is tiger,
// and sets SITE_PORT. While there is a file down it answers 503.
func startSite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: site")
	}
	dir, down := ts.MkAbs("site"), ts.MkAbs("down")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := os.Stat(down); err == nil {
			http.Error(w, "down", http.StatusServiceUnavailable)
			return
		}
		if user, password, _ := r.BasicAuth(); user != "reader" || password != "tiger" {
			http.Error(w, "who is that?", http.StatusUnauthorized)
			return
		}
		http.ServeFile(w, r, filepath.Join(dir, filepath.Base(r.URL.Path)))
	}))
	ts.Defer(server.Close)
	u, err := url.Parse(server.URL)
	ts.Check(err)
	ts.Setenv("SITE_PORT", u.Port())
}

// startPostgres starts a PostgreSQL with what a file of SQL makes, and sets DATABASE.
func startPostgres(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: postgres FILE")
	}
	server := testkit.Postgres(stageOf(ts).tb, testkit.KeyPair{})
	server.Exec(ts.ReadFile(args[0]))
	ts.Setenv("DATABASE", server.URL)
}
