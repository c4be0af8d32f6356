package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"broadside/configs/strictyaml"
	"broadside/internal/single"
)

// errUnreadable says that a body is not a JSON object.
var errUnreadable = errors.New("unreadable")

// fields are those of a request.
var fields = []string{"template", "to", "data", "account"}

// parseSend reads the body of a request; dir is that of the configuration. The error is
// errUnreadable or single.Problems.
func parseSend(body []byte, dir string) (single.Request, error) {
	var values map[string]json.RawMessage
	in := json.NewDecoder(bytes.NewReader(body))
	if err := in.Decode(&values); err != nil || values == nil {
		return single.Request{}, errUnreadable
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return single.Request{}, errUnreadable
	}

	var r single.Request
	var problems single.Problems
	for name := range values {
		if !slices.Contains(fields, name) {
			problems = append(problems, unknown(name))
		}
	}
	text := func(name string, to *string, required bool) {
		raw, ok := values[name]
		if !ok && !required {
			return
		}
		if err := json.Unmarshal(raw, to); err != nil || required && *to == "" {
			problems = append(problems, single.Problem{Field: name, Text: "expected a text"})
		}
	}
	text("to", &r.To, true)
	text("account", &r.Account, false)
	text("template", &r.Template, true)
	if r.Template != "" {
		file, problem := templateFile(dir, r.Template)
		r.Template = file
		if problem != "" {
			problems = append(problems, single.Problem{Field: "template", Text: problem})
		}
	}

	data, err := single.ParseData(orEmpty(values["data"]))
	r.Data = data
	if more, ok := errors.AsType[single.Problems](err); ok {
		problems = append(problems, more...)
	}
	if len(problems) > 0 {
		slices.SortFunc(problems, func(a, b single.Problem) int { return strings.Compare(a.Field, b.Field) })
		return single.Request{}, problems
	}
	return r, nil
}

// orEmpty returns an object without fields for data that was not sent.
func orEmpty(raw json.RawMessage) []byte {
	if len(raw) == 0 || string(raw) == "null" {
		return []byte("{}")
	}
	return raw
}

func unknown(name string) single.Problem {
	text := "no such field, expected one of " + strings.Join(fields, ", ")
	if meant := strictyaml.Suggest(name, fields); meant != "" {
		text = "no such field, did you mean " + meant + "?"
	}
	return single.Problem{Field: name, Text: text}
}

// templateDir is where templates are looked for first, in the directory of the
// configuration.
const templateDir = "templates"

// templateFile returns the file of a template in a directory, which a name cannot leave,
// and what is wrong with the name.
func templateFile(dir, name string) (file, problem string) {
	if !strings.HasSuffix(name, ".yaml") {
		name += ".yaml"
	}
	if !filepath.IsLocal(name) || strings.ContainsAny(name, "\\\x00") {
		return "", "expected the name of a template, such as receipt for templates/receipt.yaml"
	}

	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", "the directory of the templates cannot be read"
	}
	defer root.Close()
	for _, path := range []string{templateDir + "/" + name, name} {
		found, err := root.Stat(path) // not through a link that leads out
		if err == nil && found.Mode().IsRegular() {
			return filepath.Join(dir, filepath.FromSlash(path)), ""
		}
	}

	text := "no template " + name + " in the directory templates next to the configuration, or next to it"
	if meant := strictyaml.Suggest(name, namesIn(root, templateDir)); meant != "" {
		text += "; did you mean " + strings.TrimSuffix(meant, ".yaml") + "?"
	}
	return "", text
}

// namesIn lists the files of a directory; none where it cannot be read.
func namesIn(root *os.Root, name string) []string {
	dir, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer dir.Close()
	names, err := dir.Readdirnames(1000)
	if err != nil {
		return nil
	}
	return names
}
