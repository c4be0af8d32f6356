package main

import (
	"fmt"

	"github.com/rogpeppe/go-internal/testscript"

	"broadside/internal/testkit"
)

// startDovecot is the command dovecot of scripts.
func startDovecot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: dovecot")
	}
	tb := stageOf(ts).tb
	d := testkit.Dovecot(tb, testkit.DovecotConfig{User: "bounces", Password: "hunter2", Cert: testkit.Certs(tb).Valid})
	ts.Setenv("IMAP", fmt.Sprintf("127.0.0.1:%d", d.IMAP))
	ts.Setenv("POP3", fmt.Sprintf("127.0.0.1:%d", d.POP3))
}
