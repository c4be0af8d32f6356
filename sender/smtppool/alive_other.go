//go:build !unix

package smtppool

// quiet reports whether an idle connection is as it was left. Without a way
// to look, the next command will tell.
func (c *Conn) quiet() bool { return c.r.Buffered() == 0 }
