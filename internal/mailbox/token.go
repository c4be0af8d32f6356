package mailbox

import (
	"context"
	"errors"
	"fmt"

	"broadside/sender/oauth"
)

// tokens are the access tokens of a mailbox; *oauth.Tokens has them.
type tokens interface {
	// Token returns a token that is valid now.
	Token(ctx context.Context) (string, error)
	// Refused says that the server did not take a token, and reports whether Token has
	// another one that is worth a try.
	Refused(ctx context.Context, token string) (again bool)
}

// loginByToken logs in with an access token, by authenticate. A token that was issued a
// while ago may have been withdrawn since: it is replaced, once. No error shows a token.
func (b *box) loginByToken(ctx context.Context, mechanism string, authenticate func(*oauth.Login) error) error {
	var failed error
	for range 2 {
		token, err := b.tokens.Token(ctx)
		var none *oauth.Error
		if errors.As(err, &none) {
			return fmt.Errorf("%w; %s", err, none.Hint())
		}
		if err != nil {
			return err
		}

		login := &oauth.Login{Mechanism: mechanism, User: b.User, Host: b.Host, Port: b.Port, Token: token}
		err = authenticate(login)
		if err == nil {
			return nil
		}
		failed = tokenError(login, err)
		if !notTaken(err) || !b.tokens.Refused(ctx, token) {
			return failed
		}
	}
	return failed
}

// notTaken reports whether a server has refused a login, and not only for the moment.
func notTaken(err error) bool { return lasting(err) || lastingPOP3(err) }

// tokenError says why a login with an access token failed, what the server's document says
// about it, and what to do.
func tokenError(login *oauth.Login, err error) error {
	text := login.Hide(err.Error())
	if document := login.Refusal(); document != "" {
		text += " (" + document + ")"
	}
	if !notTaken(err) {
		return errors.New(text)
	}
	return errors.New(text + ": check that the user is the mailbox that granted access, and that the grant has the scope to read mail " +
		"(https://mail.google.com/ for Gmail, IMAP.AccessAsUser.All or POP.AccessAsUser.All below https://outlook.office.com/ for Microsoft 365)")
}
