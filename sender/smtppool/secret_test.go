package smtppool

import (
	"encoding/base64"
	"strings"
	"testing"

	"broadside/sender/reply"
)

// A server that quotes the login in its refusal does not get it printed,
// whatever the case, the length or the form of the quotation.
func TestARefusalShowsNothingOfTheLogin(t *testing.T) {
	t.Parallel()
	token := b64("\x00user\x00s3cret-pass")
	for name, said := range map[string]string{
		"the command":     "535 5.7.8 bad command: AUTH PLAIN " + token,
		"in capitals":     "535 5.7.8 AUTH PLAIN " + strings.ToUpper(token),
		"cut short":       "535 5.7.8 <AUTH PLAIN " + token[:15] + "...> refused",
		"the password":    "535 5.7.8 user gave s3cret-pass",
		"in base64":       "535 5.7.8 password " + b64("s3cret-pass"),
		"no reply at all": "AUTH PLAIN " + token + " ?",
		"a challenge":     "334 s3cret-pass!",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Dial(t.Context(), scripted(t, loginAccount("plain"), hello("AUTH PLAIN")+"C*\nS: "+said+"\n"))
			if err == nil {
				t.Fatal("the login went through")
			}

			all := err.Error() + " " + err.(*Error).Reply.Text + " " + strings.ToLower(err.(*Error).Err.Error())
			for _, secret := range []string{"s3cret-pass", token[:8], strings.ToLower(token[:8]), strings.ToUpper(token[:15]), b64("s3cret-pass")} {
				if strings.Contains(all, secret) {
					t.Errorf("%q shows %q", all, secret)
				}
			}
		})
	}
}

// The words of a refusal stay, also with a password that could be one of them.
func TestARefusalIsReadable(t *testing.T) {
	t.Parallel()
	s := append(secretsOf("a"), b64("\x00user\x00a"))
	const text = "5.7.8 Error: authentication failed: a bad password, see https://example.org/ab"
	const want = "5.7.8 Error: authentication failed: " + hidden + " bad password, see https://example.org/ab"
	if got := s.hide(text); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzSecretsHide(f *testing.F) {
	f.Add("s3cret-pass", "535 AUTH PLAIN AHVzZXIAczNjcmV0LXBhc3M=")
	f.Add("[redacted]", "redacted [redacted]")
	f.Fuzz(func(t *testing.T, password, text string) {
		if len(password) < shortest || strings.Contains(hidden, password) {
			return
		}
		said := secretsOf(password)
		got := said.hide(text + " " + password + " " + base64.StdEncoding.EncodeToString([]byte(password)))
		if strings.Contains(strings.ReplaceAll(got, hidden, "\x00"), password) {
			t.Errorf("%q is in %q", password, got)
		}
	})
}

// Keywords come in any case, the old form of AUTH counts, and every line of it.
func TestEhloKeywords(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, lines, auth string }{
		{"capitals", "250-x\n250-PIPELINING\n250-SIZE 10\n250-SMTPUTF8\n250 AUTH PLAIN LOGIN", "PLAIN LOGIN"},
		{"small letters", "250-x\n250-pipelining\n250-size 10\n250-smtputf8\n250 auth plain login", "PLAIN LOGIN"},
		{"the old form", "250-x\n250-Pipelining\n250-Size 10\n250-SmtpUTF8\n250 AUTH=LOGIN PLAIN", "LOGIN PLAIN"},
		{"both forms", "250-x\n250-PIPELINING\n250-SIZE 10\n250-SMTPUTF8\n250-auth=login plain\n250 AUTH PLAIN XOAUTH2", "LOGIN PLAIN XOAUTH2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			script := "S: 220\nC: EHLO me.example\n"
			for line := range strings.Lines(tt.lines) {
				script += "S: " + strings.TrimSpace(line) + "\n"
			}
			in := dialScript(t, Config{}, script).Info()
			if !in.Pipelining || !in.SMTPUTF8 || in.Size != 10 || strings.Join(in.Mechanisms, " ") != tt.auth {
				t.Errorf("got %+v", in)
			}
		})
	}
}

func FuzzParseEhlo(f *testing.F) {
	f.Add("mx.example\nAUTH=LOGIN PLAIN\nauth XOAUTH2\nSIZE 1000")
	f.Add("\n\n=\nAUTH=\nSIZE -1")
	f.Fuzz(func(t *testing.T, text string) {
		e := parseEhlo(text)
		if e.size() < 0 {
			t.Errorf("size %d", e.size())
		}
		for _, m := range e.mechanisms() {
			if m != strings.ToUpper(m) || strings.ContainsAny(m, " \n") {
				t.Errorf("mechanism %q", m)
			}
		}
	})
}

// A server that says no more than codes works.
func TestBareCodes(t *testing.T) {
	t.Parallel()
	script := "S: 220\nC: EHLO me.example\nS: 250\nC: MAIL FROM:<f@x.org>\nS: 250\nC: RCPT TO:<t@x.org>\nS: 250\nC: DATA\nS: 354\nC*\nC: .\nS: 250\n"
	if r := deliver(t.Context(), scripted(t, Config{}, script)); !r.OK() {
		t.Error(r)
	}
	r := deliver(t.Context(), scripted(t, Config{}, "S: 220\nC: EHLO me.example\nS: 550\nC: HELO me.example\nS: 550\n"))
	if r.Code != 550 || r.Stage != reply.Ehlo {
		t.Errorf("got %s at %s", r, r.Stage)
	}
}
