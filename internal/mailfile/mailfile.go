// Package mailfile reads the messages of a file: one message, or an mbox (RFC 4155);
// and those of a maildir.
//
//	err := mailfile.Each(ctx, "bounces.mbox", func(m mailfile.Message) error {
//		return read(m.Name, m)
//	})
//
// The promise: a message is handed on as it is read. Neither its size nor the number of
// messages costs memory, but for the names in a maildir. What a message is made of is
// for the caller to look at.
package mailfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"broadside/internal/input"
)

// A Message is one message. It can be read until the function that was given it
// returns.
type Message struct {
	io.Reader
	Name string // for people: "bounces.mbox, message 3"
}

// Each calls do with each message of a file, of a pipe or of a maildir, until do
// returns an error, which is returned as it is.
func Each(ctx context.Context, name string, do func(Message) error) error {
	info, err := os.Stat(name)
	if err == nil && info.IsDir() {
		return eachOfMaildir(ctx, name, do)
	}

	in, err := input.Open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	return EachOf(in, name, do)
}

// eachOfMaildir reads the messages that are new, and those that somebody has seen. What
// is in tmp is still being written.
func eachOfMaildir(ctx context.Context, dir string, do func(Message) error) error {
	found := false
	for _, part := range []string{"new", "cur"} {
		entries, err := os.ReadDir(filepath.Join(dir, part))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}

		found = true
		for _, entry := range entries {
			if strings.HasPrefix(entry.Name(), ".") || entry.IsDir() {
				continue
			}
			if err := one(ctx, filepath.Join(dir, part, entry.Name()), do); err != nil {
				return err
			}
		}
	}

	if !found {
		return &fs.PathError{Op: "open", Path: dir, Err: errors.New("it is a directory, expected a file, or a maildir: a directory with new or cur in it")}
	}
	return nil
}

// one reads a file of a maildir. One that another program has moved or removed since
// is not there any more, and no error.
func one(ctx context.Context, name string, do func(Message) error) error {
	if err := context.Cause(ctx); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	in, err := input.Open(ctx, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // only read
	return do(Message{in, name})
}
