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

// Write writes the built-in theme into the directory project/theme, to be changed there. A
// file that is there is kept as it is. It returns the names of the files that it has
// written, below project, and the paths of those that it kept. When nothing is missing the
// error is failure.ErrRefused.
func Write(project string) (written, kept []string, err error) {
	for _, file := range []string{templateFile, formFile, styleFile} {
		name := filepath.Join(Dir, file)
		path := filepath.Join(project, name)
		_, err := os.Lstat(path)
		switch {
		case err == nil:
			kept = append(kept, path)
		case errors.Is(err, fs.ErrNotExist):
			written = append(written, name)
		default:
			return nil, nil, fmt.Errorf("look at the theme's directory: %w", err)
		}
	}
	if len(written) == 0 {
		return nil, nil, failure.Refused("there already: " + strings.Join(kept, ", ") + "; nothing was written: move them away to have the built-in ones again")
	}

	if err := os.MkdirAll(filepath.Join(project, Dir), 0o755); err != nil {
		return nil, nil, fmt.Errorf("make the theme's directory: %w", err)
	}
	for _, name := range written {
		if err := writeFile(project, name); err != nil {
			return nil, nil, err
		}
	}
	return written, kept, nil
}

func writeFile(project, name string) error {
	data, err := builtIn.ReadFile("files/" + filepath.Base(name))
	if err != nil {
		return fmt.Errorf("read the built-in theme: %w", err)
	}

	// O_EXCL: another process may have written it since Write looked.
	out, err := os.OpenFile(filepath.Join(project, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write the theme: %w", err)
	}
	_, err = out.Write(data)
	if err := errors.Join(err, out.Close()); err != nil {
		return fmt.Errorf("write the theme: %w", err)
	}
	return nil
}
