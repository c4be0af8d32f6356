package templates_test

import (
	"strings"
	"testing"

	"broadside/templates"
)

// A message to one address has nothing to unsubscribe from, in any layout.
func TestSingle(t *testing.T) {
	t.Parallel()
	s := snapshot()
	s.Single = true
	s.Markdown = "Hello {{.first_name}}"
	page := s
	page.Markdown, page.HTML, page.Layout = "", "<!DOCTYPE html><html><body><p>Hello {{.first_name}}</p></body></html>", "none"
	own := s
	own.Text = "Hello {{.first_name}}, in my own words"
	for name, s := range map[string]struct {
		text string
		s    func() templates.Letter
	}{
		"plain":    {"Hello Anna", func() templates.Letter { return render(t, s, values) }},
		"none":     {"Hello Anna", func() templates.Letter { return render(t, page, values) }},
		"own text": {"in my own words", func() templates.Letter { return render(t, own, values) }},
	} {
		l := s.s()
		if !strings.Contains(string(l.HTML), "Hello Anna") || !strings.Contains(string(l.Text), s.text) {
			t.Errorf("%s:\n%s\n%s", name, l.HTML, l.Text)
		}
		for _, found := range []string{"nsubscribe", "subscribed to", link} {
			if strings.Contains(string(l.HTML), found) || strings.Contains(string(l.Text), found) {
				t.Errorf("%s: found %q:\n%s\n%s", name, found, l.HTML, l.Text)
			}
		}
	}
	tmpl, err := templates.Compile(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := tmpl.Render(&templates.Letter{}, templates.Data{Values: values}); err != nil {
		t.Errorf("without a link to unsubscribe: %v", err)
	}
	if l := render(t, s, values); !strings.Contains(string(l.HTML), "1 High Street") {
		t.Errorf("without the postal address:\n%s", l.HTML)
	}

	s.Markdown = "Hello, [leave]({{.unsubscribe_url}})"
	if _, err := templates.Compile(s); err == nil || !strings.Contains(err.Error(), "found {{.unsubscribe_url}}, expected none") {
		t.Errorf("with a link to unsubscribe: %v", err)
	}
}
