package scheduler

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

const (
	// MaxFile bounds a file that is stored with a schedule.
	MaxFile = 256 << 20
	// pieceSize is how much of a compressed file goes to Redis at once.
	pieceSize = 512 << 10
)

// ErrTooLarge is returned for a file that is larger than MaxFile.
var ErrTooLarge = errors.New("larger than 256 MiB")

// NewVersion returns a version to stage files under.
func NewVersion() string { return rand.Text()[:16] }

// Stage stores a file under a version, where it expires unless Put names it.
// File.Key and Name are the caller's.
func (s *Schedules) Stage(ctx context.Context, version, key, name string, r io.Reader) (File, error) {
	w := &pieceWriter{ctx: ctx, s: s, hash: s.files(version), key: key}
	enc, err := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return File{}, fmt.Errorf("store %s: %w", name, err)
	}

	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(enc, sum), io.LimitReader(r, MaxFile+1))
	if err = errors.Join(err, enc.Close()); err != nil {
		return File{}, fmt.Errorf("store %s: %w", name, err)
	}
	if n > MaxFile {
		return File{}, fmt.Errorf("store %s: %w", name, ErrTooLarge)
	}
	if err := w.flush(); err != nil {
		return File{}, fmt.Errorf("store %s: %w", name, err)
	}

	return File{Key: key, Name: name, Size: n, Sum: hex.EncodeToString(sum.Sum(nil)), Pieces: w.n}, nil
}

// Discard removes the staged files of a version that is not stored after all.
// If that fails, they expire.
func (s *Schedules) Discard(ctx context.Context, version string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	s.rdb.Unlink(ctx, s.files(version))
}

// A pieceWriter cuts a stream into pieces.
type pieceWriter struct {
	ctx  context.Context // of the staging
	s    *Schedules
	hash string
	key  string
	buf  []byte
	n    int // pieces written
}

func (w *pieceWriter) Write(p []byte) (int, error) {
	w.buf = append(w.buf, p...)
	if len(w.buf) < pieceSize {
		return len(p), nil
	}
	return len(p), w.flush()
}

func (w *pieceWriter) flush() error {
	if len(w.buf) == 0 {
		return nil
	}

	pipe := w.s.rdb.TxPipeline() // so that no piece is stored without an expiry
	pipe.HSet(w.ctx, w.hash, piece(w.key, w.n), w.buf)
	pipe.Expire(w.ctx, w.hash, stagedTTL)
	if _, err := pipe.Exec(w.ctx); err != nil {
		return err
	}

	w.n++
	w.buf = w.buf[:0]

	return nil
}

func piece(key string, n int) string { return key + ":" + strconv.Itoa(n) }

// Open opens a file that is stored with a schedule. ctx covers the reading
// too.
func (s *Schedules) Open(ctx context.Context, sc *Schedule, key string) (io.ReadCloser, error) {
	for _, f := range sc.Files {
		if f.Key != key {
			continue
		}
		dec, err := zstd.NewReader(&pieceReader{ctx: ctx, s: s, hash: s.files(sc.Version), file: f},
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(2*MaxFile))
		if err != nil {
			return nil, fmt.Errorf("read %s of schedule %s: %w", f.Name, sc.ID, err)
		}
		return dec.IOReadCloser(), nil
	}

	return nil, fmt.Errorf("schedule %s has no file for %s", sc.ID, key)
}

// A pieceReader puts the pieces of a file together.
type pieceReader struct {
	ctx  context.Context // of the reading
	s    *Schedules
	hash string
	file File
	n    int // pieces read
	rest []byte
}

func (r *pieceReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.n == r.file.Pieces {
			return 0, io.EOF
		}
		b, err := r.s.rdb.HGet(r.ctx, r.hash, piece(r.file.Key, r.n)).Bytes()
		if errors.Is(err, redis.Nil) {
			return 0, fmt.Errorf("%w: %s is gone", ErrNoSchedule, r.file.Name)
		}
		if err != nil {
			return 0, campaign.ReadError(err, r.file.Name+" of a schedule", r.hash)
		}
		r.rest = b
		r.n++
	}

	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
