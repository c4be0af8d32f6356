package sender

import (
	"log/slog"
	"testing"
	"time"

	"broadside/campaign/audience"
	"broadside/sender/reply"
)

// TestConnectionsThatFailTogetherCloseALaneOnce shows that nine connections
// that a server drops at the same moment are one closing, not nine: each would
// double the pause.
func TestConnectionsThatFailTogetherCloseALaneOnce(t *testing.T) {
	t.Parallel()
	w := &Worker{cfg: Config{Log: slog.New(slog.DiscardHandler)}}
	a := newAccount(w, AccountConfig{Name: "relay", Connections: 9})
	it := &item{row: audience.Row{}}
	r := reply.Lost(reply.Mail, reply.EOF, "EOF")
	d := reply.Classify(r)
	for range 9 {
		a.closeLane(it, d, r)
	}
	if rest := time.Until(a.lane(providerOf(it)).closedUntil); rest > d.Backoff {
		t.Errorf("the lane is closed for %s, one closing is %s", rest.Round(time.Second), d.Backoff)
	}
}
