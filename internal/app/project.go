package app

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
)

// projectFiles are the files that init writes.
//
//go:embed project
var projectFiles embed.FS

// A projectFile is one file of a new project.
type projectFile struct {
	name string
	from string // in projectFiles; names with a dot in front are not embedded
	mode fs.FileMode
}

var project = []projectFile{
	{configs.DefaultFile, configs.DefaultFile, 0o600}, // it has a secret
	{"campaign.yaml", "campaign.yaml", 0o644},
	{"letter.md", "letter.md", 0o644},
	{"subscribers.csv", "subscribers.csv", 0o600}, // people's addresses
	{"Procfile", "Procfile", 0o644},
	{".gitignore", "gitignore", 0o644},
}

// secretMark stands in the embedded configuration where the secret goes.
const secretMark = "SECRET]"

// NewProject writes a project that works at once into dir, which is made when
// it is missing, and returns the names of its files. It overwrites nothing: when
// one of the files is there already nothing is written, and the error is
// ErrRefused and names them all.
func NewProject(dir string) ([]string, error) {
	var names, there []string
	for _, f := range project {
		names = append(names, f.name)
		switch _, err := os.Lstat(filepath.Join(dir, f.name)); {
		case err == nil:
			there = append(there, filepath.Join(dir, f.name))
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("look at the new project's directory: %w", err)
		}
	}
	if len(there) > 0 {
		return nil, refused(fmt.Sprintf("there already: %s; nothing was written: move them away, or name another directory", strings.Join(there, ", ")))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the new project's directory: %w", err)
	}
	for _, f := range project {
		if err := f.write(dir); err != nil {
			return nil, err
		}
	}
	return names, nil
}

func (f projectFile) write(dir string) error {
	data, err := projectFiles.ReadFile("project/" + f.from)
	if err != nil {
		return fmt.Errorf("read the new project's %s: %w", f.name, err)
	}
	text := string(data)
	if f.name == configs.DefaultFile {
		secret := rand.Text() + rand.Text() // 52 characters, 256 bits
		text = strings.Replace(text, secretMark, secret+"]", 1)
	}
	// O_EXCL: somebody may have been faster.
	out, err := os.OpenFile(filepath.Join(dir, f.name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if errors.Is(err, fs.ErrExist) {
		return refused(filepath.Join(dir, f.name) + " was written by somebody else just now: it was left as it is")
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
