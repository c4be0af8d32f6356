package audience

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"broadside/configs/strictyaml"
	"broadside/internal/input"
)

type format int

const (
	formatUnknown format = iota // the content says it
	formatCSV
	formatJSONL
	formatXLSX
)

// maxWindow bounds the memory that a Zstandard file may ask for: what
// zstd --ultra and --long=27 make.
const maxWindow = 128 << 20

// A stream is an open source as UTF-8 text.
type stream struct {
	name    string
	format  format
	text    io.Reader
	again   bool   // it can be opened again, and will have the same rows
	raw     *tap   // the bytes before decompression
	packed  string // "gzip" or "Zstandard"; empty when not compressed
	charset *charset
	closers []func() error
}

// Close closes what was opened, last first.
func (s *stream) Close() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// openStream opens the source, decompresses and decodes it.
func openStream(ctx context.Context, src Source, opts Options) (*stream, error) {
	s := &stream{name: opts.File}
	if s.name == "" {
		s.name = strictyaml.ShownURL(src.Path)
		if src.Path == "-" {
			s.name = "standard input"
		}
	}

	err := s.open(ctx, src)
	if err == nil {
		err = s.decompress(cmp.Or(src.Name, src.Path))
	}
	if err == nil && s.format != formatXLSX { // a workbook says itself how it is encoded
		err = s.decode(opts.Encoding)
	}

	if err != nil {
		s.Close()
		return nil, err
	}

	return s, nil
}

func (s *stream) open(ctx context.Context, src Source) error {
	if src.Path == "-" {
		if src.Reader == nil {
			return s.errorf("", "nothing to read from")
		}
		s.raw = &tap{r: src.Reader}
		if src.Closer != nil {
			s.closers = append(s.closers, src.Closer.Close)
		}
		return nil
	}

	lower := strings.ToLower(src.Path)
	switch {
	case lower == "":
		return s.errorf("name a file, - or list:NAME", "no source")
	case strings.Contains(lower, "://"):
		return s.errorf("name it as audience.source in a campaign file, or download it and name the file", "found an address, expected a file, - or list:NAME")
	}

	f, err := input.Open(ctx, src.Path)
	if err != nil {
		return s.unopened(err)
	}

	s.closers = append(s.closers, f.Close)
	s.again = !f.IsPipe()
	s.raw = &tap{r: f}

	return nil
}

func (s *stream) unopened(err error) error {
	e := &FileError{File: s.name, Err: err}
	wrong, isWrong := errors.AsType[*input.WrongKind](err)
	switch {
	case isWrong:
		e.What = wrong.Error()
		e.Fix = "name another"
	case errors.Is(err, fs.ErrNotExist):
		e.What = "no such file"
		e.Fix = "check the name"
	case errors.Is(err, fs.ErrPermission):
		e.What = "no permission to read it"
		e.Fix = "check the file's owner and mode"
	default:
		e.What = fmt.Sprintf("open: %v", err)
	}

	return e
}

var (
	magicGzip = []byte{0x1f, 0x8b}
	magicZstd = []byte{0x28, 0xb5, 0x2f, 0xfd}
	magicZip  = []byte("PK\x03\x04")
	magicOLE  = []byte{0xd0, 0xcf, 0x11, 0xe0} // .xls, and an .xlsx with a password
)

// decompress goes by the content. If the name says something too, it must agree.
func (s *stream) decompress(name string) error {
	s.text = s.raw
	head, magic, err := s.peek(4)
	if err != nil {
		return err
	}

	lower := strings.ToLower(filepath.ToSlash(name))
	ext := path.Ext(lower)
	switch {
	case bytes.HasPrefix(magic, magicGzip):
		s.packed = "gzip"
		z, err := gzip.NewReader(head)
		if err != nil {
			return s.fail(0, err)
		}
		s.text = z
		s.closers = append(s.closers, z.Close)
	case bytes.HasPrefix(magic, magicZstd):
		s.packed = "Zstandard"
		z, err := zstd.NewReader(head, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return s.fail(0, err)
		}
		s.text = z
		s.closers = append(s.closers, func() error { z.Close(); return nil })
	case len(magic) == 0:
		return s.empty()
	case ext == ".gz" || ext == ".zst":
		return s.errorf("compress it again, or take "+ext+" off its name", "the name says %s, but the content is not compressed that way", ext)
	}

	return s.recognise(path.Ext(strings.TrimSuffix(strings.TrimSuffix(lower, ".gz"), ".zst")))
}

// recognise finds the format: a workbook by its content, the others by the name.
func (s *stream) recognise(ext string) error {
	_, magic, err := s.peek(4)
	if err != nil {
		return err
	}

	switch {
	case bytes.HasPrefix(magic, magicZip):
		s.format = formatXLSX
	case bytes.HasPrefix(magic, magicOLE):
		return s.errorf("save it as .xlsx without a password, or as CSV", "an .xls file, or a workbook with a password")
	case ext == ".xlsx":
		return s.errorf("save it again, or rename it", "the name says .xlsx, the content is not a workbook")
	case ext == ".csv":
		s.format = formatCSV
	case ext == ".jsonl":
		s.format = formatJSONL
	}

	return nil
}

// peek returns what the text begins with, up to n bytes, and the reader of all of it.
func (s *stream) peek(n int) (*bufio.Reader, []byte, error) {
	r := bufio.NewReaderSize(s.text, 64<<10)
	s.text = r
	begin, err := r.Peek(n)
	if err != nil && err != io.EOF {
		return nil, nil, s.fail(0, err)
	}
	return r, begin, nil
}

func (s *stream) empty() error {
	return s.errorf("a header line and at least one recipient are needed", "the file is empty")
}

func (s *stream) errorf(fix, format string, args ...any) *FileError {
	return &FileError{File: s.name, What: fmt.Sprintf(format, args...), Fix: fix}
}

// fail turns an error of reading into one that says whose fault it is. With a
// compressed source, everything that the disk did not report is a fault of the content.
func (s *stream) fail(line int, err error) error {
	var file *FileError
	switch {
	case errors.As(err, &file):
		return err
	case s.raw.err != nil:
		return fmt.Errorf("read %s: %w", s.name, s.raw.err)
	case s.packed != "" && errors.Is(err, io.ErrUnexpectedEOF):
		return &FileError{File: s.name, Line: line, What: "the " + s.packed + " data ends too early", Fix: "the copy is not complete: fetch or compress it again", Err: err}
	case s.packed != "":
		return &FileError{File: s.name, Line: line, What: fmt.Sprintf("broken %s data: %v", s.packed, err), Fix: "fetch or compress it again", Err: err}
	}

	return fmt.Errorf("read %s: %w", s.name, err)
}

// A tap remembers the error of the reader below a decompressor, and counts.
type tap struct {
	r   io.Reader
	n   int64 // bytes read
	err error
}

func (t *tap) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.n += int64(n)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}
