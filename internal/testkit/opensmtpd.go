package testkit

import (
	"fmt"
	"regexp"
	"testing"
)

// OpenSMTPD starts an OpenSMTPD with its default limits: 100 messages a
// connection, and 452 after that. It does not offer PIPELINING, and answers 500
// to a client that sends ahead all the same.
func OpenSMTPD(t testing.TB) *MailServer {
	t.Helper()
	s := newMailServer(t, "opensmtpd")
	s.users("opensmtpd", "opensmtpq", "box")
	s.mkdir("var/lib/opensmtpd/empty", 0o755, 0)
	s.mkdir("var/spool", 0o755, 0)
	s.mkdir("var/run", 0o755, 0)
	s.log = func() string { return s.proc.Output() }
	s.accepted = opensmtpdAccepted
	s.run("etc/smtpd.conf", opensmtpdConfiguration, "/usr/sbin/smtpd", "-d", "-P", "mda")
	return s
}

func opensmtpdConfiguration(port int) string {
	return fmt.Sprintf(`table everybody { "@" = box }
listen on 127.0.0.1 port %d hostname mail.example.test
action "keep" maildir "/box" virtual <everybody>
match from any for any action "keep"
`, port)
}

var opensmtpdEnvelope = regexp.MustCompile(` smtp envelope evpid=[0-9a-f]+ from=<.*?> to=<(.*?)>`)

// opensmtpdAccepted counts envelopes: they are logged when their message is
// whole.
func opensmtpdAccepted(log string) map[string]int {
	got := map[string]int{}
	for _, e := range opensmtpdEnvelope.FindAllStringSubmatch(log, -1) {
		got[e[1]]++
	}
	return got
}
