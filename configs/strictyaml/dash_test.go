package strictyaml_test

import (
	"strings"
	"testing"

	"broadside/configs/strictyaml"
)

// The standard input is written -, which needs no quotes.
func TestLoneDashIsAValue(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"audience:\n  source: -\n  email: mail\n",
		"audience:\n  source: -",
		"audience:\r\n  source: -\r\n  email: mail\r\n",
		"audience:\n  source:  -   # the standard input\n",
		"# source: -\naudience:\n  source: -\n",
		"audience: {source: -, email: mail}\n",
		"audience:\n  source: \"-\"\n",
	} {
		doc, err := strictyaml.Parse("c.yaml", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var source string
		doc.Read(func(m *strictyaml.Map) {
			m.Map("audience", func(m *strictyaml.Map) {
				m.Check("source", &source, "anything", func(string) bool { return true })
				var email string
				m.Check("email", &email, "anything", func(string) bool { return true })
			})
		})
		if err := doc.Err(); err != nil || source != "-" {
			t.Errorf("%q: %q, %v, want -", text, source, err)
		}
	}
}

func TestDashElsewhereIsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"accounts: - local\n", `c.yaml:1:1: found a list that begins behind its key; begin it on the next line, or put a value that begins with - in quotes: key: "-"`},
		{"a: -\nb: -\n", `c.yaml:2:1: found a list that begins behind its key`},
	} {
		_, err := strictyaml.Parse("c.yaml", []byte(tt.text))
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%q: got %v, want %s", tt.text, err, tt.want)
		}
	}

	const text = "note: |\n  source: -\nid: x\n"
	if _, err := strictyaml.Parse("c.yaml", []byte(text)); err != nil {
		t.Errorf("a text of several lines: %v", err)
	}
}
