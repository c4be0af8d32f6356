package templates

import (
	"regexp"
	"strings"

	nethtml "golang.org/x/net/html"
)

// link writes "text <url>", or only the URL where the text says the same. The
// brackets tell mail programs where a link ends (RFC 3986, appendix C).
func (w *textWriter) link(n *nethtml.Node) {
	url, spoken := readable(strings.TrimSpace(attr(n, "href")))
	if url == "" || strings.HasPrefix(url, "#") {
		w.children(n)
		return
	}

	written := w.encoded(url)
	if spoken {
		written = w.pipeTokens(url, func(string) string { return oneLineFunc })
	}

	if w.same(url, w.words(n)) {
		if w.ts.match.MatchString(url) {
			w.word(written) // the values in the text are not encoded
		} else {
			w.children(n)
		}
		return
	}

	before := w.out.Len()
	w.children(n)
	trailing := w.blank
	w.blank = trailing || w.out.Len() > before
	w.word("<" + written + ">")
	w.blank = trailing
}

// readable returns the part of a link that readers of the text need. For a mail
// address or a telephone number that is the address or number alone.
func readable(url string) (text string, spoken bool) {
	for _, scheme := range []string{"mailto:", "tel:"} {
		if len(url) > len(scheme) && strings.EqualFold(url[:len(scheme)], scheme) && !strings.Contains(url, "?") {
			return url[len(scheme):], true
		}
	}
	return url, false
}

// words returns the text in an element.
func (w *textWriter) words(n *nethtml.Node) string {
	var b strings.Builder
	for c := range n.Descendants() {
		if c.Type == nethtml.TextNode || c.Type == nethtml.CommentNode {
			b.WriteString(c.Data)
		}
	}
	return strings.TrimSpace(b.String())
}

// same reports whether the text of a link is its URL, apart from the scheme and a
// slash at the end.
func (w *textWriter) same(url, text string) bool {
	bare := func(s string) string {
		s = strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://")
		return w.ts.restoreText(strings.TrimSuffix(s, "/"))
	}
	return bare(url) == bare(text)
}

// encoded makes the link in the text part the same as in the HTML: values are
// encoded as html/template encodes them there. A value at the beginning of a link
// may hold a whole URL; behind ? or # every delimiter is encoded.
func (w *textWriter) encoded(url string) string {
	return w.pipeTokens(urlBlanks.Replace(url), func(before string) string {
		switch {
		case strings.ContainsAny(before, "?#"):
			return urlQueryFunc
		case before == "":
			return urlFunc
		}
		return urlPathFunc
	})
}

// pipeTokens sends each value in a text through a function; choose names it, given
// the text that stands before the value.
func (w *textWriter) pipeTokens(text string, choose func(before string) string) string {
	var b, static strings.Builder
	at := 0
	for _, m := range w.ts.match.FindAllStringIndex(text, -1) {
		between := text[at:m[0]]
		word := text[m[0]:m[1]]
		static.WriteString(between)
		b.WriteString(between)
		at = m[1]
		if t := w.ts.get(word); t != nil && !t.control && t.src != nil {
			word = w.ts.add(t.pipedInto(choose(static.String())))
		}
		b.WriteString(word)
	}

	b.WriteString(text[at:])
	return b.String()
}

// rightTrim finds the end of an action that removes the white space behind it.
var rightTrim = regexp.MustCompile(`\s-\}\}$`)

// pipedInto returns a token of the same action, whose value goes through one more
// function at the end.
func (t *token) pipedInto(function string) token {
	piped := *t
	end := "}}"
	if rightTrim.MatchString(t.text) {
		end = " -}}"
	}
	action := strings.TrimSuffix(t.text, strings.TrimSpace(end))
	piped.text = strings.TrimSpace(action) + " | " + function + end
	return piped
}

// urlBlanks encodes what would end an author's URL in a text. Line ends and tabs
// are dropped, as browsers do.
var urlBlanks = strings.NewReplacer(" ", "%20", "<", "%3C", ">", "%3E", "\u00a0", "%C2%A0", "\n", "", "\r", "", "\t", "")

// wholeURL encodes a value that may be a whole link.
func wholeURL(s string) string { return urlPath(filterURL(s)) }

// urlPath encodes a value before ? and #; what is encoded stays.
func urlPath(s string) string { return percentEncode(s, true) }

// urlQuery encodes a value behind ? or #.
func urlQuery(s string) string { return percentEncode(s, false) }

// oneLine keeps a mail address or a telephone number in one piece.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
