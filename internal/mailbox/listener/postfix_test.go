package listener

import (
	netsmtp "net/smtp"
	"strings"
	"testing"
	"time"

	"broadside/internal/testkit"
)

// TestPostfixHandsBouncesOver has a real Postfix as the client, by each protocol.
func TestPostfixHandsBouncesOver(t *testing.T) {
	t.Parallel()
	for _, protocol := range []string{"lmtp", "smtp"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			sink := &recorder{}
			address, _ := listen(t, sink)
			port := strings.TrimPrefix(address, "127.0.0.1")
			p := testkit.Postfix(t, testkit.PostfixConfig{
				User: "mx", Password: "hunter2", Cert: testkit.Certs(t).Valid, NoStartTLS: true, Transport: protocol + ":[127.0.0.1]" + port,
			})
			send := func(to string) {
				t.Helper()
				auth := netsmtp.PlainAuth("", "mx@example.test", "hunter2", "127.0.0.1")
				if err := netsmtp.SendMail(p.Submission(), auth, "", []string{to}, []byte(bounce)); err != nil {
					t.Fatalf("%v\n%s", err, p.Log())
				}
			}

			send("b-1@bounce.acme.example")
			send("ada@other.example")
			for range testkit.Tries(30 * time.Second) {
				if strings.Contains(p.Log(), "status=sent") && strings.Contains(p.Log(), "status=bounced") {
					break
				}
			}
			if !strings.Contains(p.Log(), "550 5.7.1 Only mail to bounce.acme.example") {
				t.Errorf("mail for another domain was not refused:\n%s", p.Log())
			}
			got := sink.messages()
			if len(got) != 1 || !strings.HasPrefix(got[0], "b-1@bounce.acme.example\nReturn-Path: <>\r\n") {
				t.Errorf("got %q\n%s", got, p.Log())
			}
		})
	}
}
