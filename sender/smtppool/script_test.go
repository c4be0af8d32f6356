package smtppool

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hello is the beginning of a dialogue without TLS; it offers what is listed.
func hello(offers ...string) string {
	s := "S: 220 test ESMTP\nC: EHLO me.example\nS: 250-test\n"
	for _, o := range offers {
		s += "S: 250-" + o + "\n"
	}
	return s + "S: 250 HELP\n"
}

// A peer plays the server's side of a script, line by line:
//
//	S: text   says the line       C: text   expects exactly that line
//	S> text   says it in one write with \n as the only line ends, C* reads a line
//	C> n      reads n bytes       X  closes the connection
//	W         reads nothing more until the client has closed
//
// After the last line it reads on: more from the client is an error.
type peer struct {
	t    testing.TB
	raw  net.Conn // what X closes, without a word of TLS
	conn net.Conn
	r    *bufio.Reader
}

func newPeer(t testing.TB, conn net.Conn) *peer {
	return &peer{t: t, raw: conn, conn: conn, r: bufio.NewReader(conn)}
}

func (p *peer) play(script string) {
	for line := range strings.Lines(script) {
		line = strings.TrimSuffix(line, "\n")
		op := line
		arg := ""
		if len(line) > 2 {
			op = line[:2]
			arg = strings.TrimPrefix(line[2:], " ")
		}

		if err := p.step(op, arg); err != nil {
			p.t.Errorf("server at %q: %v", line, err)
			_ = p.conn.Close()
			return
		}

		switch op {
		case "X":
			return
		case "W":
			_, _ = io.WriteString(p.conn, "2") // until the client closes, if it does not read
			return
		}
	}

	if rest, _ := io.ReadAll(p.r); len(rest) > 0 {
		p.t.Errorf("the client sent %q after the end of the script", rest[:min(len(rest), 200)])
	}
}

func (p *peer) step(op, arg string) error {
	var err error
	switch op {
	case "S:":
		_, err = io.WriteString(p.conn, arg+"\r\n")
	case "S>":
		_, err = io.WriteString(p.conn, strings.ReplaceAll(arg, `\n`, "\r\n"))
	case "C:", "C*":
		var got string
		got, err = p.r.ReadString('\n')
		if got = strings.TrimSuffix(got, "\r\n"); err == nil && op == "C:" && got != arg {
			err = fmt.Errorf("got %q", got)
		}
	case "C>":
		var n int
		if _, err = fmt.Sscan(arg, &n); err == nil {
			_, err = io.CopyN(io.Discard, p.conn, int64(n-p.r.Buffered())) // not a byte more
		}
	case "X":
		err = p.raw.Close()
	case "W":
	default:
		err = fmt.Errorf("unknown step")
	}

	return err
}

// pipeTo returns a Config whose connection is a pipe to the server function.
func pipeTo(t testing.TB, cfg Config, serve func(net.Conn)) Config {
	t.Helper()
	done := make(chan struct{})
	dialled := false
	cfg.Dial = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		dialled = true
		go func() {
			defer close(done)
			defer server.Close()
			serve(server)
		}()
		t.Cleanup(func() { _ = client.Close() })
		return client, nil
	}
	t.Cleanup(func() {
		if dialled {
			<-done
		}
	})
	if cfg.Host == "" {
		cfg.Host = "127.0.0.1"
	}
	if cfg.TLS == "" {
		cfg.TLS = TLSNone
	}

	cfg.Account = "test"
	cfg.Helo = "me.example"

	return cfg
}

// scripted is pipeTo with a peer that plays a script.
func scripted(t testing.TB, cfg Config, script string) Config {
	t.Helper()
	return pipeTo(t, cfg, func(conn net.Conn) {
		newPeer(t, conn).play(script)
	})
}

// dialScript dials a script that must let it in. The connection is closed
// before the script is waited for.
func dialScript(t testing.TB, cfg Config, script string) *Conn {
	t.Helper()
	c, err := Dial(t.Context(), scripted(t, cfg, script))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Abort)
	return c
}
