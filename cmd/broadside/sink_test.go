package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/smtp"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/internal/sink"
)

// startCommand runs a command until stop, whose result is what the command returned
// and printed; lines are those of its stderr.
func startCommand(t *testing.T, args ...string) (lines *bufio.Scanner, stop func() (string, error)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stdout bytes.Buffer
	c := &cli{stdin: strings.NewReader(""), stdout: &stdout, term: newTerminal(w, nil)}
	c.stderr = c.term
	root := rootCommand(c)
	root.SetArgs(args)
	done := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		w.Close()
		done <- err
	}()

	return bufio.NewScanner(r), func() (string, error) {
		cancel()
		go io.Copy(io.Discard, r) //nolint:errcheck // ends when the command closes w
		err := <-done
		return stdout.String(), err
	}
}

func TestSinkCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines, stop := startCommand(t, "sink", "--listen", "127.0.0.1:0", "--out", dir, "--json")
	if !lines.Scan() {
		t.Fatal("the sink says nothing")
	}

	addr, ok := strings.CutPrefix(lines.Text(), "listening on ")
	if !ok {
		t.Fatalf("first line is %q", lines.Text())
	}

	sent := make(chan error, 1)
	go func() {
		sent <- smtp.SendMail(addr, nil, "news@acme.example", []string{"ada@example.org"}, []byte("Subject: Hello\r\n\r\nHello\r\n"))
	}()
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "accepted") || !strings.HasSuffix(lines.Text(), "ada@example.org") {
		t.Errorf("line of the message is %q", lines.Text())
	}
	if err := <-sent; err != nil {
		t.Errorf("send: %v", err)
	}

	stdout, err := stop()
	if err != nil {
		t.Errorf("the end of a sink is regular, got %v", err)
	}

	var got sink.Counts
	if err := json.Unmarshal([]byte(stdout), &got); err != nil {
		t.Fatalf("counts: %v in %q", err, stdout)
	}
	if diff := cmp.Diff(sink.Counts{Connections: 1, Accepted: 1, Bytes: 25}, got); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	if kept, err := filepath.Glob(filepath.Join(dir, "*-ada@example.org.eml")); err != nil || len(kept) != 1 {
		t.Errorf("kept messages: %v, %v", kept, err)
	}
}

func TestSinkPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, stop := startCommand(t, "--quiet", "sink", "--listen", l.Addr().String())
	if _, err := stop(); err == nil || exitCode(err) != exitFailed {
		t.Errorf("a port that is taken: %v", err)
	}
}

// TestInitLaunches sends the campaign that init writes.
func TestInitLaunches(t *testing.T) {
	t.Parallel()
	s, err := sink.Listen("127.0.0.1:0", sink.Config{})
	if err != nil {
		t.Fatal(err)
	}

	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })
	defer func() {
		stop()
		serving.Wait()
	}()
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}

	dir := filepath.Join(t.TempDir(), "news")
	broadside := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		env := []string{"BROADSIDE_ACCOUNTS__SINK__PORT=" + port}
		if code := run(args, strings.NewReader(""), &stdout, &stderr, env); code != exitDone {
			t.Fatalf("broadside %v: exit code %d\n%s", args, code, &stderr)
		}
		return stdout.String()
	}
	broadside("init", dir)
	out := broadside("--config", filepath.Join(dir, "broadside.yaml"), "campaign", "launch", filepath.Join(dir, "campaign.yaml"), "--json")
	var got struct {
		State  string
		Total  int
		Counts map[string]int
	}
	if err := json.Unmarshal([]byte(out), &got); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	if got.State != "finished" || got.Total != 6 || got.Counts["accepted"] != 6 || s.Counts().Accepted != 6 {
		t.Errorf("run is %+v, the sink has %d", got, s.Counts().Accepted)
	}

	info, err := os.Stat(filepath.Join(dir, "broadside.yaml"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file with the secret: %v, %v", info.Mode(), err)
	}
}
