package strictyaml

import (
	"net/url"
	"strings"
)

// ShownURL returns a URL without its user and password, the values of its query, and parts
// of its path that look like a secret, which some services have there: a name for logs,
// tables and records. Of a text that cannot be taken apart only the scheme is left.
func ShownURL(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return text
	}
	if _, err := url.Parse(withoutVariables(text)); err != nil {
		return scheme + "://..."
	}

	rest, _, _ = strings.Cut(rest, "#")
	rest, _, hasQuery := strings.Cut(rest, "?")
	host, path, hasPath := strings.Cut(rest, "/")
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}

	shown := scheme + "://" + host
	if hasPath {
		parts := strings.Split(path, "/")
		for i, part := range parts {
			if looksSecret(part) {
				parts[i] = "..."
			}
		}
		shown += "/" + strings.Join(parts, "/")
	}
	if hasQuery {
		shown += "?..."
	}
	return shown
}

// looksSecret reports whether a part of a path is long, and has what words do not have. A
// reference to a variable is shown: it is not the secret.
func looksSecret(part string) bool {
	part = variable.ReplaceAllString(part, "")
	return len(part) >= 12 && strings.ContainsFunc(part, func(r rune) bool { return r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' })
}
