package account_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/account"
	"broadside/internal/failure"
	"broadside/internal/testkit"
	"broadside/sender/oauth"
	"broadside/sender/smtppool"
)

// two is a configuration with two accounts.
func two() *configs.Config {
	return &configs.Config{Accounts: map[string]configs.Account{
		"ses":   {Name: "ses", Host: "smtp.ses.example", Port: 587, TLS: configs.TLSStartTLS, Limits: configs.Limits{Rate: 14, Connections: 10, MessagesPerConnection: 100}},
		"local": {Name: "local", Host: "127.0.0.1", Port: 25, TLS: configs.TLSNone, Limits: configs.Limits{Connections: 2, MessagesPerConnection: 1000}},
	}}
}

// withoutRoots leaves out what a configuration of smtppool does not show.
var withoutRoots = cmpopts.IgnoreFields(smtppool.Config{}, "RootCAs")

func TestSMTPHasEverySettingOfTheAccount(t *testing.T) {
	t.Parallel()
	acct := configs.Account{
		Name: "ses", Host: "smtp.ses.example", Port: 2465, TLS: configs.TLSImplicit, AllowPlaintext: true, CAFile: testkit.Certs(t).CAFile,
		Auth: "plain", Username: "mailer", Password: "right-horse", Helo: "mail.acme.example", Pipelining: "envelope",
		Limits: configs.Limits{Rate: 14, Connections: 3, MessagesPerConnection: 50},
	}
	want := smtppool.Config{
		Account: "ses", Host: "smtp.ses.example", Port: 2465, TLS: smtppool.TLSImplicit, AllowPlaintext: true,
		Auth: "plain", Username: "mailer", Password: "right-horse", Helo: "mail.acme.example", Pipelining: smtppool.PipeliningEnvelope,
		MaxConns: 3, MaxMessages: 50,
	}

	got, err := account.SMTP(acct, nil)
	if err != nil {
		t.Fatal(err)
	}

	if got.RootCAs == nil {
		t.Error("the account's own authority is not trusted")
	}
	if diff := cmp.Diff(want, got, withoutRoots); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}

	acct.CAFile = ""
	if got, err = account.SMTP(acct, nil); err != nil || got.RootCAs != nil {
		t.Errorf("without ca_file: authorities %v, %v; want those of the machine", got.RootCAs, err)
	}
}

// A person does not wait as long as a daemon does, in any step.
func TestImpatientWaitsAreBoundedAndOtherwiseTheSame(t *testing.T) {
	t.Parallel()
	acct := two().Accounts["ses"]
	patient, err := account.SMTP(acct, nil)
	if err != nil {
		t.Fatal(err)
	}

	got, err := account.Impatient(acct, nil)
	if err != nil {
		t.Fatal(err)
	}

	w := got.Timeouts
	for step, wait := range map[string]time.Duration{
		"connect": w.Connect, "hello": w.Hello, "auth": w.Auth, "greeting": w.Greeting, "mail": w.Mail,
		"rcpt": w.Rcpt, "data": w.Data, "block": w.Block,
	} {
		if wait <= 0 || wait > 30*time.Second {
			t.Errorf("%s waits %s, want up to 30 s, and not what a daemon waits", step, wait)
		}
	}

	if w.Dot <= 0 || w.Dot > 2*time.Minute {
		t.Errorf("the reply to a message is waited for %s, want up to 2 minutes", w.Dot)
	}

	got.Timeouts = patient.Timeouts
	if diff := cmp.Diff(patient, got, withoutRoots); diff != "" {
		t.Errorf("but for the waits (-patient +impatient):\n%s", diff)
	}
}

// Both ways to reach an account refuse a file of authorities that is none, and name the
// account, the setting and the file.
func TestAuthoritiesAtFault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certs := testkit.Certs(t)
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tt := range map[string]struct{ file, want string }{
		"no such file":           {filepath.Join(dir, "none.pem"), "there is no such file"},
		"a folder":               {dir, "it is a directory, expected a file"},
		"a device":               {"/dev/zero", "it is a device, expected a file"},
		"an empty file":          {write("empty.pem", nil), "has no certificate in PEM form"},
		"a key":                  {certs.Valid.KeyFile, "has no certificate in PEM form"},
		"DER":                    {write("ca.der", []byte{0x30, 0x82, 0x01, 0x0a}), "has no certificate in PEM form"},
		"a file that is too big": {write("big.pem", make([]byte, strictyaml.MaxFile+1)), fmt.Sprintf("has more than %d bytes", strictyaml.MaxFile)},
	} {
		acct := configs.Account{Name: "ses", Host: "smtp.ses.example", CAFile: tt.file, Username: "mailer", Password: "right-horse"}
		for way, reach := range map[string]func(configs.Account, *oauth.Store) (smtppool.Config, error){"SMTP": account.SMTP, "Impatient": account.Impatient} {
			_, err := reach(acct, nil)
			if !errors.Is(err, failure.ErrInvalid) {
				t.Errorf("%s, %s: %v, want ErrInvalid", name, way, err)
				continue
			}

			for _, want := range []string{"account ses: ", "ca_file", tt.file, tt.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%s, %s: no %q in: %v", name, way, want, err)
				}
			}

			if strings.Contains(err.Error(), "right-horse") {
				t.Errorf("%s, %s: the password is shown", name, way)
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	none := &configs.Config{}
	for name, tt := range map[string]struct {
		cfg     *configs.Config
		account string
		want    []string // of the error; empty: it is found
	}{
		"there":           {cfg: two(), account: "ses"},
		"mistyped":        {two(), "sess", []string{`no account "sess"`, "configured are local, ses", "did you mean ses?"}},
		"unknown":         {two(), "postmark", []string{`no account "postmark"`, "configured are local, ses"}},
		"in another case": {two(), "SES", []string{`no account "SES"`}},
		"without a name":  {two(), "", []string{`no account ""`, "configured are local, ses"}},
		"none configured": {none, "ses", []string{account.Missing, "add one under accounts in " + none.Where(), "SMTP_URL="}},
	} {
		acct, err := account.Find(tt.cfg, tt.account)
		if len(tt.want) == 0 {
			if err != nil || acct.Host != "smtp.ses.example" {
				t.Errorf("%s: got %+v, %v", name, acct, err)
			}
			continue
		}

		if !errors.Is(err, failure.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
			continue
		}

		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: no %q in: %v", name, want, err)
			}
		}
	}
}
