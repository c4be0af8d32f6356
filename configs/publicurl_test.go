package configs_test

import (
	"strings"
	"testing"

	"broadside/configs"
)

// What readers' links begin with is written into headers: it has to be ASCII,
// and the same text that a browser asks for.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"https://news.acme.example", "https://news.acme.example"},
		{"https://news.acme.example/", "https://news.acme.example"},
		{"HTTPS://News.ACME.example:8443//", "https://news.acme.example:8443"},
		{"https://bücher.example", "https://xn--bcher-kva.example"},
		{"https://BÜCHER.example:8443/news", "https://xn--bcher-kva.example:8443/news"},
		{"https://b%C3%BCcher.example", "https://xn--bcher-kva.example"},
		{"https://xn--bcher-kva.example", "https://xn--bcher-kva.example"},
		{"https://почта.рф/новости/", "https://xn--80a1acny.xn--p1ai/%D0%BD%D0%BE%D0%B2%D0%BE%D1%81%D1%82%D0%B8"},
		{"https://in_house.acme.example", "https://in_house.acme.example"},
		{"https://acme.example/a/b/", "https://acme.example/a/b"},
		{"https://acme.example/a//b/../c/./", "https://acme.example/a/c"},
		{"https://acme.example/a b,c", "https://acme.example/a%20b%2Cc"},
		{"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		{"http://[::1]:8080/x", "http://[::1]:8080/x"},
		{"http://localhost:8080", "http://localhost:8080"},
		{"https://" + strings.Repeat("a.", 100) + "example/" + strings.Repeat("x", 30), "https://" + strings.Repeat("a.", 100) + "example/" + strings.Repeat("x", 30)},
	} {
		c, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: []string{"BROADSIDE_PUBLIC_URL=" + tt.text}})
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if c.PublicURL != tt.want {
			t.Errorf("%s: got %s, want %s", tt.text, c.PublicURL, tt.want)
		}
	}
	for _, tt := range []struct{ text, want string }{
		{"https://acme.example?x=y", "without user, query and #"},
		{"https://u@acme.example", "without user, query and #"},
		{"https://acme.example/#x", "without user, query and #"},
		{"http://acme.example", "expected https"},
		{"https://b\u202eücher.example", "no name that DNS can have"},
		{"https://a,b.example", "no name that DNS can have"},
		{"https://" + strings.Repeat("ü", 80) + ".example", "no name that DNS can have"},
		{"https://acme.example/" + strings.Repeat("ü", 50), "found 321 bytes, expected at most 250"},
	} {
		_, err := configs.Load(t.Context(), configs.Options{Dir: t.TempDir(), Env: []string{"BROADSIDE_PUBLIC_URL=" + tt.text}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.text, err, tt.want)
		}
	}
}
