package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"broadside/configs"
	"broadside/sender/oauth"
)

// keywordDone marks a message that was read, for people and for a reader that has
// forgotten the UIDs.
const keywordDone = imap.Flag("$BroadsideDone")

// maxIdle is the longest IDLE. Servers may end a session after 30 minutes, and RFC 2177
// wants it renewed before 29.
const maxIdle = 25 * time.Minute

// An imapSession is one login to a mailbox by IMAP. One goroutine uses it.
type imapSession struct {
	*box
	conn   *conn
	client *imapclient.Client
	news   chan struct{} // has an entry when the number of messages has changed
}

// openIMAP connects and logs in.
func (b *box) openIMAP(ctx context.Context) (_ *imapSession, err error) {
	c, err := b.dialer.open(ctx, b.Mailbox)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()

	s := &imapSession{box: b, conn: c, news: make(chan struct{}, 1)}
	options := &imapclient.Options{
		TLSConfig: b.dialer.tlsConfig(b.Mailbox),
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{
			Mailbox: func(data *imapclient.UnilateralDataMailbox) { s.hear(data) },
		},
	}
	if s.client, err = b.greet(ctx, c, options); err != nil {
		return nil, err
	}

	if err := s.logIn(ctx); err != nil {
		s.close()
		return nil, fmt.Errorf("log in as %s: %w", b.User, err)
	}
	return s, nil
}

func (s *imapSession) logIn(ctx context.Context) error {
	if s.tokens != nil {
		return s.loginByToken(ctx, s.imapMechanism(), s.authenticate)
	}
	s.conn.step(stepWithin, maxStep)
	return s.client.Login(s.User, s.Password.Reveal()).Wait()
}

// imapMechanism returns the mechanism to log in with: XOAUTH2 unless the server offers the
// other one alone.
func (s *imapSession) imapMechanism() string {
	s.conn.step(stepWithin, maxStep)
	can := s.client.Caps()
	if !can.Has("AUTH="+oauth.XOAUTH2) && can.Has("AUTH="+oauth.OAuthBearer) {
		return oauth.OAuthBearer
	}
	return oauth.XOAUTH2
}

// authenticate logs in once.
func (s *imapSession) authenticate(login *oauth.Login) error {
	s.conn.step(stepWithin, maxStep)
	return s.client.Authenticate(saslLogin{login})
}

// A saslLogin is a login with an access token as go-imap wants it.
type saslLogin struct{ *oauth.Login }

// Start returns the first message.
func (l saslLogin) Start() (mechanism string, first []byte, err error) {
	return l.Mechanism, l.Message(), nil
}

// Next answers a refusal. go-imap cannot send the empty line that XOAUTH2 has for that: it
// writes "=", which is no base64. Servers wait for any line and do not look at it, so they
// get that of RFC 7628 from both mechanisms.
func (l saslLogin) Next(document []byte) ([]byte, error) {
	_, err := l.Refused(document)
	return []byte{1}, err
}

// greet waits for the server's greeting, with TLS as the mailbox has it.
func (b *box) greet(ctx context.Context, c *conn, options *imapclient.Options) (*imapclient.Client, error) {
	if b.TLS == configs.TLSStartTLS {
		client, err := imapclient.NewStartTLS(c, options)
		if refused(err) {
			return nil, fmt.Errorf("begin TLS with STARTTLS: %w; expected a server that offers it: write imaps:// for one with TLS on port 993", err)
		}
		if err != nil {
			return nil, fmt.Errorf("begin TLS with STARTTLS: %w", err)
		}
		return client, nil
	}

	var over net.Conn = c
	if b.TLS == configs.TLSImplicit {
		var err error
		if over, err = b.dialer.secure(ctx, c, b.Mailbox); err != nil {
			return nil, err
		}
	}
	client := imapclient.New(over, options)
	if err := client.WaitGreeting(); err != nil {
		_ = client.Close()
		return nil, fmt.Errorf("wait for the greeting: %w", err)
	}
	return client, nil
}

// hear notes that there may be new messages. It runs in a goroutine of the client.
func (s *imapSession) hear(data *imapclient.UnilateralDataMailbox) {
	if data.NumMessages == nil {
		return
	}
	select {
	case s.news <- struct{}{}:
	default:
	}
}

// refused reports whether err is the server's answer NO or BAD to a command; the
// session goes on after it.
func refused(err error) bool {
	var answer *imap.Error
	return errors.As(err, &answer)
}

// lasting reports whether a refusal is about the message that was asked for, and not
// about the server at this moment (RFC 5530).
func lasting(err error) bool {
	var answer *imap.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Code {
	case imap.ResponseCodeUnavailable, imap.ResponseCodeInUse, imap.ResponseCodeLimit, imap.ResponseCodeServerBug:
		return false
	}
	return answer.Type == imap.StatusResponseTypeNo
}

// close ends the session. What it had to do is done.
func (s *imapSession) close() {
	s.conn.step(time.Second, maxStep)
	_ = s.client.Logout().Wait() // politeness
	_ = s.client.Close()
}

// search returns the UIDs of the messages that are to be read, in order.
func (s *imapSession) search(after imap.UID, folder *imap.SelectData) ([]imap.UID, error) {
	criteria := &imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagDeleted}}
	if s.Move != "" {
		criteria.NotFlag = append(criteria.NotFlag, imap.FlagFlagged) // see quarantine
	} else {
		criteria.UID = []imap.UIDSet{{imap.UIDRange{Start: after + 1}}} // to the end
		if allows(folder, keywordDone) {
			criteria.NotFlag = append(criteria.NotFlag, keywordDone)
		}
	}

	s.conn.step(stepWithin, maxStep)
	found, err := s.client.UIDSearch(criteria, nil).Wait()
	if err != nil {
		return nil, fmt.Errorf("search for new messages: %w", err)
	}
	return found.AllUIDs(), nil
}

// allows reports whether a flag can be kept in a folder.
func allows(folder *imap.SelectData, flag imap.Flag) bool {
	for _, f := range folder.PermanentFlags {
		if f == flag || f == imap.FlagWildcard && flag[0] != '\\' {
			return true
		}
	}
	return false
}

// errGone: the message is not there any more.
var errGone = errors.New("somebody else has taken the message away")

// fetch returns a message without marking it as seen, errGone when there is none.
func (s *imapSession) fetch(uid imap.UID) ([]byte, error) {
	s.conn.step(fetchWithin, maxStep)
	body := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: MaxMessage}}
	cmd := s.client.Fetch(imap.UIDSetNum(uid), &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{body}})

	var message []byte
	answered, found := false, false
	var readErr error
	for data := cmd.Next(); data != nil; data = cmd.Next() {
		answered = true
		for item := data.Next(); item != nil; item = data.Next() {
			section, ok := item.(imapclient.FetchItemDataBodySection)
			if ok && section.Literal != nil && !found {
				found = true
				message, readErr = io.ReadAll(section.Literal)
			}
		}
	}

	switch err := errors.Join(readErr, cmd.Close()); {
	case err != nil:
		return nil, fmt.Errorf("fetch message %d: %w", uid, err)
	case !answered:
		return nil, errGone
	case !found:
		return nil, fmt.Errorf("fetch message %d: found an answer without the message, expected BODY[]", uid)
	}
	return message[:min(len(message), MaxMessage)], nil
}

// wait returns after pause, or when there may be new messages.
func (s *imapSession) wait(ctx context.Context, pause time.Duration) error {
	pause = min(pause, maxIdle)
	s.conn.step(pause+stepWithin, maxStep)
	if !s.client.Caps().Has(imap.CapIdle) {
		return sleep(ctx, pause)
	}

	idle, err := s.client.Idle()
	if err != nil {
		return fmt.Errorf("wait for new messages with IDLE: %w", err)
	}
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.news:
	case <-s.client.Closed():
	case <-ctx.Done():
	}

	s.conn.step(stepWithin, maxStep)
	if err := errors.Join(idle.Close(), idle.Wait()); err != nil {
		return fmt.Errorf("end IDLE: %w", err)
	}
	return context.Cause(ctx)
}

// sleep waits for d; its error is that of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
