package strictyaml_test

import (
	"net/url"
	"strings"
	"testing"

	"broadside/configs/strictyaml"
)

// FuzzShownURL builds addresses with secrets in them, of which nothing is shown.
func FuzzShownURL(f *testing.F) {
	f.Add("tiger", "hunter2", "people.csv")
	f.Add("t/i?g#e@r", "h&u=n", "a/b")
	f.Fuzz(func(t *testing.T, password, token, path string) {
		u := url.URL{Scheme: "https", User: url.UserPassword("reader", "SECRET"+password), Host: "acme.example", Path: "/" + path, RawQuery: url.Values{"token": {"SECRET" + token}}.Encode()}
		if strings.Contains(path, "SECRET") {
			t.Skip("the path says it by itself")
		}
		if shown := strictyaml.ShownURL(u.String()); strings.Contains(shown, "SECRET") || !strings.HasPrefix(shown, "https://") {
			t.Errorf("%s is shown as %s", u.String(), shown)
		}
		// As a person writes it, without the escapes.
		raw := "https://reader:SECRET" + password + "@acme.example/people.csv?token=SECRET" + token
		if shown := strictyaml.ShownURL(raw); strings.Contains(shown, "SECRET") {
			t.Errorf("%s is shown as %s", raw, shown)
		}
	})
}
