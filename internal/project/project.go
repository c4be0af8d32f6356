// Package project writes the files of a new project, which can be launched as it is.
package project

import (
	"crypto/rand"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"broadside/configs"
	"broadside/internal/failure"
)

//go:embed files
var embedded embed.FS

// A file is one file of a new project.
type file struct {
	name     string
	embedded string // its name in the directory files, since names with a leading dot are not embedded
	mode     fs.FileMode
}

var files = []file{
	{configs.DefaultFile, configs.DefaultFile, 0o600}, // it has a secret
	{"campaign.yaml", "campaign.yaml", 0o644},
	{"letter.md", "letter.md", 0o644},
	{"subscribers.csv", "subscribers.csv", 0o600}, // it has addresses
	{"Procfile", "Procfile", 0o644},
	{".gitignore", "gitignore", 0o644},
}

// secretMark stands in the embedded configuration where the secret goes.
const secretMark = "SECRET]"

// New writes a project into dir, and returns the names of its files. It makes dir when it
// is missing. It overwrites nothing: when one of the files exists, it writes none, and the
// error is failure.ErrRefused with the names of all that exist.
func New(dir string) ([]string, error) {
	var names, existing []string
	for _, f := range files {
		names = append(names, f.name)
		path := filepath.Join(dir, f.name)
		_, err := os.Lstat(path)
		if err == nil {
			existing = append(existing, path)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at the new project's directory: %w", err)
		}
	}

	if len(existing) > 0 {
		return nil, failure.Refused(fmt.Sprintf("there already: %s; nothing was written: move them away, or name another directory", strings.Join(existing, ", ")))
	}

	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the new project's directory: %w", err)
	}

	for _, f := range files {
		if err := f.write(dir); err != nil {
			return nil, err
		}
	}

	return names, nil
}

func (f file) write(dir string) error {
	data, err := embedded.ReadFile("files/" + f.embedded)
	if err != nil {
		return fmt.Errorf("read the new project's %s: %w", f.name, err)
	}

	text := string(data)
	if f.name == configs.DefaultFile {
		secret := rand.Text() + rand.Text() // 52 characters, 256 bits
		text = strings.Replace(text, secretMark, secret+"]", 1)
	}

	// O_EXCL: another process may have written it since New looked.
	path := filepath.Join(dir, f.name)
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if errors.Is(err, fs.ErrExist) {
		return failure.Refused(path + " was just written by another process, and was left as it is")
	}
	if err != nil {
		return fmt.Errorf("write the new project: %w", err)
	}

	_, err = out.WriteString(text)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write the new project: %w", err)
	}

	return nil
}
