package sealed_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"broadside/internal/sealed"
)

func newKeys(t *testing.T, purpose string, secrets ...string) sealed.Keys {
	t.Helper()
	keys, err := sealed.New(secrets, purpose)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// What one purpose has sealed no other opens, nor another secret, nor under another name,
// nor with a bit changed.
func TestSealed(t *testing.T) {
	t.Parallel()
	one, two := strings.Repeat("1", 32), strings.Repeat("2", 32)
	value := []byte("a password")
	text := newKeys(t, "a", one).Seal(value, "message 1")
	if bytes.Contains(text, value) || bytes.Equal(text, newKeys(t, "a", one).Seal(value, "message 1")) {
		t.Errorf("sealed as %q, the same each time or in clear", text)
	}
	if got, err := newKeys(t, "a", two, one).Open(text, "message 1"); err != nil || !bytes.Equal(got, value) {
		t.Errorf("with the second secret: got %q, %v", got, err)
	}

	changed := bytes.Clone(text)
	changed[len(changed)-1] ^= 1
	for name, tt := range map[string]struct {
		keys  sealed.Keys
		text  []byte
		about string
	}{
		"another purpose": {newKeys(t, "b", one), text, "message 1"},
		"another secret":  {newKeys(t, "a", two), text, "message 1"},
		"another name":    {newKeys(t, "a", one), text, "message 2"},
		"changed":         {newKeys(t, "a", one), changed, "message 1"},
		"cut":             {newKeys(t, "a", one), text[:5], "message 1"},
		"no secret":       {nil, text, "message 1"},
	} {
		if got, err := tt.keys.Open(tt.text, tt.about); !errors.Is(err, sealed.Err) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}
