package testkit

import (
	"os"
	"path/filepath"
)

// A Moment is a copy of what a RedisServer had on disk.
type Moment struct{ dir string }

// aofDir is redis-server's default appenddirname.
const aofDir = "appendonlydir"

// Moment copies the append-only files as they are now, while the server goes
// on writing: what comes later is what a disk that was too busy would lose.
func (r *RedisServer) Moment() Moment {
	r.t.Helper()
	m := Moment{dir: r.t.TempDir()}
	if err := os.CopyFS(m.dir, os.DirFS(filepath.Join(r.dir, aofDir))); err != nil {
		r.t.Fatalf("copy append-only files: %v", err)
	}
	return m
}

// Rewind puts a copy in the place of what a killed server had on disk. Start
// then starts it as it was at that moment. The zero Moment has nothing.
func (r *RedisServer) Rewind(m Moment) {
	r.t.Helper()
	dir := filepath.Join(r.dir, aofDir)
	err := os.RemoveAll(dir)
	if err == nil && m.dir != "" {
		err = os.CopyFS(dir, os.DirFS(m.dir))
	}
	if err != nil {
		r.t.Fatalf("put back append-only files: %v", err)
	}
}
