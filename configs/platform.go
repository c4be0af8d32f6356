package configs

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"broadside/configs/strictyaml"
)

// platformLayer reads the variables that hosting platforms set: REDIS_URL, or
// REDIS_TLS_URL where they have one with TLS in addition; PORT (web listens there); and
// SMTP_URL (an account named default).
func platformLayer(vars map[string]string) (layer, strictyaml.Problems) {
	l := layer{}
	var problems strictyaml.Problems
	for _, name := range []string{"REDIS_URL", "REDIS_TLS_URL"} { // the last one is used
		if v, ok := vars[name]; ok {
			l.set(&strictyaml.Node{Kind: strictyaml.Scalar, At: strictyaml.Place{Env: name}, Text: v}, "redis_url")
		}
	}
	if v, ok := vars["PORT"]; ok {
		at := strictyaml.Place{Env: "PORT"}
		if port, err := strconv.Atoi(v); err != nil || port < 0 || port > 65535 {
			problems = append(problems, at.Problem("", "found %s, expected a port number from 0 to 65535", strictyaml.Quote(v)))
		} else {
			l.set(&strictyaml.Node{Kind: strictyaml.Scalar, At: at, Text: ":" + v}, "listen")
		}
	}
	if v, ok := vars["SMTP_URL"]; ok {
		at := strictyaml.Place{Env: "SMTP_URL"}
		account, message := smtpURL(v)
		if message != "" {
			problems = append(problems, at.Problem("", "%s", message))
		}
		for key, text := range account {
			l.set(&strictyaml.Node{Kind: strictyaml.Scalar, At: at, Text: text}, "accounts", "default", key)
		}
	}
	return l, problems
}

// smtpURL reads smtp://USER:PASSWORD@HOST:PORT (STARTTLS is required) or
// smtps:// (TLS from the first byte), with ?tls=MODE as in the file, into the
// keys of an account. The message does not show the URL: it has a password.
func smtpURL(text string) (account map[string]string, message string) {
	const form = "expected smtp://USER:PASSWORD@HOST:PORT or smtps://... (special characters of the password as %XX)"
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return nil, "found something else (not shown), " + form
	}
	account = map[string]string{"host": u.Hostname()}
	switch strings.ToLower(u.Scheme) {
	case "smtp":
		account["tls"] = TLSStartTLS
	case "smtps":
		account["tls"] = TLSImplicit
	default:
		return nil, "found scheme " + strictyaml.Quote(u.Scheme) + ", " + form
	}
	if port := u.Port(); port != "" {
		account["port"] = port
	}
	if u.User != nil {
		account["username"] = u.User.Username()
		if password, ok := u.User.Password(); ok {
			account["password"] = password
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, "found a query that is none, expected ?tls=none or no query"
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if key != "tls" || len(query[key]) != 1 {
			return nil, "found the parameter " + strictyaml.Quote(key) + ", expected ?tls=none or no query"
		}
		account["tls"] = query[key][0]
	}
	return account, ""
}
