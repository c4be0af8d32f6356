package store

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// clientLog passes what go-redis says on. It says one line for each failed
// dial, which is no news to anyone who gets the error: hence Debug.
type clientLog struct{ log *slog.Logger }

// Printf implements the interface that go-redis logs to.
func (c clientLog) Printf(ctx context.Context, format string, v ...any) {
	if c.log.Enabled(ctx, slog.LevelDebug) {
		c.log.DebugContext(ctx, "redis client", "text", fmt.Sprintf(format, v...))
	}
}

// setLogger takes go-redis off stderr. Its logger is one for the whole
// process: the last store that was opened has it.
func setLogger(log *slog.Logger) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	redis.SetLogger(clientLog{log})
}
