package testkit_test

import (
	"bufio"
	"io"
	"net"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestWire cuts, mutes and mends the way to a server that echoes lines.
func TestWire(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c) }() // ends with its connection
		}
	}()
	w := testkit.NewWire(t, l.Addr().String())
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
