package smtppool

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"broadside/sender/reply"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// login accounts for a server that offers mechanisms; the password is told
// apart from everything else in a message.
func loginAccount(mode string) Config {
	return Config{Auth: mode, Username: "user", Password: "s3cret-pass"}
}

func cramMD5(challenge string) string {
	mac := hmac.New(md5.New, []byte("s3cret-pass"))
	mac.Write([]byte(challenge))
	return "user " + hex.EncodeToString(mac.Sum(nil))
}

func TestLogin(t *testing.T) {
	t.Parallel()
	plain := "C: AUTH PLAIN " + b64("\x00user\x00s3cret-pass") + "\nS: 235 2.7.0 in\n"
	login := "C: AUTH LOGIN\nS: 334 " + b64("Username:") + "\nC: " + b64("user") + "\nS: 334 " + b64("Password:") + "\nC: " + b64("s3cret-pass") + "\nS: 235 in\n"
	cram := "C: AUTH CRAM-MD5\nS: 334 " + b64("<1.2@x>") + "\nC: " + b64(cramMD5("<1.2@x>")) + "\nS: 235 in\n"
	xoauth := "C: AUTH XOAUTH2 " + b64("user=user\x01auth=Bearer s3cret-pass\x01\x01") + "\nS: 235 in\n"
	tests := []struct{ name, mode, offer, script, used string }{
		{"plain", "plain", "PLAIN LOGIN", plain, "PLAIN"},
		{"login", "login", "PLAIN LOGIN", login, "LOGIN"},
		{"cram-md5", "cram-md5", "CRAM-MD5", cram, "CRAM-MD5"},
		{"xoauth2", "xoauth2", "PLAIN XOAUTH2", xoauth, "XOAUTH2"},
		{"auto prefers CRAM-MD5", "auto", "LOGIN PLAIN CRAM-MD5", cram, "CRAM-MD5"},
		{"auto goes on where CRAM-MD5 is refused", "auto", "CRAM-MD5 LOGIN PLAIN", "C: AUTH CRAM-MD5\nS: 334 " + b64("<1.2@x>") + "\nC*\nS: 535 5.7.8 no\n" + plain, "PLAIN"},
		{"auto goes on where PLAIN is refused", "auto", "LOGIN PLAIN", "C*\nS: 504 5.5.4 not that\n" + login, "LOGIN"},
		{"auto prefers PLAIN", "", "LOGIN plain XOAUTH2", plain, "PLAIN"},
		{"auto takes LOGIN", "auto", "XOAUTH2 LOGIN NTLM", login, "LOGIN"},
		{"none", "none", "PLAIN", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := dialScript(t, loginAccount(tt.mode), hello("AUTH "+tt.offer)+tt.script)
			if got := c.Info().AuthUsed; got != tt.used {
				t.Errorf("got %q, want %q", got, tt.used)
			}
			if !c.Usable() {
				t.Error("not usable after the login")
			}
		})
	}
}

func TestLoginFails(t *testing.T) {
	t.Parallel()
	refused := "S: 535 5.7.8 Error: authentication failed\n"
	plain := "C: AUTH PLAIN " + b64("\x00user\x00s3cret-pass") + "\n"
	tests := []struct{ name, mode, offer, script, event, hint string }{
		{"wrong password", "plain", "AUTH PLAIN", plain + refused, "", "refused username or password"},
		{"wrong password, LOGIN", "login", "AUTH LOGIN", "C*\nS: 334 " + b64("Username:") + "\nC*\nS: 334 " + b64("Password:") + "\nC*\n" + refused, "", "refused username or password"},
		{"wrong password, twice", "auto", "AUTH CRAM-MD5 SCRAM-SHA-256 PLAIN LOGIN", "C: AUTH SCRAM-SHA-256\n" + refused + plain + refused, "", "(tried SCRAM-SHA-256, then PLAIN)"},
		{"wrong password, and hung up", "auto", "AUTH PLAIN LOGIN", plain + refused + "X", "", "(tried PLAIN)"},
		{"wrong password, CRAM-MD5", "cram-md5", "AUTH CRAM-MD5 PLAIN", "C*\nS: 334 " + b64("<1.2@x>") + "\nC*\n" + refused, "", "set auth: plain"},
		{"expired token", "xoauth2", "AUTH XOAUTH2", "C*\nS: 334 " + b64(`{"status":"401"}`) + "\nC: \n" + refused, "", "the access token may have expired"},
		{"not offered", "cram-md5", "AUTH PLAIN LOGIN", "", reply.Setup, "no login mechanism in common"},
		{"nothing in common", "auto", "AUTH NTLM GSSAPI", "", reply.Setup, "the server offers NTLM, GSSAPI"},
		{"no AUTH", "auto", "SIZE", "", reply.Setup, "offers no login here"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantProblem(t, scripted(t, loginAccount(tt.mode), hello(tt.offer)+tt.script), tt.event, tt.hint)
		})
	}
}

// Nonsense in the exchange ends the connection, and is no verdict about the
// password.
func TestLoginBadExchange(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, script, event string
		verdict             reply.Verdict
	}{
		{"challenge is no base64", "C*\nS: 334 !!!\n", reply.Setup, reply.PauseAccount},
		{"PLAIN asked again", "C*\nS: 334 \n", reply.Setup, reply.PauseAccount},
		{"250 instead of 235", "C*\nS: 250 fine\n", reply.BadReply, reply.RetryLane},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := deliver(t.Context(), scripted(t, loginAccount("plain"), hello("AUTH PLAIN")+tt.script))
			if d := reply.Classify(r); r.Event != tt.event || r.Stage != reply.Auth || d.Verdict != tt.verdict {
				t.Errorf("got %s at %s, %s", r, r.Stage, d.Verdict)
			}
		})
	}
	r := deliver(t.Context(), scripted(t, loginAccount("plain"), hello("AUTH PLAIN")+"C*\nS: 454 4.7.0 later\n"))
	if d := reply.Classify(r); d.Verdict != reply.RetryLane {
		t.Errorf("454: got %s", d.Verdict)
	}
}

// scramServer plays the server of RFC 7677; it reports whether the client's
// proof was right.
func scramServer(p *peer, password string) bool {
	salt, rounds := "salt-of-the-test", 4096
	line := func() string {
		s, err := p.r.ReadString('\n')
		if err != nil {
			p.t.Errorf("SCRAM: %v", err)
		}
		return strings.TrimSpace(s)
	}
	say := func(s string) { _ = p.step("S:", s) }
	sum := func(key []byte, s string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(s))
		return m.Sum(nil)
	}
	if got := line(); got != "AUTH SCRAM-SHA-256" {
		p.t.Errorf("SCRAM: got %q", got)
	}
	say("334 ")
	first, _ := base64.StdEncoding.DecodeString(line())
	bare := strings.TrimPrefix(string(first), "n,,")
	_, nonce, _ := strings.Cut(bare, "r=")
	challenge := fmt.Sprintf("r=%s-server,s=%s,i=%d", nonce, b64(salt), rounds)
	say("334 " + b64(challenge))
	final, _ := base64.StdEncoding.DecodeString(line())
	without, proof, _ := strings.Cut(string(final), ",p=")
	salted, err := pbkdf2.Key(sha256.New, password, []byte(salt), rounds, sha256.Size)
	if err != nil {
		p.t.Error(err)
	}
	auth := bare + "," + challenge + "," + without
	clientKey := sum(salted, "Client Key")
	stored := sha256.Sum256(clientKey)
	want := slices.Clone(clientKey)
	for i, b := range sum(stored[:], auth) {
		want[i] ^= b
	}
	if proof != base64.StdEncoding.EncodeToString(want) {
		say("535 5.7.8 wrong")
		return false
	}
	say("334 " + b64("v="+base64.StdEncoding.EncodeToString(sum(sum(salted, "Server Key"), auth))))
	line()
	say("235 2.7.0 in")
	return true
}

func TestSCRAM(t *testing.T) {
	t.Parallel()
	serve := func(password, offer string) Config {
		return pipeTo(t, loginAccount("auto"), func(conn net.Conn) {
			p := newPeer(t, conn)
			for line := range strings.Lines(hello("AUTH " + offer)) {
				if err := p.step(line[:2], strings.TrimSpace(line[2:])); err != nil {
					t.Errorf("server at %q: %v", line, err)
				}
			}
			if ok := scramServer(p, password); ok != (password == "s3cret-pass") {
				t.Errorf("password %s: proof right: %t", password, ok)
			}
			p.play("")
		})
	}
	c, err := Dial(t.Context(), serve("s3cret-pass", "PLAIN SCRAM-SHA-256 CRAM-MD5"))
	if err != nil {
		t.Fatal(err)
	}
	c.Abort()
	if c.Info().AuthUsed != "SCRAM-SHA-256" {
		t.Errorf("got %q", c.Info().AuthUsed)
	}
	wantProblem(t, serve("another", "SCRAM-SHA-256"), "", "refused username or password")
}
