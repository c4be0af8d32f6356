package strictyaml_test

import (
	"testing"

	"broadside/configs/strictyaml"
)

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"namespace", "listen", "tls", "port", "max_attempts", "reply_to"}
	for word, want := range map[string]string{
		"namespce": "namespace", "nmaespace": "namespace", "Listen": "listen", "lsiten": "listen", "reply-to": "reply_to", "replyto": "reply_to",
		"tsl": "tls", "prot": "port", "xyz": "", "t": "", "maxattempts": "max_attempts", "": "", "completely_different": "",
	} {
		if got := strictyaml.Suggest(word, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", word, got, want)
		}
	}
}
