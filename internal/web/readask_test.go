package web

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Whatever comes in as a form or as JSON is read or refused; only fields of the form get
// through from a form, and the parts come out as they were sent.
func FuzzReadAsk(f *testing.F) {
	f.Add([]byte("email=ada%40example.org&first_name=Ada&website=&x=y"), "application/x-www-form-urlencoded")
	f.Add([]byte(`{"email":"ada@example.org","first_name":"Ada"}`), "application/json; charset=utf-8")
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=\"email\"\r\n\r\nada@example.org\r\n--b--\r\n"), "multipart/form-data; boundary=b")
	f.Add([]byte("null"), "application/json")
	f.Add([]byte("\xff=%zz"), "")
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		if len(body) > maxBody {
			return
		}
		got, err := readAsk(body, contentType, []string{"first_name"})
		if err != nil {
			if !errors.Is(err, errUnreadable) {
				t.Fatalf("got %v, want errUnreadable", err)
			}
			return
		}
		for name, value := range got.fields {
			if name != "first_name" && !isJSONType(contentType) {
				t.Errorf("the field %q = %q came through", name, value)
			}
			if name == fieldEmail || name == fieldTrap || name == fieldLanguage {
				t.Errorf("%s is a field", name)
			}
		}
		if len(got.email) > len(body) {
			t.Errorf("an address of %d bytes from a body of %d", len(got.email), len(body))
		}
	})
}

func TestClientOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ remote, forwarded, want string }{
		{"198.51.100.7:1234", "", "198.51.100.7"},
		{"198.51.100.7:1234", "192.0.2.1", "198.51.100.7"}, // anybody can write that
		{"[2001:db8::1]:1234", "192.0.2.1", "2001:db8::1"},
		{"10.1.2.3:1234", "192.0.2.1", "192.0.2.1"},
		{"127.0.0.1:1234", "203.0.113.9, 192.0.2.1", "192.0.2.1"},
		{"127.0.0.1:1234", "203.0.113.9|192.0.2.1", "192.0.2.1"}, // two headers
		{"[::1]:1234", "2001:db8::5", "2001:db8::5"},
		{"[fd00::1]:1234", "[2001:db8::5]:99", "2001:db8::5"},
		{"10.1.2.3:1234", "192.0.2.1:5678", "192.0.2.1"},
		{"10.1.2.3:1234", "unknown", "10.1.2.3"},
		{"10.1.2.3:1234", "", "10.1.2.3"},
		{"[::ffff:10.1.2.3]:1234", "192.0.2.1", "192.0.2.1"},
		{"@", "192.0.2.1", "192.0.2.1"}, // a Unix socket
		{"@", "", "invalid IP"},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.RemoteAddr = tt.remote
		for line := range strings.SplitSeq(tt.forwarded, "|") {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got := clientOf(r).String(); got != tt.want {
			t.Errorf("from %s, forwarded for %q: got %s, want %s", tt.remote, tt.forwarded, got, tt.want)
		}
	}
}

func TestEveryLanguageHasTheTextsOfSubscriptions(t *testing.T) {
	t.Parallel()
	for language := range textsOf {
		w, ok := subscribeTextsOf[language]
		if !ok {
			t.Errorf("%s has no texts", language)
			continue
		}
		for name, text := range map[string]string{
			"badAddress": w.badAddress, "badField": w.badField, "unreadable": w.unreadable, "tooMany": w.tooMany, "notNow": w.notNow, "sentTitle": w.sentTitle,
			"sentText": w.sentText, "askTitle": w.askTitle, "askText": w.askText, "confirm": w.confirm, "doneTitle": w.doneTitle, "doneText": w.doneText,
			"keptTitle": w.keptTitle, "keptText": w.keptText, "oldTitle": w.oldTitle, "oldText": w.oldText, "brokenTitle": w.brokenTitle, "brokenText": w.brokenText,
		} {
			if text == "" || strings.Contains(fill(text, "", ""), "{") {
				t.Errorf("%s: %s is %q", language, name, text)
			}
			if strings.Contains(text, "{address}") && strings.HasPrefix(name, "sent") {
				t.Errorf("%s: %s has the address", language, name)
			}
		}
	}
}
