// Package input opens what the program reads: files and pipes that somebody
// named.
//
// Its promise: no input can hold the program. A name is opened without waiting,
// and what was opened, not the name, is asked what it is. A file is read; a pipe
// is read until its writer ends or the context does; anything else (a directory,
// a device, a socket, what the kernel makes up under /proc) is a [WrongKind] error.
//
//	in, err := input.Open(ctx, name)
//	if err != nil {
//		return err // "NAME: there is no such file", behind which is a *fs.PathError
//	}
//	defer in.Close()
//
// How much is read is for the caller to bound: [ReadAll] and [ReadFile] take a limit.
package input

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// A WrongKind is the error for a name that is not one of a file.
type WrongKind struct {
	Found    string // such as "a directory"
	Expected string // such as "a file"
}

func (e *WrongKind) Error() string { return "it is " + e.Found + ", expected " + e.Expected }

const (
	fileOnly   = "a file"
	fileOrPipe = "a file or a pipe"
)

// Open opens a file or a pipe. ctx covers the reading too: a Read that waits for a
// writer returns its cause once it has ended.
func Open(ctx context.Context, name string) (*File, error) {
	f, info, err := open(name, fileOrPipe)
	if err != nil {
		return nil, err
	}
	in := &File{file: f, ctx: ctx, pipe: isPipe(info)}
	if in.pipe {
		in.release = endReads(ctx, f)
	}
	return in, nil
}

// OpenFile opens a file, and no pipe: what is read more than once.
func OpenFile(name string) (*os.File, error) {
	f, _, err := open(name, fileOnly)
	return f, err
}

// ReadAll reads a file or a pipe, but no more than limit bytes and one, so that the
// caller can tell that there is more.
func ReadAll(ctx context.Context, name string, limit int64) ([]byte, error) {
	in, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	return readAll(in, limit)
}

// ReadFile is ReadAll for a file, and no pipe.
func ReadFile(name string, limit int64) ([]byte, error) {
	f, err := OpenFile(name)
	if err != nil {
		return nil, err
	}
	return readAll(f, limit)
}

func readAll(in io.ReadCloser, limit int64) ([]byte, error) {
	defer in.Close() //nolint:errcheck // only read
	return io.ReadAll(io.LimitReader(in, limit+1))
}

// An openError is what the system says about a name, for people.
type openError struct{ *fs.PathError }

// Error returns the name and a sentence.
func (e *openError) Error() string { return e.Path + ": " + Why(e.PathError) }

// Unwrap returns the error of the system.
func (e *openError) Unwrap() error { return e.PathError }

// Why says without the name of a file why it cannot be read.
func Why(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return "there is no permission to read it: look at its owner and its rights"
	}
	return err.Error()
}

func open(name, expected string) (*os.File, fs.FileInfo, error) {
	f, info, err := openChecked(name, expected)
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, nil, &openError{e}
	}
	return f, info, err
}

// openChecked looks before it opens, since opening a device may already do something (a
// tape is rewound, a watchdog starts), and afterwards once more, since the name may
// have become that of another file in between.
func openChecked(name, expected string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(name)
	if err == nil {
		err = check(name, info, expected)
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := openWithoutWaiting(name)
	if err != nil {
		return nil, nil, err
	}
	info, err = f.Stat()
	if err == nil {
		err = check(name, info, expected)
	}
	if err == nil && info.Mode().IsRegular() {
		err = checkFilesystem(f, name, expected)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

func isPipe(info fs.FileInfo) bool { return info.Mode().Type() == fs.ModeNamedPipe }

// check refuses what is not of the expected kind.
func check(name string, info fs.FileInfo, expected string) error {
	if info.Mode().IsRegular() || isPipe(info) && expected == fileOrPipe {
		return nil
	}
	return wrongKind(name, kindOf(info.Mode()), expected)
}

func wrongKind(name, found, expected string) error {
	return &fs.PathError{Op: "read", Path: name, Err: &WrongKind{found, expected}}
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "none of the usual kinds of file"
}

// ended is what a Read returns after the end of ctx.
func ended(ctx context.Context, name string) error {
	return fmt.Errorf("read %s: %w", name, context.Cause(ctx))
}
