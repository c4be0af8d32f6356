package smtppool

import (
	"bufio"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"broadside/sender/reply"
)

// attach makes a connection, or the TLS session on it, the one that is read
// and written.
func (c *Conn) attach(top net.Conn) {
	c.top = top
	c.r, c.w = bufio.NewReader(top), bufio.NewWriter(top)
}

// greeting waits for the server's greeting, which is 220.
func (c *Conn) greeting() error {
	c.limit(c.cfg.Timeouts.Greeting)
	code, text, err := c.read()
	if err != nil {
		return c.refusal(reply.Connect, err)
	}
	if code != 220 {
		return c.refused(reply.Connect, code, string(text))
	}
	return nil
}

// hello says EHLO, and HELO to a server that answers EHLO with a proper refusal.
// The refusal of EHLO says more than that of HELO.
func (c *Conn) hello() error {
	code, text, err := c.greet("EHLO")
	switch {
	case err != nil:
		return c.refusal(reply.Ehlo, err)
	case code == 250:
		c.extensions = parseEhlo(text)
		return nil
	case code < 400 || code == 421:
		return c.refused(reply.Ehlo, code, text)
	}
	if second, line, err := c.greet("HELO"); err == nil && second == 250 {
		c.extensions = parseEhlo(line)
		return nil
	}
	return c.refused(reply.Ehlo, code, text)
}

// greet says a greeting of ours and returns the answer, line by line.
func (c *Conn) greet(verb string) (code int, text string, err error) {
	c.limit(c.cfg.Timeouts.Hello)
	if _, err := c.write([]byte(verb + " " + c.cfg.Helo + "\r\n")); err != nil {
		return 0, "", err
	}
	code, c.text, err = readReply(c.r, c.text[:0], '\n')
	return code, string(c.text), err
}

// refused is the Error for a reply that does not let us go on.
func (c *Conn) refused(stage reply.Stage, code int, text string) error {
	if code < 400 {
		why := fmt.Sprintf("unexpected reply %d %s", code, text)
		return c.failure(reply.Lost(stage, reply.BadReply, why), badReply(why))
	}
	r := reply.New(stage, code, text)
	return c.failure(r, fmt.Errorf("%s: %s", stage, r))
}

// extensions is the answer to EHLO.
type extensions struct {
	greeting string
	params   map[string]string // by keyword in capitals
}

// parseEhlo takes the answer to EHLO apart. Keywords come in any case (RFC 5321
// 4.1.1.1). Old servers write AUTH= for AUTH, and some have more than one line of
// it.
func parseEhlo(text string) extensions {
	first, rest, _ := strings.Cut(text, "\n")
	e := extensions{greeting: first, params: map[string]string{}}
	for line := range strings.Lines(rest) {
		keyword, params, _ := strings.Cut(strings.TrimSpace(line), " ")
		keyword = strings.ToUpper(keyword)
		if old, ok := strings.CutPrefix(keyword, "AUTH="); ok {
			keyword, params = "AUTH", old+" "+params
		}
		if before := e.params[keyword]; before != "" {
			params = before + " " + params
		}
		e.params[keyword] = params
	}
	return e
}

func (e extensions) has(keyword string) bool {
	_, ok := e.params[keyword]
	return ok
}

// size returns the limit that SIZE gives; 0 when there is none, or an odd one.
func (e extensions) size() int64 {
	n, err := strconv.ParseInt(strings.TrimSpace(e.params["SIZE"]), 10, 64)
	if err != nil {
		return 0
	}
	return max(n, 0)
}

// mechanisms returns those of the login, in capitals, each once.
func (e extensions) mechanisms() (out []string) {
	for _, m := range strings.Fields(strings.ToUpper(e.params["AUTH"])) {
		if !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// keywords returns what the server offers, as it wrote it, in order.
func (e extensions) keywords() []string {
	var out []string
	for keyword, params := range e.params {
		out = append(out, strings.TrimSpace(keyword+" "+params))
	}
	slices.Sort(out)
	return out
}
