package input

import (
	"context"
	"io"
)

// Stream returns a reader of r whose Read does not wait any longer than ctx lasts.
// It is for what was opened by others and cannot be told to stop, such as the
// standard input: the read that is under way at the end of ctx stays behind, until
// the program ends or r yields something, which is lost. It is not safe for several
// goroutines.
func Stream(ctx context.Context, r io.Reader, name string) io.Reader {
	return &stream{ctx: ctx, r: r, name: name}
}

// streamBuffer is how much of a stream is read at once.
const streamBuffer = 64 << 10

type stream struct {
	ctx  context.Context // of the reading
	r    io.Reader
	name string

	buf     []byte
	pending chan error // of the read that is under way; nil when there is none
	got     int        // what that read yields, to be read after its error was received
	rest    []byte     // of buf, not returned yet
	err     error      // to return after rest
}

func (s *stream) Read(p []byte) (int, error) {
	if len(s.rest) == 0 && s.err == nil {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	if len(s.rest) > 0 {
		return n, nil
	}
	return n, s.err
}

// fill reads the next piece. Its error is the end of ctx; that of the reading is kept
// in err.
func (s *stream) fill() error {
	if s.ctx.Err() != nil {
		return ended(s.ctx, s.name)
	}
	if s.pending == nil {
		s.start()
	}
	select {
	case <-s.ctx.Done():
		return ended(s.ctx, s.name)
	case s.err = <-s.pending:
		s.pending = nil
		s.rest = s.buf[:s.got]
		return nil
	}
}

// start begins a read of its own goroutine, which alone uses buf and got until it has
// sent its error.
func (s *stream) start() {
	if s.buf == nil {
		s.buf = make([]byte, streamBuffer)
	}
	pending := make(chan error, 1)
	s.pending = pending
	go func() {
		var err error
		s.got, err = s.r.Read(s.buf)
		pending <- err
	}()
}
