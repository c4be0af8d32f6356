package theme_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"broadside/internal/failure"
	"broadside/internal/web/theme"
)

// project returns a project whose theme has these two files; an empty text is no file.
func project(t *testing.T, page, style string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, theme.Dir), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"unsubscribe.html": page, "style.css": style} {
		if text == "" {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, theme.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func load(t *testing.T, project string) *theme.Theme {
	t.Helper()
	th, err := theme.Load(project)
	if err != nil {
		t.Fatal(err)
	}
	return th
}

// Each file of a project stands in for the built-in one, and a stylesheet with another
// text has another name.
func TestAProjectHasItsOwnTheme(t *testing.T) {
	t.Parallel()
	builtIn := load(t, "")
	same := load(t, project(t, "", ""))
	if same.StyleName != builtIn.StyleName {
		t.Errorf("without files the style is %s, want %s", same.StyleName, builtIn.StyleName)
	}

	own := load(t, project(t, `<h1>{{.Title}}</h1>{{range .Topics}}{{.Name}};{{end}}`, "body { color: red; }"))
	if string(own.Style) != "body { color: red; }" || own.StyleName == builtIn.StyleName {
		t.Errorf("style %s is %q", own.StyleName, own.Style)
	}
	var out strings.Builder
	err := own.Render(&out, theme.Page{Title: "<a>", Topics: []theme.Topic{{Name: "x & y"}}})
	if want := "<h1>&lt;a&gt;</h1>x &amp; y;"; err != nil || out.String() != want {
		t.Errorf("rendered %q, %v; want %q", out.String(), err, want)
	}
}

// What is wrong with a theme is found when it is read, with its file and line.
func TestBrokenThemes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, page, style, want string }{
		{"syntax", "<p>\n{{if .Title}}\n", "", "unsubscribe.html:3: unexpected EOF"},
		{"unknown function", "<p>\n\n{{upper .Title}}", "", "unsubscribe.html:3: function \"upper\" not defined"},
		{"unknown field", "<p>\n{{.Titel}}", "", "unsubscribe.html:2:2: executing \"unsubscribe.html\" at <.Titel>: can't evaluate field Titel"},
		{"unknown field of a topic", "<p>\n{{range .Topics}}\n{{.Titel}}{{end}}", "", "unsubscribe.html:3:2: "},
		{"field of what may be missing", "<p>\n{{.Button.Text}}", "", "unsubscribe.html:2:9: "},
		{"context that cannot be told", "<p>\n<a {{if .Text}}href=\"{{end}}>", "", "unsubscribe.html:2:8: {{if}} branches end in different contexts"},
		{"too large", "", strings.Repeat("x", 256<<10+1), "style.css is larger than 256 KiB"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := project(t, tt.page, tt.style)
			_, err := theme.Load(dir)
			if !errors.Is(err, failure.ErrInvalid) || !strings.HasPrefix(err.Error(), filepath.Join(dir, theme.Dir)+"/"+tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}

	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, theme.Dir, "style.css"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := theme.Load(dir); !errors.Is(err, failure.ErrInvalid) || !strings.Contains(err.Error(), "style.css") {
		t.Errorf("a directory for a file: %v", err)
	}
}

// What Write writes is the built-in theme. It writes what is missing, and touches nothing
// that is there.
func TestWrite(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	names, kept, err := theme.Write(dir)
	if err != nil || len(names) != 3 || len(kept) != 0 {
		t.Fatalf("wrote %v, kept %v, %v", names, kept, err)
	}
	if got, want := load(t, dir).StyleName, load(t, "").StyleName; got != want {
		t.Errorf("the style is %s, want %s", got, want)
	}

	own, missing := filepath.Join(dir, names[0]), filepath.Join(dir, names[1])
	if _, _, err := theme.Write(dir); !errors.Is(err, failure.ErrRefused) || !strings.Contains(err.Error(), own) {
		t.Errorf("over a whole theme: %v", err)
	}
	if err := os.WriteFile(own, []byte("<h1>{{.Title}}</h1>"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(missing); err != nil {
		t.Fatal(err)
	}
	again, kept, err := theme.Write(dir)
	if err != nil || !slices.Equal(again, names[1:2]) || len(kept) != 2 || kept[0] != own {
		t.Errorf("wrote %v, kept %v, %v", again, kept, err)
	}
	if text, err := os.ReadFile(own); err != nil || string(text) != "<h1>{{.Title}}</h1>" {
		t.Errorf("what was there is %q, %v", text, err)
	}
	if _, err := os.Stat(missing); err != nil {
		t.Errorf("what was missing: %v", err)
	}
}
