package theme

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"broadside/internal/failure"
)

// Write writes the built-in theme into the directory project/theme, to be changed there,
// and returns the names of the files below project. It overwrites nothing: when one of
// them exists, the error is failure.ErrRefused.
func Write(project string) ([]string, error) {
	names := []string{filepath.Join(Dir, templateFile), filepath.Join(Dir, formFile), filepath.Join(Dir, styleFile)}
	var existing []string
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(project, name))
		if err == nil {
			existing = append(existing, filepath.Join(project, name))
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("look at the theme's directory: %w", err)
		}
	}
	if len(existing) > 0 {
		return nil, failure.Refused("there already: " + strings.Join(existing, ", ") + "; nothing was written: move them away to have the built-in ones again")
	}

	if err := os.MkdirAll(filepath.Join(project, Dir), 0o755); err != nil {
		return nil, fmt.Errorf("make the theme's directory: %w", err)
	}
	for _, name := range names {
		data, err := builtIn.ReadFile("files/" + filepath.Base(name))
		if err != nil {
			return nil, fmt.Errorf("read the built-in theme: %w", err)
		}
		if err := os.WriteFile(filepath.Join(project, name), data, 0o644); err != nil {
			return nil, fmt.Errorf("write the theme: %w", err)
		}
	}

	return names, nil
}
