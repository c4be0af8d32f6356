package reply

import (
	"regexp"
	"strings"
)

// What a reply names, in addition to what it says. Addresses, links and hosts may
// hold any word, also "spam" or "policy", and none of them is about the recipient.
var (
	addressForm = regexp.MustCompile(`<[^<>@]{0,80}@[^<>]{0,260}>|[^\s<>()\[\]:;,"'=@.]+(?:\.[^\s<>()\[\]:;,"'=@.]+)*@[^\s<>()\[\]:;,"'@]+`)
	linkForm    = regexp.MustCompile(`(?i)(?:https?://|www\.)[^\s<>"]+`)
	hostForm    = regexp.MustCompile(`(?i)\b(?:(?:[a-z0-9_-]+\.){2,}[a-z]{2,}|[a-z0-9_-]+\.(?:com|net|org|edu|gov|info|biz|io|eu|de|at|ch|fr|uk|it|es|pt|br|nl|be|pl|cz|ru|jp|cn|tr|se|no|dk|fi|example|test|invalid|local))\b`)

	// Exchange's parts have names with dots too, and these say something.
	partForm = regexp.MustCompile(`^(?:RESOLVER|STOREDRV|SMTPSEND|ROUTING|QUEUE|AGENT)\.`)
)

// bare returns the text without links, with "@" in place of each address and
// "~" in place of each host name.
func bare(text string) string {
	if strings.Contains(text, "/") || strings.Contains(text, "www.") {
		text = linkForm.ReplaceAllString(text, " ")
	}
	if strings.Contains(text, "@") {
		text = addressForm.ReplaceAllString(text, "@")
	}
	if strings.Contains(text, ".") {
		text = hostForm.ReplaceAllStringFunc(text, bareHost)
	}
	return text
}

// bareHost returns what stands for a name with dots: its words when it is one of
// Exchange's parts, "~" when it is a host.
func bareHost(name string) string {
	if partForm.MatchString(name) {
		return strings.ReplaceAll(name, ".", " ")
	}
	return "~"
}

// A wording is a reply as the rules look at it. What takes time is made when
// the first rule asks for it: the common reply needs none of it.
type wording struct {
	Reply
	lexicon *lexicon

	read        bool
	whole, said reading

	judged, lives bool
}

// words returns the whole text, and the same without names.
func (w *wording) words() (whole, said reading) {
	if !w.read {
		text := w.Text + w.Rest
		w.whole = w.lexicon.read(text)
		w.said = w.lexicon.read(bare(text))
		w.read = true
	}
	return w.whole, w.said
}

// showsLife reports whether the text shows one of the signs.
func (w *wording) showsLife(signs anyOf) bool {
	if !w.judged {
		_, said := w.words()
		w.lives = w.lexicon.matches(signs, said)
		w.judged = true
	}
	return w.lives
}
