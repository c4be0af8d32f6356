package templates_test

import (
	"strings"
	"testing"

	"broadside/templates"
)

func TestSubject(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ template, want string }{
		"no field":           {"Our October news", "Our October news"},
		"field":              {"Hello {{.first_name}}!", "Hello [first_name]!"},
		"field twice":        {"{{.a}} and {{ .a }}", "[a] and [a]"},
		"default":            {`{{default "Hello" .first_name}}, our news`, "[first_name], our news"},
		"condition":          {"{{if .plan}}For {{.plan}}{{else}}For all{{end}}", "For [plan]"},
		"comparison":         {`{{if eq .lang "de"}}Neues{{else}}News{{end}}`, "News"},
		"function":           {"{{upper .name}}", "[NAME]"},
		"unsubscribe":        {"{{.unsubscribe_url}}", "[unsubscribe_url]"},
		"raw text":           {`{{"{{"}}.name}}`, "{{.name}}"},
		"syntax error":       {"Hello {{.name", "Hello {{.name"},
		"unknown function":   {"{{shout .name}}", "{{shout .name}}"},
		"runs in circles":    {`{{template "t"}}`, `{{template "t"}}`},
		"control characters": {"a\r\nb\u202ec", "a  bc"},
		"nothing":            {"", ""},
		"too long":           {strings.Repeat("é", 300), strings.Repeat("é", 249) + "…"},
	} {
		if got := templates.Subject(c.template); got != c.want {
			t.Errorf("%s: Subject(%q) is %q, want %q", name, c.template, got, c.want)
		}
	}
}

// FuzzSubject: any text that was stored as a subject is shown as one line.
func FuzzSubject(f *testing.F) {
	for _, s := range []string{"Hello {{.first_name}}", "{{", "{{if .a}}b", "{{with .a}}{{print . .}}{{end}}", "a\nb", "\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := templates.Subject(text); strings.ContainsAny(got, "\r\n\x1b\u202e") {
			t.Errorf("Subject(%q) is %q: more than one plain line", text, got)
		}
	})
}
