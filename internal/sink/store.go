package sink

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
)

// A store keeps accepted messages as files of a directory:
// 000001-ann@example.test.eml.
type store struct {
	dir  string
	last atomic.Int64 // highest number given out
}

// openStore makes the directory ready, for its owner alone: messages have
// addresses and live unsubscribe links. Numbers go on after the highest one
// that is there, so that a second run overwrites nothing.
func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory for messages: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read the directory for messages: %w", err)
	}
	s := &store{dir: dir}
	for _, e := range entries {
		digits, _, _ := strings.Cut(e.Name(), "-")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil && n > s.last.Load() {
			s.last.Store(n)
		}
	}
	return s, nil
}

// put writes one message.
func (s *store) put(to string, data []byte) error {
	name := fmt.Sprintf("%06d-%s.eml", s.last.Add(1), fileName(to))
	f, err := os.OpenFile(filepath.Join(s.dir, name), os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("create message file: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write message file: %w", err)
	}
	return nil
}

// fileName returns addr with everything replaced that a file name, or a shell,
// could misread, and at most 64 bytes long.
func fileName(addr string) string {
	safe := func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', strings.ContainsRune("@.+-_", r):
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '_'
	}
	addr = strings.Map(safe, addr)
	return addr[:min(len(addr), 64)]
}
