package campaign

import (
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"broadside/configs/strictyaml"
	"broadside/internal/publicnet"
)

const (
	// maxRemote is the most bytes of the address of a source elsewhere.
	maxRemote = 2000
	// maxQuery is the most bytes of a query.
	maxQuery = 64 << 10

	webForm      = "an address such as https://acme.example/people.csv (http only on this machine), with user, password and query where they are needed, without #"
	databaseForm = "an address such as postgres://USER:PASSWORD@HOST/DATABASE"
	percentHint  = "; write / as %2F, ? as %3F, # as %23, @ as %40 and % as %25 in user and password"
)

// A Remote is a source on another machine: a file on the web, or a query of a database. It
// is read when a run is made. Its address may have secrets in it, as they are or as ${NAME}
// of the environment; every way of printing a Remote leaves them out.
type Remote struct {
	Address      string `json:"-"` // https://, http://, postgres:// or postgresql://, or ${NAME} alone; empty: there is none
	Query        string `json:",omitempty"`
	AllowPrivate bool   `json:",omitempty"` // it may have an address that is not on the public Internet
}

// IsZero reports whether there is none.
func (r Remote) IsZero() bool { return r.Address == "" }

// IsDatabase reports whether it is a query of a database.
func (r Remote) IsDatabase() bool { return r.Query != "" || hasScheme(r.Address, databaseSchemes...) }

// String returns the address without its secrets.
func (r Remote) String() string { return strictyaml.ShownURL(r.Address) }

// GoString keeps the secrets out of %#v.
func (r Remote) GoString() string { return r.String() }

// LogValue keeps the secrets out of logs.
func (r Remote) LogValue() slog.Value { return slog.StringValue(r.String()) }

// URL returns the address with its variables filled in. problem says what is wrong with
// it, without showing it; "" when nothing is. variable looks one up.
func (r Remote) URL(variable func(name string) (string, bool)) (text, problem string) {
	text, problem = strictyaml.Expand(r.Address, func(name string) (string, string) {
		value, ok := variable(name)
		if !ok || value == "" {
			return "", "the variable " + name + " is not set in the environment of this process"
		}
		return value, ""
	})
	if problem == "" {
		problem = r.check(text)
	}
	return text, problem
}

var (
	webSchemes      = []string{"https", "http"}
	databaseSchemes = []string{"postgres", "postgresql"}
)

func hasScheme(text string, schemes ...string) bool {
	scheme, _, ok := strings.Cut(text, "://")
	for _, s := range schemes {
		if ok && strings.EqualFold(scheme, s) {
			return true
		}
	}
	return false
}

// IsRemote reports whether text is meant as the address of a source on another machine.
func IsRemote(text string) bool {
	return hasScheme(text, webSchemes...) || hasScheme(text, databaseSchemes...) || strictyaml.IsVariable(text)
}

// checkForm says what is wrong with an address as it was written, "" when nothing is.
func (r Remote) checkForm() (problem string) {
	text, problem := strictyaml.Expand(r.Address, func(string) (string, string) { return "1", "" })
	if problem != "" || strictyaml.IsVariable(r.Address) {
		return problem
	}
	return r.check(text)
}

// check says what is wrong with an address whose variables are filled in.
func (r Remote) check(text string) (problem string) {
	form := webForm
	schemes := webSchemes
	if r.IsDatabase() {
		form = databaseForm
		schemes = databaseSchemes
	}
	found := "found " + strconv.Quote(r.String()) // not text, in which variables are filled in
	if strictyaml.IsVariable(r.Address) {
		found = "found another value in the variable (not shown)"
	}

	u, err := url.Parse(text)
	switch {
	case !hasScheme(text, schemes...):
		return found + ", expected " + form
	case len(text) > maxRemote:
		return found + ", which is longer than 2000 bytes, expected " + form
	case err != nil || strings.ContainsFunc(text, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }):
		return found + ", which cannot be read as an address, expected " + form + percentHint
	case u.Fragment != "" || strings.HasSuffix(text, "#"):
		return found + " with #, expected " + form + percentHint
	case r.IsDatabase():
		return ""
	case u.Hostname() == "", u.Scheme == "http" && !publicnet.IsLoopback(u.Hostname()):
		return found + ", expected " + form
	}
	return ""
}
