package mailbox

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"broadside/configs"
	"broadside/sender/oauth"
)

const (
	// maxPOP3Message is how many bytes of a message are read to get behind its end.
	// POP3 has no other way than to end the session.
	maxPOP3Message = 10 * MaxMessage
	// maxUniqueID is how long a unique id may be. RFC 1939 has 70; some are longer.
	maxUniqueID = 128
	// maxAnswer is how much of an answer is in an error, in bytes.
	maxAnswer = 300
)

// A refusal is the answer -ERR of a POP3 server to a command (RFC 1939, section 3).
type refusal struct{ command, text string }

func (r *refusal) Error() string {
	return fmt.Sprintf("%s was refused: %q", r.command, r.text)
}

// A pop3Client speaks POP3 on one connection. One goroutine uses it.
type pop3Client struct {
	step func(within time.Duration, most int64)
	text *textproto.Conn
}

// A listed message has a number within a session, and a unique id for ever.
type listed struct {
	number int
	id     string
}

// openPOP3 connects and logs in.
func (b *box) openPOP3(ctx context.Context) (_ *pop3Client, err error) {
	c, err := b.dialer.open(ctx, b.Mailbox)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()

	p := &pop3Client{step: c.step}
	if b.TLS == configs.TLSImplicit {
		over, err := b.dialer.secure(ctx, c, b.Mailbox)
		if err != nil {
			return nil, err
		}
		p.text = textproto.NewConn(over)
	} else {
		p.text = textproto.NewConn(c)
	}
	if _, err := p.answer("the greeting"); err != nil {
		return nil, err
	}

	if b.TLS == configs.TLSStartTLS {
		if err := b.startTLS(ctx, p, c); err != nil {
			return nil, err
		}
	}
	if b.tokens != nil {
		err = b.loginByToken(ctx, oauth.XOAUTH2, p.authenticate)
	} else {
		err = p.login(b.User, b.Password.Reveal())
	}
	if err != nil {
		return nil, fmt.Errorf("log in as %s: %w", b.User, err)
	}
	return p, nil
}

// startTLS begins TLS with STLS (RFC 2595, section 4).
func (b *box) startTLS(ctx context.Context, p *pop3Client, c *conn) error {
	_, err := p.command("STLS", "STLS")
	var no *refusal
	if errors.As(err, &no) {
		return fmt.Errorf("begin TLS with STLS: %w; expected a server that offers it: write pop3s:// for one with TLS on port 995", err)
	}
	if err != nil {
		return err
	}
	if p.text.R.Buffered() > 0 {
		return errors.New("begin TLS with STLS: found more than the answer, which somebody on the way may have put there")
	}

	over, err := b.dialer.secure(ctx, c, b.Mailbox)
	if err != nil {
		return err
	}
	p.text = textproto.NewConn(over)
	return nil
}

func (p *pop3Client) login(user, password string) error {
	if _, err := p.command("USER", "USER "+user); err != nil {
		return err
	}
	_, err := p.command("PASS", "PASS "+password)
	return err
}

// authenticate logs in once with an access token (RFC 5034). The message has a line of its
// own: behind the command there is room for 255 bytes, and Microsoft takes none there.
func (p *pop3Client) authenticate(login *oauth.Login) error {
	name := "AUTH " + login.Mechanism
	line := name
	for _, answer := range []func(challenge []byte) ([]byte, error){
		func([]byte) ([]byte, error) { return login.Message(), nil },
		login.Refused,
	} {
		challenge, more, err := p.prompted(name, line)
		if err != nil || !more {
			return err
		}
		message, err := answer(challenge)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		line = base64.StdEncoding.EncodeToString(message)
	}

	_, more, err := p.prompted(name, line)
	if more {
		return fmt.Errorf("%s: found another challenge, expected +OK or -ERR", name)
	}
	return err
}

// prompted sends a line of a login and returns the challenge that answers it; not more: the
// login is over.
func (p *pop3Client) prompted(name, line string) (challenge []byte, more bool, err error) {
	p.step(stepWithin, maxStep)
	if err := p.text.PrintfLine("%s", line); err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}
	answer, err := p.text.ReadLine()
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", name, err)
	}

	text, more := strings.CutPrefix(answer, "+")
	if !more || strings.HasPrefix(answer, "+OK") {
		_, err := readAnswer(name, answer)
		return nil, false, err
	}
	challenge, err = base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, false, fmt.Errorf("%s: found a challenge that is no base64", name)
	}
	return challenge, true, nil
}

// command sends a line and returns what stands behind +OK. name is the line for errors.
func (p *pop3Client) command(name, line string) (string, error) {
	p.step(stepWithin, maxStep)
	if err := p.text.PrintfLine("%s", line); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return p.answer(name)
}

// answer reads the line that answers a command.
func (p *pop3Client) answer(name string) (string, error) {
	line, err := p.text.ReadLine()
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return readAnswer(name, line)
}

// readAnswer returns what stands behind +OK.
func readAnswer(name, line string) (string, error) {
	status, text, _ := strings.Cut(line, " ")
	switch status {
	case "+OK":
		return text, nil
	case "-ERR":
		return "", &refusal{name, cut(text)}
	}
	return "", fmt.Errorf("%s: found %q, expected +OK or -ERR", name, cut(line))
}

func cut(text string) string { return text[:min(len(text), maxAnswer)] }

// list returns the messages in the order of the mailbox.
func (p *pop3Client) list() ([]listed, error) {
	_, err := p.command("UIDL", "UIDL")
	var no *refusal
	if errors.As(err, &no) {
		return nil, fmt.Errorf("%w; expected a server that has it: without unique ids a message that cannot be used would be fetched for ever. Use IMAP", err)
	}
	if err != nil {
		return nil, err
	}

	var all []listed
	for {
		line, err := p.text.ReadLine()
		if err != nil {
			return nil, fmt.Errorf("UIDL: %w", err)
		}
		if line == "." {
			return all, nil
		}
		m, err := parseListed(line)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
}

// parseListed reads a line of UIDL: a number, a blank, and 1 to 70 characters that can
// be seen (RFC 1939, section 7).
func parseListed(line string) (listed, error) {
	number, id, _ := strings.Cut(strings.TrimRight(line, " "), " ")
	n, err := strconv.Atoi(number)
	seen := func(r rune) bool { return r > ' ' && r < 0x7f }
	if err != nil || n < 1 || id == "" || len(id) > maxUniqueID || strings.ContainsFunc(id, func(r rune) bool { return !seen(r) }) {
		return listed{}, fmt.Errorf("UIDL: found %q, expected the number of a message and its unique id", cut(line))
	}
	return listed{n, id}, nil
}

// retrieve returns a message, with LF line ends and no more than MaxMessage bytes of it.
func (p *pop3Client) retrieve(number int) ([]byte, error) {
	if _, err := p.command("RETR", fmt.Sprintf("RETR %d", number)); err != nil {
		return nil, err
	}

	p.step(fetchWithin, maxPOP3Message)
	var message bytes.Buffer
	whole := p.text.DotReader()
	_, err := io.CopyN(&message, whole, MaxMessage)
	if err == nil {
		_, err = io.Copy(io.Discard, whole)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("RETR: %w", err)
	}
	return message.Bytes(), nil
}

// remove has a message deleted when the session ends in order.
func (p *pop3Client) remove(number int) error {
	_, err := p.command("DELE", fmt.Sprintf("DELE %d", number))
	return err
}

// quit ends the session in order: what was removed is deleted now.
func (p *pop3Client) quit() error {
	_, err := p.command("QUIT", "QUIT")
	return err
}

func (p *pop3Client) close() { _ = p.text.Close() }
