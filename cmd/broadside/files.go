package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"broadside/configs/strictyaml"
	"broadside/internal/input"
)

// maxRejectsShown is how many refused rows are shown one by one.
const maxRejectsShown = 20

// stdinName is what messages call the standard input.
const stdinName = "standard input"

// input opens a file or a pipe, or the standard input for "-". name is what messages
// call it.
func (c *cli) input(ctx context.Context, file string) (in io.ReadCloser, name string, err error) {
	if file == "-" {
		return io.NopCloser(c.in), stdinName, nil
	}
	f, err := input.Open(ctx, file)
	if err != nil {
		return nil, "", strictyaml.FileProblem(file, err)
	}
	return f, file, nil
}

// export writes CSV to the file that the last argument names, else to the
// standard output, there as JSON with --json. A file is complete or not there.
func (c *cli) export(file []string, write func(io.Writer) error) error {
	if len(file) == 0 || file[0] == "-" {
		if c.asJSON {
			return c.csvAsJSON(write)
		}
		return write(c.stdout)
	}

	if err := whole(file[0], write); err != nil {
		return err
	}

	c.note("wrote %s", file[0])
	return nil
}

// unwritable says why no file can be made in a directory.
func unwritable(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no directory %s: make it first, or name another file", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("there is no permission to make a file in %s", dir)
	}
	return err
}

// whole writes a file that only its owner can read, and that is complete or not
// there. One of that name is replaced at the end.
func whole(file string, write func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(file), ".broadside-export-*") // 0o600: addresses
	if err != nil {
		return fmt.Errorf("write %s: %w", file, unwritable(filepath.Dir(file), err))
	}

	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", file, err), os.Remove(f.Name()))
	}

	return nil
}
