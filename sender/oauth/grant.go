package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	grantTime   = 15 * time.Second // for one request with its answer
	maxAnswer   = 64 << 10         // bytes of an answer
	maxAccess   = 8 << 10          // bytes of an access token: it has to fit into a line of SMTP
	defaultLife = 10 * time.Minute // of a token that came without its lifetime
	maxLife     = 365 * 24 * time.Hour
)

// A grant is what the endpoint gave: an access token, and perhaps the refresh token
// that replaces the one that was sent.
type grant struct {
	access  string
	life    time.Duration
	refresh string // empty: the old one stays
}

// newClient returns the client of token endpoints. It follows no redirect, which would
// carry the secrets elsewhere, and keeps no connection: there is one request an hour.
func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true
	transport.MaxResponseHeaderBytes = maxAnswer
	return &http.Client{
		Transport: transport, Timeout: grantTime,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// exchange sends a refresh token (RFC 6749 section 6). The client's secret goes in the
// body, which Google, Microsoft and Yahoo all take. The error is an *Error.
func (s Source) exchange(ctx context.Context, client *http.Client, refresh string) (grant, error) {
	s.RefreshToken = refresh // what hide looks for
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refresh}, "client_id": {s.ClientID}}
	if s.ClientSecret != "" {
		form.Set("client_secret", s.ClientSecret)
	}

	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return grant{}, s.unreadable("the address cannot be asked")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")

	resp, err := client.Do(req)
	if err != nil {
		return grant{}, s.unreachable(withoutURL(err))
	}
	defer resp.Body.Close()

	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return grant{}, s.unreachable(fmt.Errorf("read the answer: %w", err))
	}
	return s.read(resp.StatusCode, body)
}

// withoutURL takes off the address that net/http puts in front of an error.
func withoutURL(err error) error {
	var around *url.Error
	if errors.As(err, &around) {
		return around.Err
	}
	return err
}

// An answer is a JSON document of RFC 6749 5.1 or 5.2.
type answer struct {
	AccessToken  string      `json:"access_token"`
	TokenType    string      `json:"token_type"`
	ExpiresIn    json.Number `json:"expires_in"` // seconds; some servers write it as a string
	RefreshToken string      `json:"refresh_token"`
	Error        string      `json:"error"`
	Description  string      `json:"error_description"`
}

// read understands an answer.
func (s Source) read(status int, body []byte) (grant, error) {
	if len(body) > maxAnswer {
		return grant{}, s.unreadable(fmt.Sprintf("it has more than %d bytes", maxAnswer))
	}
	var a answer
	err := json.Unmarshal(body, &a)
	switch {
	case status != http.StatusOK:
		return grant{}, s.refused(status, a.Error, a.Description) // as far as it can be read
	case err != nil:
		return grant{}, s.unreadable("it is no JSON document of the expected form")
	case !isToken(a.AccessToken) || len(a.AccessToken) > maxAccess:
		return grant{}, s.unreadable("it has no access_token that can be used")
	case a.TokenType != "" && !strings.EqualFold(a.TokenType, "bearer"):
		return grant{}, s.unreadable("its token_type is " + a.TokenType + ", expected Bearer")
	}

	g := grant{access: a.AccessToken, life: lifeOf(a.ExpiresIn)}
	if isToken(a.RefreshToken) {
		g.refresh = a.RefreshToken
	}
	return g, nil
}

// isToken reports whether text can be a token: RFC 6749 A.12 and A.17 allow printable
// ASCII, and a blank would end it in the login.
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// lifeOf returns for how long a token is valid.
func lifeOf(seconds json.Number) time.Duration {
	n, err := seconds.Float64()
	if err != nil || n < 1 {
		return defaultLife
	}
	return time.Duration(min(n, maxLife.Seconds()) * float64(time.Second))
}
