package doctor_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
)

// A smtpServer says what it is told to, and never takes a message.
type smtpServer struct {
	offers []string                 // in its reply to EHLO
	answer func(line string) string // to any other command; empty: it closes
	cert   *tls.Certificate         // TLS from the first byte; nil: none
	mute   bool                     // closes without a greeting
}

// serve starts the server on an address of loopback and returns its port.
func (s *smtpServer) serve(t *testing.T, addr string) int {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.talk(conn) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	return l.Addr().(*net.TCPAddr).Port
}

func (s *smtpServer) talk(conn net.Conn) {
	defer conn.Close()
	if s.mute {
		return
	}
	if s.cert != nil {
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*s.cert}})
	}
	say := func(format string, args ...any) { fmt.Fprintf(conn, format+"\r\n", args...) }
	say("220 test")
	in := bufio.NewScanner(conn)
	for in.Scan() {
		verb, _, _ := strings.Cut(in.Text(), " ")
		switch verb {
		case "EHLO":
			say("250-test")
			for _, o := range s.offers {
				say("250-%s", o)
			}
			say("250 HELP")
		case "QUIT":
			say("221 bye")
			return
		default:
			answer := s.answer(in.Text())
			if answer == "" {
				return
			}
			say("%s", answer)
		}
	}
}
