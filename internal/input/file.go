package input

import (
	"context"
	"io"
	"os"
	"time"
)

// A File is an open file or pipe. It is not safe for several goroutines.
type File struct {
	file    *os.File
	ctx     context.Context // of the reading, as Open has it
	pipe    bool
	written bool        // the pipe has, or had, a writer
	release func() bool // of a pipe: ends the watch over ctx
}

// endReads makes reads from a pipe that wait return once ctx has ended.
func endReads(ctx context.Context, pipe *os.File) func() bool {
	return context.AfterFunc(ctx, func() {
		_ = pipe.SetReadDeadline(time.Unix(1, 0)) // an error is that it is closed
	})
}

// Read reads as [io.Reader] says. A pipe has no end before its first writer came.
func (f *File) Read(p []byte) (int, error) {
	if f.ctx.Err() != nil {
		return 0, ended(f.ctx, f.file.Name())
	}
	if f.pipe && !f.written {
		if err := waitForWriter(f.file); err != nil {
			return 0, f.orEnded(err)
		}
		f.written = true
	}
	n, err := f.file.Read(p)
	if err != nil && err != io.EOF {
		err = f.orEnded(err)
	}
	return n, err
}

// orEnded returns the end of the context where that is why a read failed.
func (f *File) orEnded(err error) error {
	if f.ctx.Err() != nil {
		return ended(f.ctx, f.file.Name())
	}
	return err
}

// IsPipe reports whether it can be read only once.
func (f *File) IsPipe() bool { return f.pipe }

// Seek sets the place of the next Read; a pipe has none.
func (f *File) Seek(offset int64, whence int) (int64, error) { return f.file.Seek(offset, whence) }

// Close closes the file.
func (f *File) Close() error {
	if f.release != nil {
		f.release()
	}
	return f.file.Close()
}
