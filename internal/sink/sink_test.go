package sink_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"broadside/internal/sink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a sink on a free port until the test ends.
func start(t testing.TB, cfg sink.Config) *sink.Sink {
	t.Helper()
	s, err := sink.Listen("127.0.0.1:0", cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })
	t.Cleanup(func() {
		stop()
		serving.Wait()
	})
	return s
}

// A client is a plain SMTP client that fails its test on any surprise.
type client struct {
	t testing.TB
	*textproto.Conn
}

func dial(t testing.TB, s *sink.Sink) client {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c := client{t, textproto.NewConn(conn)}
	t.Cleanup(func() { c.Close() })
	c.expect(220)
	c.say(250, "EHLO test")
	return c
}

func (c client) expect(code int) {
	c.t.Helper()
	if _, _, err := c.ReadResponse(code); err != nil {
		c.t.Fatalf("want %d: %v", code, err)
	}
}

func (c client) say(code int, line string) {
	c.t.Helper()
	if err := c.PrintfLine("%s", line); err != nil {
		c.t.Fatal(err)
	}
	c.expect(code)
}

// send sends msg to one recipient and expects code from RCPT; 250 goes on.
func (c client) send(rcpt, msg string, code int) {
	c.t.Helper()
	c.say(250, "MAIL FROM:<news@example.test>")
	c.say(code, "RCPT TO:<"+rcpt+">")
	if code != 250 {
		c.say(250, "RSET")
		return
	}
	c.say(354, "DATA")
	w := c.DotWriter()
	if _, err := io.WriteString(w, msg); err != nil {
		c.t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		c.t.Fatal(err)
	}
	c.expect(250)
}

func TestPatterns(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var events []sink.Event
	s := start(t, sink.Config{Record: func(e sink.Event) {
		mu.Lock()
		defer mu.Unlock()
		e.Data = bytes.Clone(e.Data)
		events = append(events, e)
	}})
	const msg = "Message-ID: <1@example.test>\r\n\r\n.dot\r\n"
	c := dial(t, s)
	c.send("ann@example.test", msg, 250)
	c.send("Defer@example.test", msg, 450)
	c.send("defer@example.test", msg, 450)
	c.send("defer-2x+1@example.test", msg, 450)
	c.send("defer-2x+1@example.test", msg, 450)
	c.send("defer-2x+2@example.test", msg, 450)
	c.send("defer-2x+1@example.test", msg, 250)
	c.send("defer-x@example.test", msg, 250)
	c.send("bounce+7@example.test", msg, 550)
	c.send("policy@example.test", msg, 550)
	c.send("full@example.test", msg, 452)

	c.say(250, "MAIL FROM:<news@example.test>")
	c.say(250, "RCPT TO:<drop-after-dot@example.test>")
	c.say(354, "DATA")
	if err := c.PrintfLine("x\r\n."); err != nil {
		t.Fatal(err)
	}
	if line, err := c.ReadLine(); err != io.EOF {
		t.Errorf("after the dot: got %q, %v, want EOF", line, err)
	}
	c = dial(t, s)
	c.say(250, "MAIL FROM:<news@example.test>")
	if err := c.PrintfLine("RCPT TO:<drop@example.test>"); err != nil {
		t.Fatal(err)
	}
	if line, err := c.ReadLine(); err != io.EOF {
		t.Errorf("after RCPT: got %q, %v, want EOF", line, err)
	}

	want := sink.Counts{
		Connections: 2, Accepted: 3, Deferred: 5, Bounced: 1, Policy: 1, Full: 1,
		Dropped: 1, DroppedAfterDot: 1, Bytes: int64(3 * len(msg)),
	}
	if diff := cmp.Diff(want, s.Counts()); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	event := func(o sink.Outcome, to, data string) sink.Event {
		return sink.Event{Outcome: o, From: "news@example.test", To: to + "@example.test", Size: len(data), Data: []byte(data)}
	}
	wantEvents := []sink.Event{
		event(sink.Accepted, "ann", msg),
		event(sink.Deferred, "Defer", ""),
		event(sink.Deferred, "defer", ""),
		event(sink.Deferred, "defer-2x+1", ""),
		event(sink.Deferred, "defer-2x+1", ""),
		event(sink.Deferred, "defer-2x+2", ""),
		event(sink.Accepted, "defer-2x+1", msg),
		event(sink.Accepted, "defer-x", msg),
		event(sink.Bounced, "bounce+7", ""),
		event(sink.Policy, "policy", ""),
		event(sink.Full, "full", ""),
		event(sink.DroppedAfterDot, "drop-after-dot", "x\r\n"),
		event(sink.Dropped, "drop", ""),
	}
	mu.Lock()
	defer mu.Unlock()
	if diff := cmp.Diff(wantEvents, events, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestCountsJSON(t *testing.T) {
	t.Parallel()
	got, err := json.Marshal(sink.Counts{Connections: 1, Accepted: 2, DroppedAfterDot: 3})
	if err != nil {
		t.Fatal(err)
	}
	want := `{"connections":1,"accepted":2,"deferred":0,"bounced":0,"policy":0,"full":0,"dropped":0,"dropped_after_dot":3,"refused":0,"bytes":0}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestOut holds the stored files to what was sent, byte by byte.
func TestOut(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	const msg = "Subject: dots\r\n\r\n.one\r\n..two\r\n.\r\nend\r\n"
	for range 2 { // the second run overwrites nothing
		c := dial(t, start(t, sink.Config{Out: dir}))
		c.send("Ann@example.test", msg, 250)
		c.send("bounce@example.test", msg, 550)
	}
	s := start(t, sink.Config{Out: dir})
	dial(t, s).send(`"../.x/$(y)"@example.test`, "odd\r\n", 250)

	want := map[string]string{
		"000001-ann@example.test.eml":          msg,
		"000002-ann@example.test.eml":          msg,
		"000003-_.._.x___y__@example.test.eml": "odd\r\n",
	}
	got := map[string]string{}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got[filepath.Base(f)] = string(b)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestOutThatCannotBeWritten(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail")
	s := start(t, sink.Config{Out: dir})
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	c := dial(t, s)
	c.say(250, "MAIL FROM:<>")
	c.say(250, "RCPT TO:<a@example.test>")
	c.say(354, "DATA")
	c.say(451, "x\r\n.")
	if got, want := s.Counts(), (sink.Counts{Connections: 1, Refused: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}

	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Listen("127.0.0.1:0", sink.Config{Out: file}); err == nil || !strings.Contains(err.Error(), "directory for messages") {
		t.Errorf("got error %v, want one about the directory for messages", err)
	}
}

// Messages have addresses and live unsubscribe links.
func TestMessageFilesAreForTheirOwnerAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail", "today")
	s := start(t, sink.Config{Out: dir})
	c := dial(t, s)
	c.say(250, "MAIL FROM:<>")
	c.say(250, "RCPT TO:<ann@example.test>")
	c.say(354, "DATA")
	c.say(250, "x\r\n.")
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "000001-ann@example.test.eml"): 0o600} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s: got mode %o, want %o", path, got, want)
		}
	}
}

// TestClose shows that closing tells idle clients, lets a message that is
// under way end, and leaves nothing behind.
func TestClose(t *testing.T) {
	t.Parallel()
	s, err := sink.Listen("127.0.0.1:0", sink.Config{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() { s.Serve(ctx) })

	idle, busy := dial(t, s), dial(t, s)
	busy.say(250, "MAIL FROM:<>")
	busy.say(250, "RCPT TO:<a@example.test>")
	busy.say(354, "DATA")
	cancel()
	idle.expect(421)
	if _, err := idle.ReadLine(); err != io.EOF {
		t.Errorf("idle client: got %v, want EOF", err)
	}
	busy.say(250, "x\r\n.")
	busy.expect(421)
	serving.Wait()
	if c, err := net.Dial("tcp", s.Addr().String()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}

// BenchmarkSink measures small messages over loopback, each envelope sent
// together with the body before it.
func BenchmarkSink(b *testing.B) {
	s := start(b, sink.Config{})
	const conns = 16
	body := "Message-ID: <1@example.test>\r\n\r\n" + strings.Repeat("x", 70) + "\r\n.\r\n"
	envelope := "MAIL FROM:<news@example.test>\r\nRCPT TO:<ann@example.test>\r\nDATA\r\n"
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range conns {
		n := b.N / conns
		if i < b.N%conns {
			n++
		}
		if n == 0 {
			continue
		}
		wg.Go(func() {
			conn, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				b.Error(err)
				return
			}
			defer conn.Close()
			if err := pump(conn, n, envelope, body); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
	if got := s.Counts().Accepted; got != int64(b.N) {
		b.Errorf("got %d accepted, want %d", got, b.N)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// pump sends n messages and waits for each 354 before the body that it allows.
func pump(conn net.Conn, n int, envelope, body string) error {
	buf := make([]byte, 4096)
	until := func(mark string) error {
		var got []byte
		for {
			k, err := conn.Read(buf)
			if err != nil {
				return fmt.Errorf("wait for %q after %q: %w", mark, got, err)
			}
			if got = append(got, buf[:k]...); bytes.Contains(got, []byte(mark)) {
				return nil
			}
		}
	}
	out := "EHLO x\r\n" + envelope
	for ; n > 0; n-- {
		if _, err := io.WriteString(conn, out); err != nil {
			return err
		}
		if err := until("354 "); err != nil {
			return err
		}
		if out = body + envelope; n == 1 {
			out = body + "QUIT\r\n"
		}
	}
	if _, err := io.WriteString(conn, out); err != nil {
		return err
	}
	return until("221 ")
}
