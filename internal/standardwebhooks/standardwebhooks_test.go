package standardwebhooks_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"broadside/internal/standardwebhooks"
)

const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// TestSignatureOfTheSpecification uses the example that libraries of Standard Webhooks
// test themselves by.
func TestSignatureOfTheSpecification(t *testing.T) {
	t.Parallel()
	key, err := standardwebhooks.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	body := []byte(`{"test": 2432232314}`)
	standardwebhooks.Sign(h, key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), body)
	if got, want := h.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got, want := h.Get("webhook-timestamp"), "1614265330"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	key, err := standardwebhooks.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	other, err := standardwebhooks.Key("a secret that is plain text 1234")
	if err != nil {
		t.Fatal(err)
	}

	for _, test := range []struct {
		name   string
		change func(h http.Header)
		key    []byte
		body   string
		want   bool
	}{
		{"as it was signed", func(http.Header) {}, key, "body", true},
		{"one of several", func(h http.Header) {
			h.Set("webhook-signature", "v1,AAAA v1a,xyz "+h.Get("webhook-signature"))
		}, key, "body", true},
		{"another body", func(http.Header) {}, key, "Body", false},
		{"another key", func(http.Header) {}, other, "body", false},
		{"another id", func(h http.Header) { h.Set("webhook-id", "msg_2") }, key, "body", false},
		{"another time", func(h http.Header) { h.Set("webhook-timestamp", "1614265331") }, key, "body", false},
		{"another version", func(h http.Header) {
			h.Set("webhook-signature", strings.Replace(h.Get("webhook-signature"), "v1,", "v2,", 1))
		}, key, "body", false},
		{"no signature", func(h http.Header) { h.Del("webhook-signature") }, key, "body", false},
		{"no id", func(h http.Header) { h.Del("webhook-id") }, key, "body", false},
	} {
		h := http.Header{}
		standardwebhooks.Sign(h, key, "msg_1", time.Unix(1614265330, 0), []byte("body"))
		test.change(h)
		if got := standardwebhooks.Verify(h, test.key, []byte(test.body)); got != test.want {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, secret string
		size         int // 0: refused
	}{
		{"base64", secret, 24},
		{"plain text", "a secret that is plain text 1234", 32},
		{"base64 without its mark is plain text", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", 32},
		{"no base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa!!", 0},
		{"short base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa==", 0},
		{"short text", "tiger", 0},
		{"long text", strings.Repeat("x", 65), 0},
		{"nothing", "", 0},
	} {
		key, err := standardwebhooks.Key(test.secret)
		if (err == nil) != (test.size > 0) || err == nil && len(key) != test.size {
			t.Errorf("%s: got %d bytes and %v, want %d", test.name, len(key), err, test.size)
		}
		if err != nil && test.secret != "" && strings.Contains(err.Error(), test.secret) {
			t.Errorf("%s: the error shows the secret: %v", test.name, err)
		}
	}
}
