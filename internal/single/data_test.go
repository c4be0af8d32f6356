package single_test

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"broadside/internal/failure"
	"broadside/internal/single"
)

func TestParseData(t *testing.T) {
	t.Parallel()
	got, err := single.ParseData([]byte(`{"name":"Ada \u00fc","order":17,"sum":1.50,"big":12345678901234567890,"paid":true,"note":null}` + "\n"))
	want := map[string]string{"name": "Ada ü", "order": "17", "sum": "1.50", "big": "12345678901234567890", "paid": "true", "note": ""}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}

	for text, want := range map[string]string{
		``:                        "found nothing",
		`  `:                      "found nothing",
		`[1]`:                     "expected a JSON object",
		`"a"`:                     "expected a JSON object",
		`null`:                    "expected a JSON object",
		`{"a":1`:                  "broken",
		`{"a":}`:                  "broken",
		`{"a":1} x`:               "found more behind",
		`{"a":1}{}`:               "found more behind",
		`{"a":{"b":1},"c":[1]}`:   "data.a: found an object",
		`{"c":[1]}`:               "data.c: found a list",
		`{"a":1,"a":2}`:           "data.a: found twice",
		"{\"a\":\"\xff\"}":        "not UTF-8",
		`{"a":"` + big(70) + `"}`: "data.a: found 71680 bytes",
		`{"a":"` + big(300) + `"`: "at most 262144",
	} {
		_, err := single.ParseData([]byte(text))
		if !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: got %v, want %q", text, err, want)
		}
	}
}

func big(kib int) string { return strings.Repeat("x", kib<<10) }

// Whatever comes, it is taken as encoding/json understands it, or refused.
func FuzzParseData(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1,"b":"c","d":null,"e":true}`, `{"a":{}}`, `{"a":1,"a":2}`, `{"":""}`, `{"a":1e400}`, "{\"a\":\"\xff\"}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		data, err := single.ParseData(text)
		if err != nil {
			if !errors.Is(err, failure.ErrInvalid) {
				t.Fatalf("got %v", err)
			}
			return
		}
		var want map[string]json.RawMessage
		if err := json.Unmarshal(text, &want); err != nil {
			t.Fatalf("taken, and not JSON: %v", err)
		}
		if len(want) != len(data) {
			t.Fatalf("got %v of %s", data, text)
		}
	})
}
