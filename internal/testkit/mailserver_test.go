package testkit_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"

	"github.com/google/go-cmp/cmp"
)

// TestMailServers sends to each server that is not installed, and reads what it
// says about it.
func TestMailServers(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	for name, tt := range map[string]struct {
		start               func(t testing.TB) *testkit.MailServer
		startTLS, pipelines bool
	}{
		"Exim":      {func(t testing.TB) *testkit.MailServer { return testkit.Exim(t, certs.Valid) }, true, true},
		"OpenSMTPD": {testkit.OpenSMTPD, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := tt.start(t)
			conn, err := net.Dial("tcp", s.Addr())
			c := smtpClient(t, conn, err)
			if tt.startTLS {
				if err := c.StartTLS(trust(t, certs)); err != nil {
					t.Fatal(err)
				}
			}
			if got, _ := c.Extension("PIPELINING"); got != tt.pipelines {
				t.Errorf("offers PIPELINING: got %t, want %t", got, tt.pipelines)
			}
			send(t, c, "ann@example.test", "one")
			send(t, c, "bob@elsewhere.test", "two")
			send(t, c, "ann@example.test", "three")
			if err := c.Mail("news@example.test"); err != nil {
				t.Fatal(err)
			}
			if err := c.Rcpt("nobody@example.test"); err != nil { // and no message
				t.Fatal(err)
			}
			if err := c.Quit(); err != nil {
				t.Fatal(err)
			}
			want := map[string]int{"ann@example.test": 2, "bob@elsewhere.test": 1}
			if diff := cmp.Diff(want, s.WaitAccepted(3, time.Minute)); diff != "" {
				t.Errorf("accepted (-want +got):\n%s\n%s", diff, s.Log())
			}
			if !strings.Contains(s.Log(), "bob@elsewhere.test") {
				t.Errorf("log: got %q", s.Log())
			}
		})
	}
}
