package configs

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"broadside/configs/strictyaml"
)

// Protocols of mailboxes.
const (
	IMAP = "imap"
	POP3 = "pop3"
)

const (
	// maxMailboxes is the most mailboxes that are read.
	maxMailboxes = 20
	// maxMailboxURL is the most bytes of the address of a mailbox.
	maxMailboxURL = 2000
	// mailboxForm is an address of a mailbox, for messages.
	mailboxForm = "imaps://USER:PASSWORD@HOST/FOLDER?move=Processed or pop3s://USER:PASSWORD@HOST"
	// tokenMailboxForm is that of a mailbox that takes access tokens.
	tokenMailboxForm = "imaps://USER@HOST/FOLDER?move=Processed or pop3s://USER@HOST with oauth2"
)

// A Mailbox is where bounces arrive, and how it is read.
type Mailbox struct {
	Protocol string // IMAP or POP3
	TLS      string // TLSImplicit, TLSStartTLS; TLSNone for this machine
	Host     string
	Port     int
	User     string
	Password Secret
	OAuth2   *OAuth2 // nil: the password is what logs in
	Folder   string  // of IMAP; default INBOX
	Move     string  // folder of IMAP that takes what was read; empty: it stays
}

// mailboxSchemes are the schemes of mailboxes, with the port that each has by default.
var mailboxSchemes = map[string]struct {
	protocol, tls string
	port          int
}{
	"imaps": {IMAP, TLSImplicit, 993},
	"imap":  {IMAP, TLSStartTLS, 143},
	"pop3s": {POP3, TLSImplicit, 995},
	"pop3":  {POP3, TLSStartTLS, 110},
}

// Address returns HOST:PORT.
func (m Mailbox) Address() string { return net.JoinHostPort(m.Host, strconv.Itoa(m.Port)) }

// ID names the mailbox in Redis: a new password does not make it another one.
func (m Mailbox) ID() string {
	sum := sha256.Sum256([]byte(m.String()))
	return hex.EncodeToString(sum[:8])
}

// String returns the URL of the mailbox without its password: a name for logs.
func (m Mailbox) String() string {
	scheme := m.Protocol
	if m.TLS == TLSImplicit {
		scheme += "s"
	}
	u := url.URL{Scheme: scheme, User: url.User(m.User), Host: m.Address()}
	if m.Protocol == IMAP {
		u.Path = "/" + m.Folder
	}
	return u.String()
}

// GoString keeps the password out of %#v.
func (m Mailbox) GoString() string { return m.String() }

// readMailboxes reads feedback.mailbox: an address, a mapping with an address and with
// what gets access tokens for it, or a list of such.
func readMailboxes(m *strictyaml.Map, boxes *[]Mailbox) {
	seen := map[string]bool{}
	add := func(box Mailbox, problem string) string {
		switch {
		case problem != "":
			return problem
		case seen[box.String()]:
			return "found this mailbox twice, expected it once"
		}
		seen[box.String()] = true
		*boxes = append(*boxes, box)
		return ""
	}
	m.SecretsOrMaps("mailbox", func(text string) string { return add(ParseMailbox(text)) }, func(m *strictyaml.Map) {
		access := readOAuth2(m)
		m.Value("url", "an address such as "+tokenMailboxForm, func(text string) (problem string) {
			return add(parseMailbox(text, access))
		})
		m.Require("url", "the address of the mailbox, such as "+tokenMailboxForm)
	})
	if len(*boxes) > maxMailboxes {
		m.Problem("mailbox", "found %d mailboxes, expected at most %d", len(*boxes), maxMailboxes)
	}
}

// ParseMailbox reads the URL of a mailbox that has its password. problem says what is
// wrong with it, "" when nothing is; it does not show the URL.
func ParseMailbox(text string) (m Mailbox, problem string) { return parseMailbox(text, nil) }

// parseMailbox reads the URL of a mailbox. With access tokens it has no password.
func parseMailbox(text string, access *OAuth2) (m Mailbox, problem string) {
	form := mailboxForm
	if access != nil {
		form = tokenMailboxForm
	}
	name, _, _ := strings.Cut(text, "://")
	scheme, known := mailboxSchemes[strings.ToLower(name)]
	u, err := url.Parse(text)
	switch {
	case !known || strings.ContainsFunc(text, unicode.IsControl) || len(text) > maxMailboxURL:
		return m, "found an address with another scheme or none (not shown), expected " + form
	case err != nil:
		return m, "found an address that cannot be read (not shown), expected " + form + "; write / as %2F, ? as %3F, # as %23 and % as %25 in user and password"
	case !isHost(u.Hostname()):
		return m, "found an address without a host that DNS can have (not shown), expected " + form
	case u.Fragment != "":
		return m, "found # in the address (not shown), expected " + form + "; write # as %23 in user and password"
	case u.User.Username() == "":
		return m, "found an address without a user (not shown), expected " + form
	}

	password, _ := u.User.Password()
	m = Mailbox{Protocol: scheme.protocol, TLS: scheme.tls, Host: u.Hostname(), User: u.User.Username(), Password: Secret(password), OAuth2: access}
	switch {
	case access != nil && password != "":
		return m, "found a password in the address and oauth2 (not shown), expected one of the two: with oauth2 the access token is what logs in"
	case strings.ContainsFunc(m.User+password, unicode.IsControl) || password == "" && access == nil:
		return m, "found an address without a password, or with control characters (not shown), expected " + form
	}
	if m.TLS == TLSStartTLS && IsLoopback(m.Host) {
		m.TLS = TLSNone
	}

	if problem = m.setPort(u.Port(), scheme.port); problem != "" {
		return m, problem
	}
	return m, m.setFolders(strings.TrimPrefix(u.Path, "/"), u.RawQuery)
}

// setPort refuses the port of the other way to TLS: the wait for a greeting there ends
// in nothing but a timeout.
func (m *Mailbox) setPort(text string, standard int) (problem string) {
	m.Port = standard
	if text != "" {
		port, err := strconv.Atoi(text)
		if err != nil || port < 1 || port > 65535 {
			return "found another port (not shown), expected a number from 1 to 65535"
		}
		m.Port = port
	}

	for name, other := range mailboxSchemes {
		if other.port == m.Port && (other.tls == TLSImplicit) != (m.TLS == TLSImplicit) {
			return fmt.Sprintf("found port %d, where TLS is spoken in another way, expected %s:// for it, or another port", m.Port, name)
		}
	}
	return ""
}

func (m *Mailbox) setFolders(folder, query string) (problem string) {
	values, err := url.ParseQuery(query)
	move := values["move"]
	switch {
	case m.Protocol == POP3 && (folder != "" || query != ""):
		return "found a folder or ?, expected nothing behind the host: POP3 has one folder, and what was read is deleted"
	case err != nil || len(values) > 1 || len(values) == 1 && len(move) != 1:
		return "found another query, expected ?move=FOLDER or none"
	case strings.ContainsFunc(folder+strings.Join(move, ""), unicode.IsControl):
		return "found a control character in the name of a folder"
	case m.Protocol == POP3:
		return ""
	}

	m.Folder = folder
	if folder == "" {
		m.Folder = "INBOX"
	}
	if len(move) == 1 {
		m.Move = move[0]
	}
	if m.Move == m.Folder || len(move) == 1 && m.Move == "" {
		return "found no other folder behind move=, expected the name of a folder that takes what was read"
	}
	return ""
}

// mailboxRows adds the mailboxes, and what gets access tokens for them. A mailbox that is
// not in a list has its keys below feedback.mailbox itself.
func mailboxRows(boxes []Mailbox, single bool, add func(key, value string)) {
	const key = "feedback.mailbox"
	shown := make([]string, len(boxes))
	for i, m := range boxes {
		shown[i] = m.String()
	}
	if single {
		add(key+".url", strings.Join(shown, ", "))
	} else {
		add(key, strings.Join(shown, ", "))
	}

	for i, m := range boxes {
		if m.OAuth2 == nil {
			continue
		}
		below := key + "[" + strconv.Itoa(i) + "]."
		if single {
			below = key + "."
		}
		m.OAuth2.rows(func(name, value string) { add(below+name, value) })
	}
}
