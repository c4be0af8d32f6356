package main

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"broadside/internal/sink"
	"broadside/internal/testkit"
)

func TestMain(m *testing.M) {
	// Scripts mostly wait. -parallel has the last word.
	if err := flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"broadside": main})
}

// TestScripts runs testdata/script: one file for each behaviour of a command
// line and for each way to get it wrong. In addition to testscript's own commands:
//
//	project           writes a project: broadside.yaml, campaign.yaml, letter.md, subscribers.csv (5 rows)
//	redis [OPTIONS]   starts a private Redis and sets REDIS_URL
//	sink              starts an SMTP server and sets SMTP_URL, SINK (host:port)
//	mailbox           starts a provider with XOAUTH2 and sets TOKEN_URL, MAILBOX_PORT; the file asked has a line for
//	                  each token that was asked for, and a file revoked ends the grant
//	dovecot           starts a Dovecot with an empty mailbox and sets IMAP, POP3 (host:port; bounces, hunter2)
//	receiver          starts a receiver of webhooks and sets CRM (its URL), CRM_SECRET; told has a line for each
//	site              serves the directory site to reader (tiger) and sets SITE_PORT; while a file down exists it answers 503
//	postgres FILE     starts a PostgreSQL with what the SQL of a file makes, and sets DATABASE (its URL)
//	feed              serves the files of the script under FEED
//	accepted N        waits until the sink has taken N messages for N recipients
//	exits N CMD...    runs CMD and expects that very exit code
//	terminate WORD    sends SIGTERM to the "broadside WORD" in the background
//	eventually RE CMD...   runs CMD until its output matches, for 20 s
//	lanestate ACCOUNT/LANE STATE [RUN]   puts a lane into a state as workers do: slowed, paused, storm (RUN: who bounced
//	                  in it is suppressed by the storm)
//	clock FILE WORD ZONE DURATION   replaces a word in a file by what a clock there shows after a while
//	remember NAME RE       sets NAME to what RE finds first in the last output
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(e *testscript.Env) error {
			tb, ok := e.T().(testing.TB)
			if !ok {
				return errors.New("testscript does not hand on the test")
			}
			e.Values[stageKey{}] = &stage{tb: tb}
			// The race detector has each program wait for a second before it exits, in
			// case that a goroutine which no one waits for still races.
			e.Setenv("GORACE", "atexit_sleep_ms=20")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"project": writeProject, "redis": startRedis, "sink": startSink, "mailbox": startMailbox, "dovecot": startDovecot,
			"accepted": waitAccepted, "exits": exits, "terminate": terminate, "eventually": eventually, "remember": remember,
			"lanestate": laneState, "receiver": startReceiver, "site": startSite, "postgres": startPostgres, "clock": clockIn, "feed": startFeed,
		},
	})
}

// A stage is what a script has started.
type stage struct {
	tb   testing.TB
	sink *sink.Sink
}

type stageKey struct{}

func stageOf(ts *testscript.TestScript) *stage {
	st, ok := ts.Value(stageKey{}).(*stage)
	if !ok {
		ts.Fatalf("the script was not set up")
	}
	return st
}

const (
	patience  = 20 * time.Second // for what a script waits for
	lookEvery = 20 * time.Millisecond
)

// projectTexts are the files of project.
var projectTexts = map[string]string{
	"broadside.yaml": `namespace: script
public_url: http://127.0.0.1:8080
secrets: [a-secret-of-the-scripts-that-signs-nothing-real]
timezone: Europe/Berlin
postal_address: Acme Ltd, 1 High Street, London
`,
	"campaign.yaml": `id: october-news
topic: newsletter
from: Acme News <news@acme.example>
subject: "Hello {{.first_name}}"
audience:
  source: subscribers.csv
content:
  markdown: letter.md
delivery:
  retry: [1s, 2s]
`,
	"letter.md": "# Hello {{.first_name}}\n\nThree things worth your time.\n",
	"subscribers.csv": `email,first name
ada@example.org,Ada
grace@gmail.com,Grace
GRACE@gmail.com,Grace again
nobody.example.org,Nobody
zoe@example.com,Zoë
`,
}

func writeProject(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: project")
	}
	for name, text := range projectTexts {
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}

func startRedis(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: redis [OPTIONS...]")
	}
	ts.Setenv("REDIS_URL", testkit.Redis(stageOf(ts).tb, args...))
}

func startSink(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: sink")
	}

	s, err := sink.Listen("127.0.0.1:0", sink.Config{Out: ts.MkAbs("sent")})
	ts.Check(err)
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })
	ts.Defer(func() {
		stop()
		serving.Wait()
	})
	stageOf(ts).sink = s
	ts.Setenv("SINK", s.Addr().String())
	ts.Setenv("SMTP_URL", "smtp://"+s.Addr().String()+"?tls=none")
}

func waitAccepted(ts *testscript.TestScript, neg bool, args []string) {
	s := stageOf(ts).sink
	if neg || len(args) != 1 || s == nil {
		ts.Fatalf("usage: accepted N, after sink")
	}

	want, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for end := time.Now().Add(patience); s.Counts().Accepted < want; <-t.C {
		if time.Now().After(end) {
			break
		}
	}

	if got := s.Counts().Accepted; got != want {
		ts.Fatalf("the sink has accepted %d, want %d", got, want)
	}
}

// exitOf runs a command and returns its exit code.
func exitOf(ts *testscript.TestScript, args []string) int {
	err := ts.Exec(args[0], args[1:]...)
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}

	ts.Fatalf("run %s: %v", args[0], err)
	return -1
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitOf(ts, args[1:]); got != want {
		ts.Fatalf("exit code is %d, want %d: %s", got, want, strings.Join(args[1:], " "))
	}
}

func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: terminate WORD")
	}

	for _, cmd := range ts.BackgroundCmds() {
		if len(cmd.Args) > 1 && cmd.Args[1] == args[0] {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
			return
		}
	}

	ts.Fatalf("no broadside %s is in the background", args[0])
}

func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually REGEXP COMMAND ARGS...")
	}

	re, err := regexp.Compile(args[0])
	ts.Check(err)
	t := time.NewTicker(5 * lookEvery)
	defer t.Stop()
	for end := time.Now().Add(patience); ; <-t.C {
		exitOf(ts, args[1:])
		if re.MatchString(ts.ReadFile("stdout")) {
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nothing like %s within %s", args[0], patience)
		}
	}
}

func remember(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: remember NAME REGEXP")
	}

	re, err := regexp.Compile(args[1])
	ts.Check(err)
	found := re.FindString(ts.ReadFile("stdout"))
	if found == "" {
		ts.Fatalf("nothing like %s in the output", args[1])
	}

	ts.Setenv(args[0], found)
}
