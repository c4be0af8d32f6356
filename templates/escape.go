package templates

import "strings"

// htmlEscaper is html/template's name of the escaper for values in text.
const htmlEscaper = "_html_template_htmlescaper"

// flatFuncs are the functions that a flattened tree may call, and escapers those
// that may come last in an action. html/template does not export its own, so they
// are written here again, for plain text; FuzzFlatAgrees compares them with the
// originals. Escapers for scripts, style sheets and srcset are left to
// html/template.
var (
	flatFuncs = map[string]any{
		"default": funcs["default"],
		"upper":   funcs["upper"],
		"lower":   funcs["lower"],
		"title":   funcs["title"],
		"trim":    funcs["trim"],

		urlFunc:      wholeURL,
		urlPathFunc:  urlPath,
		urlQueryFunc: urlQuery,
		oneLineFunc:  oneLine,

		"_html_template_urlfilter":     filterURL,
		"_html_template_urlnormalizer": urlPath,
		"_html_template_urlescaper":    urlQuery,
	}
	escapers = map[string]appendFunc{
		htmlEscaper:                    appendEscaped,
		"_html_template_attrescaper":   appendEscaped,
		"_html_template_rcdataescaper": appendEscaped,
	}
)

// appendEscaped makes text safe in HTML text and in quoted attributes.
func appendEscaped(dst []byte, s string) []byte {
	done := 0
	for i := range len(s) {
		if entity := entities[s[i]]; entity != "" {
			dst = append(append(dst, s[done:i]...), entity...)
			done = i + 1
		}
	}
	return append(dst, s[done:]...)
}

var entities = [256]string{0: "\uFFFD", '"': "&#34;", '&': "&amp;", '\'': "&#39;", '+': "&#43;", '<': "&lt;", '>': "&gt;"}

// filterURL lets a link through only if it is relative or its scheme cannot run
// code.
func filterURL(s string) string {
	scheme, _, ok := strings.Cut(s, ":")
	if !ok || strings.Contains(scheme, "/") {
		return s
	}

	for _, safe := range []string{"http", "https", "mailto"} {
		if strings.EqualFold(scheme, safe) {
			return s
		}
	}

	return "#ZgotmplZ"
}

// percentEncode encodes what cannot stand in a URL (RFC 3986). In a whole URL,
// delimiters and what is already encoded stay as they are.
func percentEncode(s string, whole bool) string {
	const hex = "0123456789abcdef"
	var b []byte
	done := 0
	for i := range len(s) {
		if keptInURL(s, i, whole) {
			continue
		}
		b = append(append(b, s[done:i]...), '%', hex[s[i]>>4], hex[s[i]&15])
		done = i + 1
	}

	if done == 0 {
		return s
	}

	return string(append(b, s[done:]...))
}

func keptInURL(s string, i int, whole bool) bool {
	switch inURL[s[i]] {
	case everywhere:
		return true
	case delimiter:
		return whole
	}
	return s[i] == '%' && whole && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])
}

// inURL says which bytes stay as they are in a URL.
var inURL = func() (t [256]byte) {
	for _, c := range []byte("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") {
		t[c] = everywhere
	}
	for _, c := range []byte("!#$&*+,/:;=?@[]") {
		t[c] = delimiter
	}
	return t
}()

const (
	everywhere = 1 + iota // in any part of one
	delimiter             // in a whole one
)

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}
