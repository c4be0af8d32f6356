package wire_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
	"broadside/internal/wire"
)

// TestCutMuteAndMend cuts, mutes and mends the way to a server that echoes lines.
func TestCutMuteAndMend(t *testing.T) {
	t.Parallel()
	w := testkit.NewWire(t, echo(t))
	c := dialLine(t, w.Addr())
	if err := c.echo("whole", time.Now().Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	w.Mute()
	if err := c.echo("mute", time.Now().Add(50*time.Millisecond)); err == nil {
		t.Error("a line passed a mute wire")
	}
	w.Mend()
	if err := c.read("mute", time.Now().Add(10*time.Second)); err != nil {
		t.Errorf("what was held back did not come: %v", err)
	}
	w.Cut()
	if err := c.echo("cut", time.Now().Add(10*time.Second)); err == nil {
		t.Error("a line passed a cut wire")
	}
	if err := dialLine(t, w.Addr()).echo("new", time.Now().Add(10*time.Second)); err == nil {
		t.Error("a new connection passed a cut wire")
	}
	w.Mend()
	if err := dialLine(t, w.Addr()).echo("again", time.Now().Add(10*time.Second)); err != nil {
		t.Errorf("after the cut: %v", err)
	}
}

func TestLeadMovesEverybodyAndDivertTheNew(t *testing.T) {
	t.Parallel()
	const nobody = "127.0.0.1:1"
	soon := func() time.Time { return time.Now().Add(10 * time.Second) }
	w := testkit.NewWire(t, echo(t))
	c := dialLine(t, w.Addr())
	if err := c.echo("before", soon()); err != nil {
		t.Fatal(err)
	}
	w.Divert(nobody)
	if err := c.echo("stays", soon()); err != nil {
		t.Errorf("an open connection was diverted: %v", err)
	}
	if err := dialLine(t, w.Addr()).echo("new", soon()); err == nil {
		t.Error("a new connection was not diverted")
	}
	w.Lead(echo(t))
	if err := c.echo("old", soon()); err == nil {
		t.Error("an open connection stayed with the old server")
	}
	if err := dialLine(t, w.Addr()).echo("led", soon()); err != nil {
		t.Errorf("a new connection does not lead to the new server: %v", err)
	}
}

// TestLongWire looks at what a distance is: no answer before a round trip, the
// order of what was sent, and the end behind all of it.
func TestLongWire(t *testing.T) {
	t.Parallel()
	const rtt = 60 * time.Millisecond
	begin := time.Now()
	c := dialLine(t, testkit.NewLongWire(t, echo(t), rtt).Addr())
	for i := range 3 { // the first one waits for the handshake too
		if err := c.echo(strconv.Itoa(i), time.Now().Add(10*time.Second)); err != nil {
			t.Fatal(err)
		}
		if took, least := time.Since(begin), time.Duration(i+2)*rtt; took < least {
			t.Errorf("answer %d after %v, want at least %v", i, took, least)
		}
	}
}

func TestEndComesBehindWhatWasSent(t *testing.T) {
	t.Parallel()
	for _, rtt := range []time.Duration{0, 20 * time.Millisecond} {
		sent := strings.Repeat("all of this, and then the end\n", 10_000)
		c, err := net.Dial("tcp", testkit.NewLongWire(t, speaker(t, sent), rtt).Addr())
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(30 * time.Second)) // fails only on a closed connection
		got, err := io.ReadAll(c)
		if err != nil || string(got) != sent {
			t.Errorf("%v away: %d of %d bytes, %v", rtt, len(got), len(sent), err)
		}
		c.Close()
	}
}

func TestServeEndsWithItsConnections(t *testing.T) {
	t.Parallel()
	w, err := wire.Listen(echo(t), time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.Serve(ctx) }()
	c := dialLine(t, w.Addr())
	if err := c.echo("hello", time.Now().Add(10*time.Second)); err != nil {
		t.Fatal(err)
	}
	w.Mute() // keeps no one
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("the connection outlives the wire")
	}
}

// echo starts a server that returns what it gets.
func echo(t *testing.T) string {
	return server(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

// speaker starts a server that says a text and hangs up.
func speaker(t *testing.T, text string) string {
	return server(t, func(c net.Conn) { _, _ = io.WriteString(c, text) })
}

func server(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with its connection
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// A lineConn sends lines and expects them back.
type lineConn struct {
	net.Conn
	r *bufio.Reader
}

func dialLine(t *testing.T, addr string) *lineConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &lineConn{c, bufio.NewReader(c)}
}

func (c *lineConn) echo(text string, deadline time.Time) error {
	if _, err := io.WriteString(c, text+"\n"); err != nil {
		return err
	}
	return c.read(text, deadline)
}

func (c *lineConn) read(text string, deadline time.Time) error {
	_ = c.SetReadDeadline(deadline) // fails only on a closed connection
	line, err := c.r.ReadString('\n')
	if err == nil && line != text+"\n" {
		err = io.ErrUnexpectedEOF
	}
	return err
}
