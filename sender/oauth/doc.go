// Package oauth gets the access tokens with which accounts and mailboxes log in by
// XOAUTH2, and has the messages of that login.
//
// An operator grants access once and configures the refresh token of that grant.
// It is exchanged for access tokens, which last about an hour:
//
//	store, err := oauth.New(rdb, "bs", secrets, lua, log)
//	tokens, err := store.Account("main", oauth.Source{TokenURL: ..., RefreshToken: ...})
//	token, err := tokens.Token(ctx)
//	login := oauth.Login{Mechanism: oauth.XOAUTH2, User: ..., Token: token}
//
// It promises that all processes of an installation use the same access token, which
// one of them renews when four fifths of its life are over; that a token goes on to be
// used while it cannot be renewed and is still valid; and that no token and no client
// secret is in an error, in a log, or readable in Redis.
//
// A server that hands out a new refresh token with an access token (RFC 6749 section 6)
// expects it from then on: it is kept next to the access token. When it stops working the
// configured one is tried. What was kept for another configuration does not count.
//
//	{acct:<name>}:oauth         access token, sealed; ends before the token does
//	{acct:<name>}:oauth-refresh the refresh token that replaced the configured one, sealed
//	{acct:<name>}:oauth-lease   the right to renew, for seconds; it saves requests and protects nothing
//	mailbox:<hash of the URL>:oauth, oauth-refresh, oauth-lease   the same of a mailbox
//
// The client of the token endpoint is our own: golang.org/x/oauth2 keeps tokens in the
// process alone, renews without saying when, and puts what the endpoint answers into its
// errors as it is.
package oauth
