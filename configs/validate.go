package configs

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

const (
	// minSecret is the least length of a secret in bytes: that of a SHA-256 key.
	minSecret = 32
	// TopicForm describes topics for "expected ...".
	TopicForm = "lower-case letters, digits, . _ and -, beginning with a letter or digit, at most 64"

	// MaxSenderDomain is the longest domain that mail can be from, in bytes: it
	// leaves room for what Message-IDs and return paths have before the @.
	MaxSenderDomain = 200

	// maxPublicURL leaves room for the longest token in a line of 998 octets.
	maxPublicURL = 250

	zoneForm      = "an IANA time zone such as Europe/Berlin or UTC"
	publicURLForm = "expected an address such as https://news.acme.example (http only on this machine), without user, query and #"
)

var (
	namespacePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	accountPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	topicPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	schemePattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://.`)
	labelPattern     = regexp.MustCompile(`^[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)
)

// IsTopic reports whether name can be a topic.
func IsTopic(name string) bool { return topicPattern.MatchString(name) }

// IsZone reports whether name is a time zone that means the same on every
// machine.
func IsZone(name string) bool {
	if name == "" || name == "Local" {
		return false
	}
	_, err := time.LoadLocation(name)
	return err == nil
}

func hasScheme(text string) bool { return schemePattern.MatchString(text) && !hasControl(text) }

// publicURL returns the URL as it stands in links and headers, or what is wrong
// with it: an international host as A-labels, a clean path, no final slash.
func publicURL(text string) (out, problem string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", "found " + quote(text) + ", " + publicURLForm
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return "", "found " + quote(text) + ", expected https: mailbox providers do not use a one-click unsubscribe link without it"
	case u.Scheme != "https" && u.Scheme != "http":
		return "", "found " + quote(text) + ", " + publicURLForm
	}

	host, ok := hostOfURL(u.Host, u.Hostname())
	if !ok {
		return "", "found " + quote(text) + ", whose host is no name that DNS can have; " + publicURLForm
	}
	u.Host = host
	out = strings.TrimRight(u.JoinPath().String(), "/")
	out = strings.ReplaceAll(out, ",", "%2C") // which separates links in List-Unsubscribe
	if len(out) > maxPublicURL {
		return "", fmt.Sprintf("found %d bytes, expected at most %d: a link with a token has to fit into a header line", len(out), maxPublicURL)
	}
	return out, ""
}

// hostOfURL returns the host of a URL, with its port if it has one, as DNS knows
// it. name is the host without port and brackets.
func hostOfURL(host, name string) (string, bool) {
	if _, err := netip.ParseAddr(name); err == nil {
		return host, true
	}
	domain, ok := Domain(name)
	return domain + strings.TrimPrefix(host, name), ok
}

// Domain returns a domain as DNS knows it: in lower case, with A-labels for
// international ones. ok is false when it cannot be one.
func Domain(name string) (domain string, ok bool) {
	if !isDomain(name) || strings.Contains(strings.ToLower(name), "xn--") {
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", false
		}
		name = ascii
	}
	return strings.ToLower(name), isDomain(name)
}

func secretProblem(text string) string {
	if len(text) < minSecret {
		return fmt.Sprintf("found %d bytes, expected %d or more; make one: %s", len(text), minSecret, makeSecret)
	}
	if strings.Contains(Example, text) {
		return "found the secret of the example file, which everyone knows; make one: " + makeSecret
	}
	return ""
}

func isListen(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || host != "" && !isHost(host) {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

// isHost reports whether text is an IP address or a name that DNS can have.
func isHost(text string) bool {
	if _, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return true
	}
	return isDomain(text)
}

// isReturnPath reports whether text is a domain to which bounces can go.
func isReturnPath(text string) bool { return len(text) <= MaxSenderDomain && isDomain(text) }

func isDomain(text string) bool {
	if len(text) > 253 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(text, "."), ".") {
		if !labelPattern.MatchString(label) {
			return false
		}
	}
	return true
}

// isLoopback reports whether host names this machine.
func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// isAddressPattern reports whether text is LOCAL@DOMAIN, with * for any run of
// characters in either.
func isAddressPattern(text string) bool {
	local, domain, ok := strings.Cut(text, "@")
	return ok && local != "" && domain != "" && !strings.ContainsAny(domain, "@ ") && !strings.Contains(local, " ")
}

// MatchAddress reports whether an address fits one of the patterns of only_to,
// in which * stands for any run of characters. Case does not matter.
func MatchAddress(patterns []string, address string) bool {
	local, domain, ok := cutLast(strings.ToLower(address), "@")
	if !ok {
		return false
	}
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		l, d, ok := strings.Cut(strings.ToLower(pattern), "@")
		return ok && glob(l, local) && glob(d, domain)
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// glob matches text with a pattern whose only wildcard is *.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	text, ok := strings.CutPrefix(text, parts[0])
	if len(parts) == 1 {
		return ok && text == ""
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return ok && strings.HasSuffix(text, last)
}

// checkAccountNames refuses names that a variable could not tell apart.
func checkAccountNames(m *Map, c *Config) {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		folded := strings.ReplaceAll(name, "_", "-")
		if other, twice := seen[folded]; twice {
			m.Problem("accounts."+name, "found this name beside %s, expected names that differ in more than _ and -", other)
		}
		seen[folded] = name
	}
}
