package testkit_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"

	"broadside/internal/testkit"
)

func TestDovecotSpeaksIMAPAndPOP3(t *testing.T) {
	t.Parallel()
	d := testkit.Dovecot(t, testkit.DovecotConfig{User: "bounces", Password: "hunter2", Cert: testkit.Certs(t).Valid})
	d.Deliver("INBOX", "Subject: one\r\n\r\nOne.\r\n")
	for range 2 { // it can be stopped and started again
		for _, tt := range []struct {
			port              int
			tls               bool
			lines             []string
			wantFirst, answer string
		}{
			{d.IMAP, false, []string{"a LOGIN bounces hunter2"}, "* OK", "a OK"},
			{d.IMAPS, true, []string{"a LOGIN bounces hunter2", "b STATUS INBOX (MESSAGES)"}, "* OK", "(MESSAGES 1)"},
			{d.POP3, false, []string{"USER bounces", "PASS hunter2", "STAT"}, "+OK", "+OK 1 "},
			{d.POP3S, true, []string{"USER bounces", "PASS hunter2", "STAT"}, "+OK", "+OK 1 "},
		} {
			if got := dialogue(t, tt.port, tt.tls, tt.wantFirst, tt.answer, tt.lines); got != "" {
				t.Errorf("port %d: %s\n%s", tt.port, got, d.Log())
			}
		}
		d.Stop()
		d.Start()
	}
	if got := d.Messages("INBOX"); len(got) != 1 {
		t.Errorf("got messages %q", got)
	}
}

// dialogue sends lines once the server has greeted, and returns what went wrong
// before a line had answer in it.
func dialogue(t *testing.T, port int, overTLS bool, greeting, answer string, lines []string) string {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	if overTLS {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	}
	r := bufio.NewReader(conn)
	first, err := r.ReadString('\n')
	if err != nil || !strings.HasPrefix(first, greeting) {
		return fmt.Sprintf("greeting %q, %v", first, err)
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", strings.Join(lines, "\r\n")); err != nil {
		return err.Error()
	}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return fmt.Sprintf("no %q: %v", answer, err)
		}
		if strings.Contains(line, answer) {
			return ""
		}
	}
}
