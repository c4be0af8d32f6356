package testkit

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Exim starts an exim4 that has its defaults in everything that concerns the
// dialogue: it offers STARTTLS, PIPELINING and CHUNKING, and ends the
// connection when a client sends what it may not send yet (smtp_enforce_sync).
// options are further lines of its main configuration.
func Exim(t testing.TB, cert KeyPair, options ...string) *MailServer {
	t.Helper()
	s := newMailServer(t, "exim")
	s.users("Debian-exim")
	for _, dir := range []string{"var/spool/exim4", "var/log/exim4", "run/exim4"} {
		s.mkdir(dir, 0o750, firstUser)
	}
	for in, file := range map[string]string{"etc/cert.pem": cert.CertFile, "etc/key.pem": cert.KeyFile} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("read exim's certificate: %v", err)
		}
		s.write(in, string(text), 0o644) // it reads the key when it is root no more
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("exim's log:\n%s", tail(s.eximLog(), 4000))
		}
	})
	s.log = s.eximLog
	s.accepted = eximAccepted
	s.run("etc/exim4/exim4.conf", func(port int) string { return eximConfiguration(port, options) }, "/usr/sbin/exim4", "-bdf")
	return s
}

func eximConfiguration(port int, options []string) string {
	return fmt.Sprintf(`primary_hostname = mail.example.test
local_interfaces = 127.0.0.1
daemon_smtp_ports = %d
daemon_startup_retries = 0
host_lookup =
keep_environment =
tls_advertise_hosts = *
tls_certificate = /etc/cert.pem
tls_privatekey = /etc/key.pem
queue_only
log_selector = +received_recipients +smtp_protocol_error +smtp_syntax_error
smtp_accept_max = 100
acl_smtp_rcpt = everybody
%s

begin acl
everybody:
  accept

begin routers
nowhere:
  driver = redirect
  data = :blackhole:
`, port, strings.Join(options, "\n"))
}

// eximLog reads the main log, and the one for what should never happen.
func (s *MailServer) eximLog() string {
	var log []byte
	for _, name := range []string{"mainlog", "paniclog"} {
		b, err := os.ReadFile(s.path("var/log/exim4/" + name))
		if err != nil && !os.IsNotExist(err) {
			s.t.Fatalf("read exim's log: %v", err)
		}
		log = append(log, b...)
	}
	return string(log)
}

// eximAccepted counts by lines of the form "DATE TIME ID <= SENDER ... for
// RECIPIENT...".
func eximAccepted(log string) map[string]int {
	got := map[string]int{}
	for line := range strings.Lines(log) {
		if !strings.Contains(line, " <= ") {
			continue
		}
		_, recipients, _ := strings.Cut(line, " for ")
		for to := range strings.FieldsSeq(recipients) {
			got[to]++
		}
	}
	return got
}
