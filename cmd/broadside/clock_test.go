package main

import (
	"os"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// clockIn replaces a word in a file by what a clock in a zone shows after a while.
func clockIn(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: clock FILE WORD ZONE DURATION")
	}
	zone, err := time.LoadLocation(args[2])
	ts.Check(err)
	after, err := time.ParseDuration(args[3])
	ts.Check(err)

	shows := time.Now().In(zone).Add(after).Format("2006-01-02T15:04:05")
	text := strings.ReplaceAll(ts.ReadFile(args[0]), args[1], shows)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}
