package audience

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/klauspost/compress/zstd"
)

// keys are the keys of the objects of a JSONL file, in the order in which they occur.
type keys struct {
	names  []string
	column map[string]int
	pairs  []pair
}

// startKeys reads the keys of the first line, which must be an object.
func startKeys(l *lines, first []byte) (*keys, error) {
	const fix = `write one object a line: {"email": "ann@example.com", "first_name": "Ann"}`
	k := &keys{column: map[string]int{}}
	pairs, fault := parseObject(string(first), nil)
	if fault != "" {
		return nil, l.at(l.n, "the first line is not a JSON object: "+fault, fix)
	}

	for _, p := range pairs {
		if _, twice := k.column[p.key]; twice {
			return nil, l.at(l.n, "the key "+quoteAll([]string{p.key})+" is there twice", "give each value a key of its own")
		}
		k.addName(p.key)
	}

	return k, nil
}

func (k *keys) addName(name string) {
	if _, known := k.column[name]; known {
		return
	}
	k.column[name] = len(k.names)
	k.names = append(k.names, name)
}

// add reads the keys of another line. A line that is not an object has none, and is
// rejected later, when it is read as a row.
func (k *keys) add(l *lines, line []byte) error {
	var fault string
	if k.pairs, fault = parseObject(string(line), k.pairs[:0]); fault != "" {
		return nil
	}

	for _, p := range k.pairs {
		k.addName(p.key)
	}

	if len(k.names) > maxColumns {
		return l.at(l.n, fmt.Sprintf("more than %d different keys so far", maxColumns), "keep those that are needed")
	}

	return nil
}

// readTwice reads the rest of l for its keys, and returns a stream of the same
// rows from the beginning. l is closed.
func readTwice(ctx context.Context, src Source, opts Options, l *lines, first []byte, k *keys) (*stream, error) {
	defer l.Close()
	if !l.again {
		return keep(l, first, k)
	}
	if err := eachLine(l, func(line []byte) error { return k.add(l, line) }); err != nil {
		return nil, err
	}
	return openStream(ctx, src, opts)
}

func eachLine(l *lines, do func([]byte) error) error {
	for {
		line, err := l.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = do(line)
		}
		if err != nil {
			return err
		}
	}
}

// keep reads l for its keys and keeps its lines, compressed, in a file without a name:
// a pipe can be read only once.
func keep(l *lines, first []byte, k *keys) (*stream, error) {
	f, err := os.CreateTemp("", "broadside-audience-")
	if err != nil {
		return nil, fmt.Errorf("keep %s to read it twice (TMPDIR names another directory): %w", l.name, err)
	}

	err = errors.Join(os.Remove(f.Name()), keepIn(f, l, first, k))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}

	if err != nil {
		f.Close()
		return nil, err
	}

	z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1))
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read what was kept of %s: %w", l.name, err)
	}

	closeBoth := func() error {
		z.Close()
		return f.Close()
	}
	return &stream{name: l.name, format: formatJSONL, text: z, raw: &tap{}, closers: []func() error{closeBoth}}, nil
}

func keepIn(w io.Writer, l *lines, first []byte, k *keys) error {
	z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return fmt.Errorf("keep %s: %w", l.name, err)
	}
	defer z.Close()
	write := func(line []byte) error {
		if _, err := z.Write(append(line[:len(line):len(line)], '\n')); err != nil {
			return fmt.Errorf("keep %s: %w", l.name, err)
		}
		return nil
	}
	// Empty lines come before the first one, so that the line numbers stay the same.
	if err := write(slices.Concat(bytes.Repeat([]byte("\n"), l.n-1), first)); err != nil {
		return err
	}

	err = eachLine(l, func(line []byte) error {
		if err := write(line); err != nil {
			return err
		}
		return k.add(l, line)
	})
	return errors.Join(err, z.Close())
}
