package backup

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"

	"broadside/campaign/suppression"
	"broadside/internal/subscribe"

	"github.com/klauspost/compress/zstd"
)

// window is how far back compression looks, in bytes: it bounds the memory of
// both sides.
const window = 4 << 20

// A Writer writes a backup. What it is given comes in the order of the package
// comment. Without Close there is no trailer, and the file is good for nothing.
type Writer struct {
	out    *zstd.Encoder
	sum    hash.Hash
	counts Counts
}

// NewWriter begins a backup on w.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	out, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return nil, fmt.Errorf("begin backup: %w", err)
	}
	bw := &Writer{out: out, sum: sha256.New()}
	h.Created = h.Created.UTC()
	return bw, bw.line(header{format, version, h})
}

func (w *Writer) line(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	b = append(b, '\n')
	w.sum.Write(b)
	if _, err := w.out.Write(b); err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	return nil
}

// Suppression writes an entry of the suppression list.
func (w *Writer) Suppression(e suppression.Entry) error {
	w.counts.Suppressions++
	return w.line(line{Suppression: written(e)})
}

// Topic writes the name of a topic.
func (w *Writer) Topic(name string) error {
	w.counts.Topics++
	return w.line(line{Topic: name})
}

// Text writes what readers were shown before they confirmed a subscription.
func (w *Writer) Text(t Text) error { return w.line(line{Text: &t}) }

// Proof writes the proof of a subscription.
func (w *Writer) Proof(k subscribe.Kept) error {
	w.counts.Proofs++
	return w.line(line{Proof: &k})
}

// List begins a list; its rows follow.
func (w *Writer) List(name string, columns []string) error {
	w.counts.Lists++
	return w.line(line{List: &List{Name: name, Columns: columns}})
}

// Row writes one person of the list.
func (w *Writer) Row(values []string) error {
	w.counts.People++
	return w.line(values)
}

// Schedule writes a schedule, as JSON can hold it; its files follow.
func (w *Writer) Schedule(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	w.counts.Schedules++
	return w.line(line{Schedule: b})
}

// File writes a file of the schedule. What r gives must be what f says.
func (w *Writer) File(f File, r io.Reader) error {
	if err := w.line(line{File: &f}); err != nil {
		return err
	}

	sum, size := sha256.New(), int64(0)
	buf := make([]byte, pieceSize)
	for {
		n, err := io.ReadFull(r, buf)
		if n > 0 {
			sum.Write(buf[:n])
			size += int64(n)
			if err := w.line(line{Data: buf[:n]}); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("write %s to the backup: %w", f.Key, err)
		}
	}

	if size != f.Size || hex.EncodeToString(sum.Sum(nil)) != f.Sum {
		return fmt.Errorf("write %s to the backup: it is not the file that was stored: %d bytes instead of %d, or of another content", f.Key, size, f.Size)
	}

	return nil
}

// Close writes the trailer and returns what the backup holds. It does not close
// what is underneath.
func (w *Writer) Close() (Counts, error) {
	end := line{End: &trailer{w.counts, hex.EncodeToString(w.sum.Sum(nil))}}
	if err := errors.Join(w.line(end), w.out.Close()); err != nil {
		return w.counts, fmt.Errorf("end backup: %w", err)
	}
	return w.counts, nil
}
