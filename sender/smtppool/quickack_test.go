//go:build linux

package smtppool

import (
	"bufio"
	"context"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// writeEach answers each command by a write of its own, without TCP_NODELAY, as
// simple servers do.
func writeEach(t *testing.T, conn net.Conn) {
	defer conn.Close()
	if err := conn.(*net.TCPConn).SetNoDelay(false); err != nil {
		t.Error(err)
	}

	r := bufio.NewReader(conn)
	say := func(text string) bool { _, err := conn.Write([]byte(text + "\r\n")); return err == nil }
	for ok := say("220 simple"); ok; {
		line, err := r.ReadString('\n')
		switch {
		case err != nil:
			return
		case strings.HasPrefix(line, "EHLO"):
			ok = say("250-simple\r\n250 PIPELINING")
		case strings.HasPrefix(line, "DATA"):
			if ok = say("354 go"); !ok {
				return
			}
			for line != ".\r\n" {
				if line, err = r.ReadString('\n'); err != nil {
					return
				}
			}
			ok = say("250 taken")
		default:
			ok = say("250 ok")
		}
	}
}

// A reply that the server's kernel holds back until the one before is
// acknowledged must not cost 40 ms a message, in any mode.
func TestRepliesThatAreHeldBack(t *testing.T) {
	for _, mode := range []string{PipeliningAuto, PipeliningEnvelope, PipeliningOff} {
		t.Run(mode, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}

			done := make(chan struct{})
			go func() {
				defer close(done)
				for conn, err := l.Accept(); err == nil; conn, err = l.Accept() {
					writeEach(t, conn)
				}
			}()
			defer func() { _ = l.Close(); <-done }()
			p, _ := newPool(t, Config{Pipelining: mode, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "tcp", l.Addr().String())
			}}, unlimited())
			c := get(t, p)
			defer p.Discard(c)
			const n = 50
			var took []time.Duration
			for range n {
				began := time.Now()
				if got := send(t.Context(), c, "t@x.org", "hi\r\n"); got != "dot 250 taken complete=true" {
					t.Fatal(got)
				}
				took = append(took, time.Since(began))
			}

			// A message that waits for an acknowledgement takes 40 ms at least, others less
			// than one: a busy machine may make some as slow, but not half of them.
			slices.Sort(took)
			if median := took[n/2]; median > 39*time.Millisecond {
				t.Errorf("half of %d messages took %s or more", n, median)
			}
		})
	}
}
