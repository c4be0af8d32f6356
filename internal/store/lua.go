package store

import (
	"strings"

	"github.com/redis/go-redis/v9"
)

// Lua makes a script of its source. A Redis reads flags from a first line
// like "#!lua flags=allow-oom"; the embedded store does not know that line,
// so that it becomes a comment there (and line numbers stay right).
func (s *Store) Lua(src string) *redis.Script {
	if s.Embedded() && strings.HasPrefix(src, "#!") {
		src = "--" + src
	}
	return redis.NewScript(src)
}
