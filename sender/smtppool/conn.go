package smtppool

import (
	"bufio"
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// A Conn is one connection that is ready for messages. Only one goroutine may
// use it at a time.
type Conn struct {
	cfg  Config
	raw  net.Conn  // what Dial got; deadlines and the hard close go here
	top  net.Conn  // what is read and written: raw, capped, and TLS on it
	tls  *tls.Conn // nil without TLS
	r    *bufio.Reader
	w    *bufio.Writer // empty between our writes
	info Info
	born time.Time

	extensions extensions // of the last EHLO

	buf  []byte // commands and bodies on their way out
	text []byte // text of the last reply

	from, to        string // of the last envelope
	before          string // recipient of the one before
	transactions    int    // begun
	needReset       bool   // a transaction was refused half way: RSET before the next MAIL
	inData          bool   // 354 received, no body yet
	broken          bool   // only Abort is left
	ahead           bool   // an envelope went with the last body: Answer must follow
	apart           bool   // Answer sends the envelope next
	next            Next   // that the last body was followed by, or is to be
	pipeliningFault string // why the server seems not to follow; empty: it does
	desync          string // why replies cannot be assigned to commands any more; empty: they can
	trial           bool   // tries overlap for the Pool
	closed          bool

	carried map[string]int // messages by what Carry was called with
	retired bool

	idleSince time.Time // set by the Pool
	steps     *steps    // of the Pool, if there is one

	hard    context.Context // what watchOn was called with
	unwatch func()          // ends that

	mu      sync.Mutex
	op      uint64 // counts watches; guarded by mu
	stopped error  // why the watch under way was interrupted; guarded by mu
}

// Info is what the server offers and what was agreed.
type Info struct {
	Greeting    string    // first line of the reply to EHLO
	TLSVersion  string    // "TLS 1.3"; empty without TLS
	CipherSuite string    // empty without TLS
	CertExpires time.Time // of the server's certificate; zero without TLS
	Keywords    []string  // of the last EHLO with their parameters, in order: "SIZE 1000"
	Mechanisms  []string  // offered for the login, in the state that it happens in
	AuthUsed    string    // empty without a login
	Pipelining  bool
	EightBit    bool // 8BITMIME
	SMTPUTF8    bool
	HasSize     bool  // SIZE
	Size        int64 // its limit in bytes; 0 when none is given
}

// Info returns what the server offers.
func (c *Conn) Info() Info { return c.info }

// Usable reports whether another message may be sent: the connection is whole,
// outside a transaction, and below its limits of messages and age.
func (c *Conn) Usable() bool {
	return !c.broken && !c.inData && !c.ahead && c.young()
}

// Carry counts a message for a mailbox provider or domain, and returns how many
// that makes on this connection.
func (c *Conn) Carry(name string) int {
	if c.carried == nil {
		c.carried = map[string]int{}
	}
	c.carried[name]++
	return c.carried[name]
}

// Retire lets no message follow the one under way.
func (c *Conn) Retire() { c.retired = true }

// First reports whether no transaction was begun before the latest one.
func (c *Conn) First() bool { return c.transactions <= 1 }

// Abort closes the connection hard: what the kernel still holds is thrown
// away, and the server sees a reset. It is the only way out of DATA without a
// message. Calling it again does nothing.
func (c *Conn) Abort() {
	c.broken = true
	if c.closed {
		return
	}

	c.closed = true
	c.unwatch()
	if t, ok := c.raw.(interface{ SetLinger(sec int) error }); ok {
		_ = t.SetLinger(0) // without it the close is only less hard
	}

	_ = c.raw.Close() // nothing can be done about it
}

// Quit says good-bye and closes; it waits two seconds at most (Timeouts.Quit) for
// the reply and for the server to close: only then does the server not count this
// connection any more, and another process may open one in its place. Inside DATA,
// or where DATA may have been entered, or when the connection is broken, it is
// Abort.
func (c *Conn) Quit(ctx context.Context) {
	if c.broken || c.inData || c.ahead {
		c.Abort()
		return
	}

	c.unwatch()
	defer c.watch(ctx)()
	c.limit(c.cfg.Timeouts.Quit)
	if _, err := c.write([]byte("QUIT\r\n")); err == nil {
		for err == nil { // any answer will do
			_, _, err = c.read()
		}
	}

	c.broken = true
	c.closed = true
	_ = c.top.Close() // as in Abort
}
