package backup

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"

	"broadside/campaign/address"

	"github.com/klauspost/compress/zstd"
)

const notOurs = "not a backup: expected a file that broadside backup wrote"

// A FileError says what is wrong with a backup: none of it should be used.
type FileError struct {
	File   string
	Line   int // of what zstd -dc shows, from 1; 0 when it has none
	Reason string
}

// Error returns file:line: reason.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Reason
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Reason)
}

// A Reader reads a backup. It is not safe for several goroutines.
type Reader struct {
	name   string
	src    *source
	zstd   *zstd.Decoder
	in     *bufio.Reader
	n      int // lines read
	head   Header
	sum    hash.Hash
	counts Counts
	err    error // what ended the reading

	last   Record // with err, for Unread
	unread bool

	// Where the reading is.
	columns  int // of the list, -1: in none
	email    int // among columns
	schedule bool
	file     *File // that is being read
	fileSum  hash.Hash
	fileSize int64
}

// NewReader reads the beginning of a backup. name is what messages call it.
func NewReader(r io.Reader, name string) (*Reader, error) {
	src := &source{r: r}
	z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	if err != nil {
		return nil, fmt.Errorf("read backup %s: %w", name, err)
	}
	b := &Reader{name: name, src: src, zstd: z, in: bufio.NewReaderSize(z, 64<<10), sum: sha256.New(), columns: -1}
	if err := b.begin(); err != nil {
		z.Close()
		return nil, err
	}
	return b, nil
}

func (r *Reader) begin() error {
	text, err := r.readLine()
	var h header
	if errors.Is(err, io.EOF) || err == nil && json.Unmarshal(text, &h) != nil || err == nil && h.Format != format {
		return &FileError{r.name, 0, notOurs}
	}
	if err != nil {
		return err
	}
	if h.Version < 1 || h.Version > version {
		return &FileError{r.name, 1, fmt.Sprintf("a backup of version %d, expected at most %d: restore it with the version of Broadside that wrote it, or a newer one", h.Version, version)}
	}

	r.sum.Write(text)
	r.head = h.Header
	return nil
}

// Header returns what the backup says of itself.
func (r *Reader) Header() Header { return r.head }

// Close frees what the reading holds. It does not close what is underneath.
func (r *Reader) Close() { r.zstd.Close() }

// Unread makes the next Next return the same again.
func (r *Reader) Unread() { r.unread = true }

// Next returns the next record: io.EOF at the end of a backup that is whole,
// *FileError for one that is not.
func (r *Reader) Next() (Record, error) {
	if r.unread || r.err != nil {
		r.unread = false
		return r.last, r.err
	}
	r.last, r.err = r.next()
	return r.last, r.err
}

func (r *Reader) next() (Record, error) {
	text, err := r.readLine()
	if errors.Is(err, io.EOF) {
		return Record{}, r.errorf("the file ends here, before its last line: it was cut off")
	}
	if err != nil {
		return Record{}, err
	}
	if text[0] == '[' {
		r.sum.Write(text)
		return r.row(text)
	}

	var l line
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return Record{}, r.errorf("not a line of a backup: %v", err)
	}

	if l.End != nil {
		return Record{}, r.end(l.End)
	}

	r.sum.Write(text)
	return r.record(&l)
}

// readLine returns a line with its end; io.EOF where there is none.
func (r *Reader) readLine() ([]byte, error) {
	var text []byte
	for {
		part, err := r.in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > maxLine:
			return nil, r.errorf("the line is longer than %d bytes", maxLine)
		case err == nil:
			r.n++
			return text, nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(text) == 0:
			return nil, io.EOF
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF) && r.src.err == nil:
			return nil, r.errorf("the file ends in the middle of a line: it was cut off")
		case r.src.err != nil:
			return nil, fmt.Errorf("read backup %s: %w", r.name, r.src.err)
		case r.n == 0 && errors.Is(err, zstd.ErrMagicMismatch):
			return nil, &FileError{r.name, 0, notOurs}
		default:
			return nil, r.errorf("the file is damaged: %v", err)
		}
	}
}

// A source remembers its own error, to tell it from one of the content.
type source struct {
	r   io.Reader
	err error
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

func (r *Reader) errorf(format string, args ...any) error {
	return &FileError{r.name, max(r.n, 1), fmt.Sprintf(format, args...)}
}

// row reads one person of the list.
func (r *Reader) row(text []byte) (Record, error) {
	if r.columns < 0 {
		return Record{}, r.errorf("a row that belongs to no list")
	}

	var values []string
	if err := json.Unmarshal(text, &values); err != nil {
		return Record{}, r.errorf("not a row: %v", err)
	}

	if len(values) != r.columns {
		return Record{}, r.errorf("%d values, expected %d", len(values), r.columns)
	}

	a, err := address.Parse(values[r.email])
	if err != nil {
		return Record{}, r.errorf("not an address: %v", err)
	}

	r.counts.People++
	return Record{Row: values, Address: a}, nil
}

// record reads any other line.
func (r *Reader) record(l *line) (Record, error) {
	if l.Data != nil {
		return r.data(l.Data)
	}
	if err := r.endFile(); err != nil {
		return Record{}, err
	}
	if l.File != nil {
		if !r.schedule {
			return Record{}, r.errorf("a file that belongs to no schedule")
		}
		r.file, r.fileSum, r.fileSize = l.File, sha256.New(), 0
		return Record{File: l.File}, nil
	}

	r.columns, r.schedule = -1, false
	switch {
	case l.Suppression != nil:
		e, err := l.Suppression.read()
		if err != nil {
			return Record{}, r.errorf("not a suppression: %v", err)
		}
		r.counts.Suppressions++
		return Record{Suppression: e}, nil
	case l.Topic != "":
		r.counts.Topics++
		return Record{Topic: l.Topic}, nil
	case l.Text != nil:
		return Record{Text: l.Text}, nil
	case l.Proof != nil:
		if err := l.Proof.Check(); err != nil {
			return Record{}, r.errorf("not a proof: %v", err)
		}
		r.counts.Proofs++
		return Record{Proof: l.Proof}, nil
	case l.List != nil:
		r.columns, r.email = len(l.List.Columns), slices.Index(l.List.Columns, "email")
		if r.email < 0 {
			return Record{}, r.errorf("list %q has no column email", l.List.Name)
		}
		r.counts.Lists++
		return Record{List: l.List}, nil
	case l.Schedule != nil:
		r.schedule = true
		r.counts.Schedules++
		return Record{Schedule: l.Schedule}, nil
	}

	return Record{}, r.errorf("a line without content")
}

// data reads a piece of the file.
func (r *Reader) data(b []byte) (Record, error) {
	if r.file == nil {
		return Record{}, r.errorf("data that belongs to no file")
	}
	if len(b) == 0 || r.fileSize+int64(len(b)) > r.file.Size {
		return Record{}, r.errorf("a piece of %d bytes, which the file %s of %d bytes does not have", len(b), r.file.Key, r.file.Size)
	}
	r.fileSum.Write(b)
	r.fileSize += int64(len(b))
	return Record{Data: b}, nil
}

// endFile checks the file that ends with the line before this one.
func (r *Reader) endFile() error {
	f := r.file
	r.file = nil
	if f != nil && (r.fileSize != f.Size || hex.EncodeToString(r.fileSum.Sum(nil)) != f.Sum) {
		return r.errorf("the file %s before this line is damaged", f.Key)
	}
	return nil
}

// end compares the trailer with what was read.
func (r *Reader) end(t *trailer) error {
	if err := r.endFile(); err != nil {
		return err
	}
	if t.Counts != r.counts || t.Sum != hex.EncodeToString(r.sum.Sum(nil)) {
		return r.errorf("the last line does not agree with those before it: the file is damaged")
	}

	switch _, err := r.readLine(); {
	case err == nil:
		return r.errorf("something follows the end of the backup")
	case !errors.Is(err, io.EOF):
		return err
	}
	return io.EOF
}
