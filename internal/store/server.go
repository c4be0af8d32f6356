package store

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Server returns the run id of the server, as RunID does, and for how long it
// has been up. An embedded store has always been up.
func (s *Store) Server(ctx context.Context) (runID string, uptime time.Duration, err error) {
	if s.Embedded() {
		return EmbeddedRunID, 24 * time.Hour, nil
	}
	text, err := s.client.Info(ctx, "server").Result()
	if err != nil {
		return "", 0, fmt.Errorf("ask redis for its run id: %w", err)
	}
	info := parseInfo(text)
	if info["run_id"] == "" {
		return "", 0, fmt.Errorf("ask redis for its run id: INFO server does not have it")
	}
	seconds, _ := strconv.Atoi(info["uptime_in_seconds"])
	return info["run_id"], time.Duration(seconds) * time.Second, nil
}
