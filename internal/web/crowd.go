package web

import (
	"log/slog"
	"net"
	"net/http"
	"sync"
)

// How many connections are open at most, and from when on none is kept open
// without a request on it. A connection beyond the limit waits in the backlog
// of the system until another one ends, which the time limits of a request
// bound.
const (
	maxConns     = 1000
	crowdedConns = 750
)

// A crowd counts the open connections of a server. While there are many it has
// the server close those without a request: otherwise idle ones could take all
// places for as long as they may be idle. It is safe for concurrent use.
type crowd struct {
	keepAlive func(bool)
	log       *slog.Logger

	mu      sync.Mutex
	open    int
	crowded bool
}

// watch is the ConnState hook of an http.Server.
func (c *crowd) watch(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		c.add(1)
	case http.StateClosed, http.StateHijacked:
		c.add(-1)
	}
}

func (c *crowd) add(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()

	c.open += n
	switch {
	case !c.crowded && c.open >= crowdedConns:
		c.crowded = true
		c.log.Warn("many http connections: none is kept open after its answer", "open", c.open, "at_most", maxConns)
	case c.crowded && c.open < crowdedConns/2:
		c.crowded = false
		c.log.Info("http connections are kept open again", "open", c.open)
	default:
		return
	}

	c.keepAlive(!c.crowded)
}
