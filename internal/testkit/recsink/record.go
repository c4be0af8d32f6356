package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A recorder writes the record file; the zero recorder writes nothing.
type recorder struct {
	mu sync.Mutex
	w  *bufio.Writer
}

func openRecorder(path string, more bool) (*recorder, error) {
	if path == "" {
		return &recorder{}, nil
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if more {
		mode = os.O_CREATE | os.O_WRONLY | os.O_APPEND
	}
	f, err := os.OpenFile(path, mode, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open record file: %w", err)
	}
	return &recorder{w: bufio.NewWriterSize(f, 1<<20)}, nil
}

var noSpace = strings.NewReplacer(" ", "%20")

func (r *recorder) add(kind byte, at time.Time, rcpt, id string, size int) {
	if r.w == nil {
		return
	}
	if rcpt == "" {
		rcpt = "-"
	}
	if id == "" {
		id = "-"
	}
	var room [256]byte
	b := append(room[:0], kind, ' ')
	b = strconv.AppendInt(b, at.UnixNano(), 10)
	b = append(b, ' ')
	b = append(b, noSpace.Replace(rcpt)...)
	b = append(b, ' ')
	b = append(b, noSpace.Replace(id)...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(size), 10)
	b = append(b, '\n')
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.w.Write(b) // the error stays, and shows in flush
}

func (r *recorder) flush() error {
	if r.w == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.w.Flush(); err != nil {
		return fmt.Errorf("write record file: %w", err)
	}
	return nil
}
