package testkit

import (
	"strings"
	"sync"
)

// A Log is what several goroutines write and a test reads in the meantime.
type Log struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *Log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Lines returns how many lines there are so far.
func (l *Log) Lines() int { return strings.Count(l.String(), "\n") }
