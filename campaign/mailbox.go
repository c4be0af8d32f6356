package campaign

import (
	"fmt"
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"

	"broadside/configs/strictyaml"
)

const (
	mailboxExample = "Acme News <news@acme.example>"
	mailboxForm    = "expected one mailbox such as " + mailboxExample

	// Limits in octets: RFC 5321 section 4.5.3.1.
	maxLocal   = 64
	maxAddress = 254
)

// ReadMailbox reads one RFC 5322 mailbox, with or without a name, that can be in
// the From header of mail to strangers. An international domain becomes A-labels,
// as every server knows it; problem says what is wrong.
func ReadMailbox(text string) (value, problem string) {
	if strings.ContainsFunc(text, unicode.IsControl) || strings.HasSuffix(strings.TrimSpace(text), ";") { // a group
		return "", mailboxForm
	}

	a, err := mail.ParseAddress(text)
	if err != nil {
		return "", explainMailbox(text)
	}

	if _, problem := strictyaml.HeaderName(a.Name); problem != "" {
		return "", problem
	}

	local, domain, _ := strings.Cut(a.Address, "@")
	if problem := senderProblem(a.Address, local); problem != "" {
		return "", problem
	}

	ascii, ok := Domain(domain)
	switch {
	case !ok:
		return "", "whose domain is no name that DNS can have; " + mailboxForm
	case len(ascii) > MaxSenderDomain:
		return "", fmt.Sprintf("a domain of %d bytes, expected at most %d", len(ascii), MaxSenderDomain)
	case len(local)+1+len(ascii) > maxAddress:
		return "", fmt.Sprintf("an address of %d bytes, expected at most %d", len(local)+1+len(ascii), maxAddress)
	case ascii == strings.ToLower(domain):
		return text, ""
	}

	at := strings.LastIndex(text, "@"+domain)
	if at < 0 { // it is written with comments in it
		return "", mailboxForm
	}

	return text[:at] + "@" + ascii + text[at+1+len(domain):], ""
}

// senderProblem says why an address cannot be one that mail is from.
func senderProblem(address, local string) string {
	switch {
	case strings.ContainsAny(address, " \"\\<>[]") || strings.Count(address, "@") != 1 || local == "":
		return mailboxForm
	case len(local) > maxLocal:
		return fmt.Sprintf("with %d bytes before the @, expected at most %d", len(local), maxLocal)
	case strings.ContainsFunc(local, func(r rune) bool { return r >= utf8.RuneSelf }):
		return "with letters before the @ that are not ASCII: many servers take no mail from such an address; " + mailboxForm
	}
	return ""
}

// explainMailbox says what is wrong with a text that is no mailbox: most often
// the name has a character that needs quotes.
func explainMailbox(text string) string {
	open := strings.LastIndexByte(text, '<')
	if open < 1 {
		return mailboxForm
	}

	name := strings.TrimSpace(text[:open])
	address := strings.TrimSpace(text[open:])
	i := strings.IndexAny(name, `,;:@()[]\".`)
	if i < 0 || strings.ContainsAny(name, "<>") {
		return mailboxForm
	}

	bare := strings.NewReplacer(`\`, "", `"`, "").Replace(name)
	quoted := `"` + bare + `" ` + address
	if _, err := mail.ParseAddress(quoted); err != nil {
		return mailboxForm
	}

	return fmt.Sprintf("where %q in the name needs quotes around the name; write %s, with both kinds of quotes", name[i], strictyaml.YAMLQuote(quoted))
}
