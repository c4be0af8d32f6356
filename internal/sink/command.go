package sink

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
)

// maxRecipients is how many one message may have; RFC 5321, 4.5.3.1.8 asks
// for at least 100.
const maxRecipients = 1000

var ehlo = "250-localhost\r\n250-PIPELINING\r\n250-SIZE " + strconv.Itoa(maxMessage) +
	"\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 ENHANCEDSTATUSCODES"

// command answers one command; false ends the session.
func (s *session) command(line []byte) bool {
	verb, arg, _ := bytes.Cut(line, []byte(" "))
	switch {
	case is(verb, "MAIL"):
		s.mailFrom(string(arg))
	case is(verb, "RCPT"):
		return s.rcptTo(string(arg))
	case is(verb, "DATA"):
		return s.message()
	case is(verb, "EHLO"):
		s.greeted = true
		s.mail.reset()
		s.reply(ehlo)
	case is(verb, "HELO"):
		s.greeted = true
		s.mail.reset()
		s.reply("250 localhost")
	case is(verb, "RSET"):
		s.mail.reset()
		s.reply("250 2.0.0 ok")
	case is(verb, "NOOP"):
		s.reply("250 2.0.0 ok")
	case is(verb, "VRFY"):
		s.reply("252 2.5.0 send some mail, I will try")
	case is(verb, "HELP"):
		s.reply("214 2.0.0 the recipient's local part chooses the reply: defer, defer-2x, bounce, policy, full, drop, drop-after-dot, slow")
	case is(verb, "QUIT"):
		s.reply("221 2.0.0 bye")
		return false
	case is(verb, "STARTTLS"), is(verb, "AUTH"), is(verb, "BDAT"):
		s.reply("502 5.5.1 not offered")
	default:
		s.reply("500 5.5.2 unknown command")
	}
	return true
}

func is(verb []byte, name string) bool { return bytes.EqualFold(verb, []byte(name)) }

func (s *session) mailFrom(arg string) {
	if !s.greeted || s.mail.open {
		s.reply("503 5.5.1 MAIL comes once, after EHLO")
		return
	}
	from, params, err := path(arg, "FROM:")
	if err != nil {
		s.reply("501 5.1.7 " + err.Error())
		return
	}
	utf8 := false
	for p := range strings.FieldsSeq(params) {
		key, value, _ := strings.Cut(strings.ToUpper(p), "=")
		switch key {
		case "BODY":
		case "SMTPUTF8":
			utf8 = true
		case "SIZE":
			if n, err := strconv.ParseUint(value, 10, 64); err != nil || n > maxMessage {
				s.reply("552 5.3.4 larger than SIZE allows")
				return
			}
		default:
			s.reply("555 5.5.4 unknown parameter of MAIL")
			return
		}
	}
	if !utf8 && !ascii(from) {
		s.reply("553 5.6.7 address needs SMTPUTF8")
		return
	}
	s.mail.open, s.mail.from, s.mail.utf8 = true, from, utf8
	s.reply("250 2.1.0 sender ok")
}

// rcptTo answers RCPT as the address asks for; false closes the connection.
func (s *session) rcptTo(arg string) bool {
	if !s.mail.open {
		s.reply("503 5.5.1 MAIL comes first")
		return true
	}
	to, params, err := path(arg, "TO:")
	switch {
	case err != nil:
		s.reply("501 5.1.3 " + err.Error())
		return true
	case to == "":
		s.reply("501 5.1.3 recipient without an address")
		return true
	case params != "":
		s.reply("555 5.5.4 unknown parameter of RCPT")
		return true
	case !s.mail.utf8 && !ascii(to):
		s.reply("553 5.6.7 address needs SMTPUTF8")
		return true
	case len(s.mail.to) >= maxRecipients:
		s.reply("452 4.5.3 too many recipients")
		return true
	}
	sc := scriptOf(to)
	if sc.outcome == Deferred && !s.sink.patience.wear(to, sc.times) {
		sc.outcome = Accepted
	}
	s.mail.slow = s.mail.slow || sc.slow
	switch sc.outcome {
	case Dropped:
		s.note(Dropped, to)
		return false
	case DroppedAfterDot:
		s.mail.drop = true
		s.mail.to = append(s.mail.to, to)
	case Accepted:
		s.mail.to = append(s.mail.to, to)
	default:
		s.note(sc.outcome, to)
	}
	s.reply(rcptReply(sc.outcome))
	return true
}

// note counts and records a recipient that was refused at RCPT.
func (s *session) note(o Outcome, to string) {
	s.sink.totals.outcomes[o].Add(1)
	s.record(Event{Outcome: o, From: s.mail.from, To: to})
}

func (s *session) record(e Event) {
	if s.sink.cfg.Record != nil {
		s.sink.cfg.Record(e)
	}
}

// path reads FROM:<address> or TO:<address> and returns the address and the
// parameters after it. A space after the colon is let pass, as most servers do.
func path(arg, prefix string) (addr, params string, err error) {
	if len(arg) < len(prefix) || !strings.EqualFold(arg[:len(prefix)], prefix) {
		return "", "", errors.New("expected " + prefix + "<address>")
	}
	rest := strings.TrimLeft(arg[len(prefix):], " ")
	if rest == "" || rest[0] != '<' {
		return "", "", errors.New("expected < before the address")
	}
	end := closing(rest)
	if end < 0 {
		return "", "", errors.New("expected > after the address")
	}
	addr, rest = rest[1:end], rest[end+1:]
	if rest != "" && rest[0] != ' ' {
		return "", "", errors.New("expected a space after >")
	}
	if addr != "" && !strings.Contains(addr, "@") && !strings.EqualFold(addr, "postmaster") {
		return "", "", errors.New("expected an address with a domain")
	}
	if strings.ContainsFunc(addr, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", "", errors.New("control character in the address")
	}
	return addr, strings.TrimSpace(rest), nil
}

// closing returns the index of the > that ends the path, -1 when there is
// none. In a quoted local part > is an ordinary character.
func closing(path string) int {
	quoted := false
	for i := 1; i < len(path); i++ {
		switch c := path[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case c == '>' && !quoted:
			return i
		}
	}
	return -1
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
