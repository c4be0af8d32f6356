package oauth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/url"

	"broadside/configs"
)

// A Source is where access tokens come from.
type Source struct {
	TokenURL     string // https; http on loopback only
	ClientID     string
	ClientSecret string // empty: a public client
	RefreshToken string
}

// SourceOf returns the source that a configuration describes.
func SourceOf(o configs.OAuth2) Source {
	return Source{TokenURL: o.TokenURL, ClientID: o.ClientID, ClientSecret: o.ClientSecret.Reveal(), RefreshToken: o.RefreshToken.Reveal()}
}

// check finds everything that can only be a mistake in the configuration.
func (s Source) check() error {
	var errs []error
	if err := checkURL(s.TokenURL); err != nil {
		errs = append(errs, err)
	}
	if s.ClientID == "" {
		errs = append(errs, errors.New("oauth2.client_id is missing: set it to the id of the application that was granted access"))
	}
	if s.RefreshToken == "" {
		errs = append(errs, errors.New("oauth2.refresh_token is missing: set it to the refresh token of the grant"))
	}
	return errors.Join(errs...)
}

// checkURL makes sure that secrets travel under TLS, or not over a network.
func checkURL(text string) error {
	const expected = "expected an address such as https://oauth2.googleapis.com/token"
	u, err := url.Parse(text)
	switch {
	case text == "":
		return fmt.Errorf("oauth2.token_url is missing: %s", expected)
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("oauth2.token_url is no address: %s", expected)
	case u.User != nil:
		return fmt.Errorf("oauth2.token_url has a user in it: %s, and the secret in client_secret", expected)
	case u.Scheme == "http" && !configs.IsLoopback(u.Hostname()):
		return fmt.Errorf("oauth2.token_url begins with http and %s is not this machine: secrets would travel in clear; %s", u.Hostname(), expected)
	}
	return nil
}

// host is the name of the token endpoint, for people.
func (s Source) host() string {
	u, err := url.Parse(s.TokenURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// fingerprint tells this grant from another one of the same account or mailbox. It is part of what
// is sealed: a token of another configuration does not open.
func (s Source) fingerprint() string {
	h := sha256.New()
	for _, part := range []string{s.TokenURL, s.ClientID, s.RefreshToken} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return string(h.Sum(nil))
}
