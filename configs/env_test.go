package configs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/configs"
)

// loadEnv loads text as broadside.yaml with the given environment, and returns
// the rows whose keys begin with one of keys, or the error, with the directory
// left away.
func loadEnv(t *testing.T, text string, env []string, keys ...string) string {
	t.Helper()
	dir := t.TempDir()
	if text != "" {
		if err := os.WriteFile(filepath.Join(dir, configs.DefaultFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := configs.Load(t.Context(), configs.Options{Dir: dir, Env: env})
	if err != nil {
		return strings.ReplaceAll(err.Error(), dir+"/", "")
	}
	var out []string
	for _, r := range c.Rows() {
		for _, k := range keys {
			if strings.HasPrefix(r.Key, k) && (r.Source != "default" || r.Key == k) {
				out = append(out, strings.ReplaceAll(r.Key+" = "+r.Value+" ("+r.Source+")", dir+"/", ""))
			}
		}
	}
	return strings.Join(out, "\n")
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	const file = "redis_url: redis://file\nlisten: \":1\"\nnamespace: file\naccounts:\n  ses-main: {host: file.example, port: 25}\n"
	for _, tt := range []struct {
		name, file string
		env        []string
		keys       []string
		want       string
	}{
		{
			name: "a level is __ and - is _", file: file, keys: []string{"accounts."},
			env:  []string{"BROADSIDE_ACCOUNTS__SES_MAIN__HOST=env.example", "BROADSIDE_ACCOUNTS__SES_MAIN__LIMITS__RATE=14/s"},
			want: "accounts.ses-main.host = env.example (env BROADSIDE_ACCOUNTS__SES_MAIN__HOST)\naccounts.ses-main.port = 25 (broadside.yaml:5)\naccounts.ses-main.limits.rate = 14/s (env BROADSIDE_ACCOUNTS__SES_MAIN__LIMITS__RATE)",
		},
		{
			name: "the file's name keeps its _", file: "accounts: {ses_main: {host: file.example}}\n", keys: []string{"accounts."},
			env:  []string{"BROADSIDE_ACCOUNTS__SES_MAIN__PORT=26"},
			want: "accounts.ses_main.host = file.example (broadside.yaml:1)\naccounts.ses_main.port = 26 (env BROADSIDE_ACCOUNTS__SES_MAIN__PORT)",
		},
		{
			name: "an account and a topic only in the environment", keys: []string{"accounts.", "topics."},
			env:  []string{"BROADSIDE_ACCOUNTS__MY_RELAY__HOST=x", "BROADSIDE_TOPICS__BIG_NEWS__NAME=Big News"},
			want: "topics.big-news.name = Big News (env BROADSIDE_TOPICS__BIG_NEWS__NAME)\naccounts.my-relay.host = x (env BROADSIDE_ACCOUNTS__MY_RELAY__HOST)",
		},
		{
			name: "case does not matter", env: []string{"broadside_namespace=lower"}, keys: []string{"namespace"},
			want: "namespace = lower (env broadside_namespace)",
		},
		{
			name: "platform over file", file: file, env: []string{"REDIS_URL=redis://u:hunter2@platform:1/0", "PORT=3000"}, keys: []string{"redis_url", "listen"},
			want: "redis_url = redis://[redacted]@platform:1/0 (env REDIS_URL)\nlisten = :3000 (env PORT)",
		},
		{
			name: "BROADSIDE_ over platform", file: file, keys: []string{"redis_url", "listen"},
			env:  []string{"REDIS_URL=redis://platform", "PORT=3000", "BROADSIDE_REDIS_URL=redis://own", "BROADSIDE_LISTEN=127.0.0.1:4000"},
			want: "redis_url = redis://own (env BROADSIDE_REDIS_URL)\nlisten = 127.0.0.1:4000 (env BROADSIDE_LISTEN)",
		},
		{
			name: "the address with TLS", file: file, env: []string{"REDIS_TLS_URL=rediss://tls", "REDIS_URL=redis://plain"}, keys: []string{"redis_url"},
			want: "redis_url = rediss://tls (env REDIS_TLS_URL)",
		},
		{
			name: "empty is unset", file: file, env: []string{"REDIS_URL=", "BROADSIDE_NAMESPACE="}, keys: []string{"redis_url", "namespace"},
			want: "namespace = file (broadside.yaml:3)\nredis_url = redis://file (broadside.yaml:1)",
		},
		{
			name: "lists by commas", env: []string{"BROADSIDE_ONLY_TO=*@a.example, me@b.example"}, keys: []string{"only_to"},
			want: "only_to = *@a.example, me@b.example (env BROADSIDE_ONLY_TO)",
		},
		{
			name: "a list over a list", file: "only_to: [a@b.example]", env: []string{"BROADSIDE_ONLY_TO=c@d.example"}, keys: []string{"only_to"},
			want: "only_to = c@d.example (env BROADSIDE_ONLY_TO)",
		},
		{
			name: "BROADSIDE_SECRETS over BROADSIDE_SECRET", keys: []string{"secrets"},
			env:  []string{"BROADSIDE_SECRET=" + strings.Repeat("hunter2", 5), "BROADSIDE_SECRETS=" + strings.Repeat("x", 32) + "," + strings.Repeat("y", 32)},
			want: "secrets = [redacted], [redacted] (env BROADSIDE_SECRETS)",
		},
		{
			name: "short BROADSIDE_SECRET", env: []string{"BROADSIDE_SECRET=hunter2"},
			want: "environment: BROADSIDE_SECRET: found 7 bytes, expected 32 or more; make one: export BROADSIDE_SECRET=$(openssl rand -hex 32)",
		},
		{
			name: "unset BROADSIDE_SECRET", file: `secrets: ["${BROADSIDE_SECRET}"]`,
			want: "broadside.yaml:1:11: secrets[0]: the variable BROADSIDE_SECRET is not set; make a value once and keep it: export BROADSIDE_SECRET=$(openssl rand -hex 32)",
		},
		{
			name: "a value that is overridden need not be expanded", file: "namespace: ${UNSET}", env: []string{"BROADSIDE_NAMESPACE=env"}, keys: []string{"namespace"},
			want: "namespace = env (env BROADSIDE_NAMESPACE)",
		},
		{
			name: "variables are not expanded twice", file: "postal_address: ${A}", env: []string{"A=${B}", "B=b"}, keys: []string{"postal_address"},
			want: "postal_address = ${B} (broadside.yaml:1)",
		},
		{
			name: "unknown variables", file: file,
			env: []string{"BROADSIDE_WORKR__DRAIN=hunter2", "BROADSIDE_ACCOUNTS__SES_MAIN__PASWORD=hunter2", "BROADSIDE_=x", "BROADSIDE_REDIS____X=1", "BROADSIDE_ZZZ=1"},
			want: "environment: BROADSIDE_: unknown variable, expected BROADSIDE_KEY or BROADSIDE_KEY__SUBKEY\n" +
				"environment: BROADSIDE_ACCOUNTS__SES_MAIN__PASWORD: unknown variable, did you mean BROADSIDE_ACCOUNTS__SES_MAIN__PASSWORD?\n" +
				"environment: BROADSIDE_REDIS____X: unknown variable, expected BROADSIDE_KEY or BROADSIDE_KEY__SUBKEY\n" +
				"environment: BROADSIDE_WORKR__DRAIN: unknown variable, did you mean BROADSIDE_WORKER__DRAIN?\n" +
				"environment: BROADSIDE_ZZZ: unknown variable; there is no key zzz",
		},
		{
			name: "a variable of the wrong shape or value", file: file,
			env: []string{"BROADSIDE_REDIS=x", "BROADSIDE_NAMESPACE__X=1", "BROADSIDE_WORKER__DRAIN=1h", "PORT=http", "BROADSIDE_ACCOUNTS__SES_MAIN__HOST__X=1"},
			want: "environment: BROADSIDE_ACCOUNTS__SES_MAIN__HOST__X: found a key below accounts.ses-main.host, which is one value\n" +
				"environment: BROADSIDE_NAMESPACE__X: found a key below namespace, which is one value\n" +
				"environment: BROADSIDE_REDIS: found a value for redis, expected one of its keys, as in BROADSIDE_REDIS__...\n" +
				"environment: BROADSIDE_WORKER__DRAIN: found \"1h\", expected a duration from 1s to 10m, such as 90s, 5m or 30d\n" +
				"environment: PORT: found \"http\", expected a port number from 0 to 65535",
		},
		{
			name: "a variable for all accounts", env: []string{"SMTP_URL=smtp://localhost", "BROADSIDE_ACCOUNTS=x"},
			want: "environment: BROADSIDE_ACCOUNTS: found a value for accounts, expected one of its keys, as in BROADSIDE_ACCOUNTS__...",
		},
		{
			name: "a variable and one below it", env: []string{"BROADSIDE_FEEDBACK__RETURN_PATH=a.example", "BROADSIDE_FEEDBACK__RETURN_PATH__X=b"},
			want: "environment: BROADSIDE_FEEDBACK__RETURN_PATH__X: found a value for feedback.return_path.x and one for a key below it, expected one of the two",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := loadEnv(t, tt.file, tt.env, tt.keys...)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is shown: %s", got)
			}
		})
	}
}

func TestSMTPURL(t *testing.T) {
	t.Parallel()
	const form = "expected smtp://USER:PASSWORD@HOST:PORT or smtps://... (special characters of the password as %XX)"
	for _, tt := range []struct{ name, url, want string }{
		{"starttls", "smtp://me%40x:hunter2%2F@smtp.example:2587", "host = smtp.example, port = 2587, tls = starttls, username = me@x, password = [redacted]"},
		{"implicit", "smtps://smtp.example", "host = smtp.example, tls = implicit"},
		{"none on loopback", "smtp://127.0.0.1:2525/?tls=none", "host = 127.0.0.1, port = 2525, tls = none"},
		{"IPv6", "smtp://[::1]:25?tls=none", "host = ::1, port = 25, tls = none"},
		{"none elsewhere", "smtp://smtp.example?tls=none", "environment: SMTP_URL: found none for a host that is not this machine: passwords and mail would travel in clear; expected starttls or implicit, or allow_plaintext: true if you mean it"},
		{"wrong mode", "smtp://smtp.example?tls=nune", `environment: SMTP_URL: found "nune", expected starttls, implicit or none: did you mean none?`},
		{"unknown parameter", "smtp://smtp.example?tsl=none", `environment: SMTP_URL: found the parameter "tsl", expected ?tls=none or no query`},
		{"broken query", "smtp://smtp.example?tls=%zz", "environment: SMTP_URL: found a query that is none, expected ?tls=none or no query"},
		{"scheme", "http://u:hunter2@smtp.example", `environment: SMTP_URL: found scheme "http", ` + form},
		{"no host", "smtp://u:hunter2@", "environment: SMTP_URL: found something else (not shown), " + form},
		{"unescaped", "smtp://u:hunter2/%zz@smtp.example", "environment: SMTP_URL: found something else (not shown), " + form},
		{"no password", "smtp://u@smtp.example", "environment: SMTP_URL: found a username without a password, expected both or neither"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := loadEnv(t, "", []string{"SMTP_URL=" + tt.url}, "accounts.default.")
			got = strings.NewReplacer("\n", ", ", "accounts.default.", "", " (env SMTP_URL)", "").Replace(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("the password is shown: %s", got)
			}
		})
	}
}

func TestSMTPURLOverFile(t *testing.T) {
	t.Parallel()
	got := loadEnv(t, "accounts: {default: {host: file.example, limits: {rate: 5/s}}}",
		[]string{"SMTP_URL=smtps://platform.example", "BROADSIDE_ACCOUNTS__DEFAULT__PORT=4465"}, "accounts.default.")
	want := "accounts.default.host = platform.example (env SMTP_URL)\n" +
		"accounts.default.port = 4465 (env BROADSIDE_ACCOUNTS__DEFAULT__PORT)\n" +
		"accounts.default.tls = implicit (env SMTP_URL)\n" +
		"accounts.default.limits.rate = 5/s (broadside.yaml:1)"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestImplicitPort(t *testing.T) {
	t.Parallel()
	c, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: []string{"SMTP_URL=smtps://smtp.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Accounts["default"].Port; got != 465 {
		t.Errorf("got port %d, want 465", got)
	}
}
