// Package theme says what readers' pages look like: a template of html/template for the
// form on which people subscribe, one for all other pages, and one stylesheet. Built-in ones are in the binary; a project may have its own, in the
// directory theme next to its configuration (docs/unsubscribe.md).
//
// It promises that a theme which Load returns can render every page: the templates were
// tried with each part of a Page and of a Form.
package theme

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"

	"broadside/internal/failure"
	"broadside/internal/input"
)

//go:embed files
var builtIn embed.FS

// Dir is the directory of a project that has its theme.
const Dir = "theme"

// Names of the files of a theme.
const (
	templateFile = "unsubscribe.html" // of every page but the one with a form
	formFile     = "subscribe.html"
	styleFile    = "style.css"
)

// maxFile bounds a file of a theme, in bytes.
const maxFile = 256 << 10

// A Theme renders pages. It is safe for concurrent use.
type Theme struct {
	Style     []byte // the stylesheet
	StyleName string // style-HASH: another text has another name
	template  *template.Template
	form      *template.Template
}

// Load reads the theme in the directory project/theme; a file that is not there is the
// built-in one, and so are both when project is empty. What is wrong with a file is a
// failure.ErrInvalid with its name, and its line where that is known.
func Load(project string) (*Theme, error) {
	page, name, err := read(project, templateFile)
	if err != nil {
		return nil, err
	}
	form, formName, err := read(project, formFile)
	if err != nil {
		return nil, err
	}
	style, _, err := read(project, styleFile)
	if err != nil {
		return nil, err
	}

	sum := sha256.Sum256(style)
	t := &Theme{Style: style, StyleName: "style-" + hex.EncodeToString(sum[:8])}
	t.template, err = template.New(templateFile).Parse(string(page))
	if err == nil {
		err = t.try()
	}
	if err != nil {
		return nil, failure.Invalid(located(name, err))
	}

	t.form, err = template.New(formFile).Parse(string(form))
	if err == nil {
		err = t.tryForm()
	}
	if err != nil {
		return nil, failure.Invalid(located(formName, err))
	}

	return t, nil
}

// read returns the text of a file, and how to name it in messages.
func read(project, file string) (data []byte, name string, err error) {
	if project == "" {
		data, err = builtIn.ReadFile("files/" + file)
		return data, file, err
	}

	name = filepath.Join(project, Dir, file)
	data, err = input.ReadFile(name, maxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return read("", file)
	}
	if err != nil { // it has the name
		return nil, name, failure.Invalid("theme: " + err.Error())
	}
	if len(data) > maxFile {
		return nil, name, failure.Invalid(fmt.Sprintf("%s is larger than %d KiB: put images on a server and link to them", name, maxFile>>10))
	}

	return data, name, nil
}

// errorPlace is how template and html/template begin their messages.
var errorPlace = regexp.MustCompile(`^(?:html/)?template: ?` + `(?:` + regexp.QuoteMeta(templateFile) + `|` + regexp.QuoteMeta(formFile) + `):`)

// located says in which file a problem is; the line follows in the text, where there is one.
func located(name string, err error) string {
	text := err.Error()
	if at := errorPlace.FindString(text); at != "" {
		return name + ":" + strings.TrimSpace(text[len(at):])
	}
	return name + ": " + text
}

// try renders a page with everything that a page can have, and one without: only then
// does html/template look at the contexts, and the template at its fields.
func (t *Theme) try() error {
	button := &Button{Name: "leave", Value: "news", Text: "Unsubscribe", Label: "Unsubscribe: News"}
	full := Page{
		Language: "en", Style: "/style.css", Title: "Title", Text: "Text", Button: button, Heading: "Heading", All: button,
		Topics: []Topic{
			{Name: "News", Description: "Text", Linked: true, Mark: "Mark", Left: true, State: "State", Button: button},
			{Name: "Offers"},
		},
	}
	for _, p := range []Page{full, {Title: "Title"}} {
		if err := t.Render(io.Discard, p); err != nil {
			return err
		}
	}
	return nil
}

// tryForm is try for the form.
func (t *Theme) tryForm() error {
	full := Form{
		Language: "en", Style: "/style.css", Title: "Title", Text: "Text", Problem: "Problem", Trap: "website", Button: "Subscribe",
		Inputs: []Input{{Name: "email", Label: "Email", Type: "email", Value: "a@example.org", Autocomplete: "email", Required: true, Wrong: true}},
		Hidden: []Hidden{{Name: "language", Value: "en"}},
	}
	for _, f := range []Form{full, {Title: "Title"}} {
		if err := t.RenderForm(io.Discard, f); err != nil {
			return err
		}
	}
	return nil
}

// Render writes a page, whole or not at all.
func (t *Theme) Render(w io.Writer, p Page) error { return render(w, t.template, p) }

// RenderForm writes the page with a form, whole or not at all.
func (t *Theme) RenderForm(w io.Writer, f Form) error { return render(w, t.form, f) }

func render(w io.Writer, t *template.Template, data any) error {
	var out bytes.Buffer
	if err := t.Execute(&out, data); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}
