package letter

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
	"broadside/campaign/sources"
)

// writeContent writes the files of a campaign's content, and returns what names
// them.
func writeContent(t *testing.T, dir string, files map[string]string) campaign.Content {
	t.Helper()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	c := campaign.Content{Layout: "plain"}
	for name := range files {
		switch filepath.Ext(name) {
		case ".md":
			c.Markdown = name
		case ".html":
			c.HTML = name
		case ".txt":
			c.Text = name
		}
	}

	return c
}

func TestByteOrderMarksAreDropped(t *testing.T) {
	t.Parallel()
	for _, files := range []map[string]string{
		{"l.md": "\ufeff# Big title\n", "l.txt": "\ufeffText"},
		{"p.html": "\ufeff<p>A page</p>", "p.txt": "\ufeffText"},
	} {
		cfg, def := draft(t, "email\na@x.example\n")
		def.Content = writeContent(t, def.Dir, files)
		s, err := Read(t.Context(), cfg, def, []string{"email"}, sources.Sources{})
		if err != nil {
			t.Fatal(err)
		}
		if all := s.Markdown + s.HTML + s.Text; strings.Contains(all, "\ufeff") || !strings.HasSuffix(all, "Text") {
			t.Errorf("the content is %q", all)
		}
	}

	cfg, def := draft(t, "email\na@x.example\n")
	def.Content = writeContent(t, def.Dir, map[string]string{"l.md": "\ufeff\n"})
	if _, err := Read(t.Context(), cfg, def, nil, sources.Sources{}); err == nil || !strings.Contains(err.Error(), "l.md is empty") {
		t.Errorf("a file with nothing but the mark: %v", err)
	}
}

// TestEncodedBracesAreNamed: a campaign with an action that an editor encoded
// is refused with its place.
func TestEncodedBracesAreNamed(t *testing.T) {
	t.Parallel()
	cfg, def := draft(t, "email\na@x.example\n")
	def.Content = writeContent(t, def.Dir, map[string]string{"l.md": "Hi\n[x](https://a.example/%7B%7B.email%7D%7D)\n"})
	if _, err := Read(t.Context(), cfg, def, []string{"email"}, sources.Sources{}); err == nil || !strings.Contains(err.Error(), "l.md:2:23: %7B%7B.email%7D%7D") {
		t.Errorf("%v, want the place of the encoded braces", err)
	}
}

// TestALongPageIsWarnedOf: validate says how large the page is, whether or not
// the audience can be read now.
func TestALongPageIsWarnedOf(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"subscribers.csv", "-"} {
		cfg, def := draft(t, "email\na@x.example\n")
		def.Audience.Source = source
		def.Subject = "Hello"
		def.Content = writeContent(t, def.Dir, map[string]string{"l.md": strings.Repeat("a letter ", 12_000)})
		v, err := Campaign{Config: cfg, Def: def}.Validate(t.Context(), time.Now(), false)
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Warnings) != 1 || !strings.Contains(v.Warnings[0].Error(), "l.md: the HTML has 11") {
			t.Errorf("audience %s: warnings %v, want one about the size", source, v.Warnings)
		}
	}
}
