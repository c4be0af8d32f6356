package campaign

import (
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"unicode/utf8"

	"broadside/configs/strictyaml"
)

const (
	// longSubject is the number of characters from which on a subject is warned
	// of: mail programs show 40 to 80.
	longSubject = 150
	// cutSubject is where the templates cut a subject.
	cutSubject = 250
)

// moreMailboxes are domains of mailbox providers in addition to those of Providers.
var moreMailboxes = func() map[string]bool {
	domains := map[string]bool{}
	for domain := range strings.FieldsSeq(`126.com 163.com alice.it bigpond.com bluewin.ch btinternet.com charter.net cox.net daum.net earthlink.net
		email.cz fastmail.com fastmail.fm free.fr freenet.de hanmail.net hey.com hushmail.com interia.pl laposte.net libero.it mail.de mailbox.org
		naver.com neuf.fr nifty.com o2.pl onet.pl optonline.net optusnet.com.au posteo.de qq.com rambler.ru rediffmail.com sapo.pt seznam.cz sfr.fr
		shaw.ca sina.com sky.com sohu.com t-online.de telenet.be telus.net tiscali.it tuta.com tutanota.com ukr.net uol.com.br virgilio.it
		vodafone.de wp.pl yeah.net ziggo.nl`) {
		domains[domain] = true
	}
	return domains
}()

var (
	addressPattern = regexp.MustCompile(`[^\s<>()",;:@]+@[^\s<>()",;:@]+\.[^\s<>()",;:@]+`)
	actionPattern  = regexp.MustCompile(`(?s)\{\{.*?\}\}`)
)

// Warnings returns what a campaign file may say although it is most probably not
// meant, or harms delivery.
func (d *Definition) Warnings() strictyaml.Problems {
	var out strictyaml.Problems
	warn := func(key, text string) {
		if text != "" {
			out = append(out, d.Problem(key, "%s", text))
		}
	}
	warn("from", doubtfulSender(d.From))
	warn("from", doubtfulName(d.From))
	warn("reply_to", doubtfulDomain(d.ReplyTo))
	warn("subject", doubtfulSubject(d.Subject))

	return out
}

// doubtfulSender says why mail from this address may not arrive.
func doubtfulSender(from string) string {
	domain := domainOf(from)
	if !isMailboxProvider(domain) {
		return doubtfulDomain(from)
	}
	return fmt.Sprintf("found an address at %s, a mailbox provider: its DMARC policy has mail that does not come from its own servers refused or put into spam; "+
		"send from a domain of your own, and name this address in reply_to", domain)
}

// doubtfulDomain says why an answer to this address cannot arrive.
func doubtfulDomain(mailbox string) string {
	domain := domainOf(mailbox)
	labels := strings.Split(domain, ".")
	last := labels[len(labels)-1]
	switch {
	case domain == "":
		return ""
	case len(labels) == 1 || last == "localhost" || last == "local" || last == "localdomain" || last == "internal" || last == "lan":
		return fmt.Sprintf("found the domain %s, which only your own network knows: servers refuse such mail; expected a domain that has DNS records, such as acme.example", domain)
	}

	return ""
}

// doubtfulName says that a name is an address, but not the one it stands before.
func doubtfulName(from string) string {
	a, err := mail.ParseAddress(from)
	if err != nil {
		return ""
	}
	named := addressPattern.FindString(a.Name)
	if named == "" || strings.EqualFold(named, a.Address) {
		return ""
	}
	return fmt.Sprintf("found the address %s as the name of %s: filters take that for forgery; expected a name such as Acme News", named, a.Address)
}

// doubtfulSubject says that a subject is longer than is shown. What an action
// makes of it is not known here and does not count.
func doubtfulSubject(subject string) string {
	n := utf8.RuneCountInString(actionPattern.ReplaceAllString(subject, ""))
	switch {
	case n > cutSubject:
		return fmt.Sprintf("found %d characters: what is beyond %d is cut, and mail programs show some 60", n, cutSubject)
	case n > longSubject:
		return fmt.Sprintf("found %d characters: mail programs show some 60", n)
	}
	return ""
}

// domainOf returns the domain of a mailbox in lower case; "" when there is none.
func domainOf(mailbox string) string {
	a, err := mail.ParseAddress(mailbox)
	if err != nil {
		return ""
	}
	return strings.ToLower(a.Address[strings.LastIndexByte(a.Address, '@')+1:])
}

// isMailboxProvider reports whether everybody can get an address at a domain.
func isMailboxProvider(domain string) bool {
	label, _, _ := strings.Cut(domain, ".")
	return ProviderOf(domain) != Other || moreMailboxes[domain] || label == "gmx" && strings.Count(domain, ".") == 1
}
