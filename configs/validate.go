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
	"unicode"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/internal/publicnet"
)

const (
	// minSecret is the least length of a secret in bytes: that of a SHA-256 key.
	minSecret = 32

	// maxPublicURL leaves room for the longest token in a line of 998 octets.
	maxPublicURL = 250

	publicURLForm = "an address such as https://news.acme.example (http only on this machine), without user, query and #"
)

var (
	namespacePattern = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	accountPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	regionPattern    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	schemePattern    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://.`)
)

func hasScheme(text string) bool {
	return schemePattern.MatchString(text) && !strings.ContainsFunc(text, unicode.IsControl)
}

// publicURL returns the URL as it stands in links and headers, or what is wrong
// with it: an international host as A-labels, a clean path, no final slash.
func publicURL(text string) (out, problem string) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", "found " + strictyaml.Quote(text) + ", expected " + publicURLForm
	case u.Scheme == "http" && !IsLoopback(u.Hostname()):
		return "", "found " + strictyaml.Quote(text) + ", expected https: mailbox providers do not use a one-click unsubscribe link without it"
	case u.Scheme != "https" && u.Scheme != "http":
		return "", "found " + strictyaml.Quote(text) + ", expected " + publicURLForm
	}

	host, ok := hostOfURL(u.Host, u.Hostname())
	if !ok {
		return "", "found " + strictyaml.Quote(text) + ", whose host is no name that DNS can have; expected " + publicURLForm
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
	domain, ok := campaign.Domain(name)
	return domain + strings.TrimPrefix(host, name), ok
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
	return campaign.IsDomain(text)
}

func isRegion(text string) bool { return regionPattern.MatchString(text) }

// isTokenURL reports whether text is an address to which a secret can be sent: https, or
// http on this machine.
func isTokenURL(text string) bool {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	return u.Scheme == "https" || u.Scheme == "http" && IsLoopback(u.Hostname())
}

// isReturnPath reports whether text is a domain to which bounces can go.
func isReturnPath(text string) bool {
	return len(text) <= campaign.MaxSenderDomain && campaign.IsDomain(text)
}

// IsLoopback reports whether host names this machine.
func IsLoopback(host string) bool { return publicnet.IsLoopback(host) }

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
func checkAccountNames(m *strictyaml.Map, c *Config) {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(c.Accounts)) {
		folded := strings.ReplaceAll(name, "_", "-")
		if other, twice := seen[folded]; twice {
			m.Problem("accounts."+name, "found this name as well as %s, expected names that differ in more than _ and -", other)
		}
		seen[folded] = name
	}
}
