package mailbox

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/configs"
	"broadside/internal/testkit"
	"broadside/sender/oauth"
)

// An issuer gives access tokens, numbered from 1, and knows which of them are good.
type issuer struct {
	*httptest.Server

	mu     sync.Mutex
	issued int             // guarded by mu
	bad    map[string]bool // guarded by mu
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	i := &issuer{bad: map[string]bool{}}
	i.Server = httptest.NewServer(http.HandlerFunc(i.serve))
	t.Cleanup(i.Close)
	return i
}

func (i *issuer) serve(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == "/token" {
		if r.PostFormValue("refresh_token") != "the-refresh-token" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"invalid_grant"}`)
			return
		}
		i.issued++
		fmt.Fprintf(w, `{"access_token":"%s","token_type":"Bearer","expires_in":3600}`, accessToken(i.issued))
		return
	}
	token := r.FormValue("token")
	good := strings.HasPrefix(token, "access-token-") && !i.bad[token]
	fmt.Fprintf(w, `{"active":%t,"username":"bounces"}`, good)
}

func accessToken(n int) string { return fmt.Sprintf("access-token-%d", n) }

// withdraw makes a token a bad one.
func (i *issuer) withdraw(token string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.bad[token] = true
}

func (i *issuer) access(refresh string) *configs.OAuth2 {
	return &configs.OAuth2{TokenURL: i.URL + "/token", ClientID: "app", RefreshToken: configs.Secret(refresh)}
}

// byToken makes a mailbox one that logs in with access tokens.
func byToken(m configs.Mailbox, access *configs.OAuth2) configs.Mailbox {
	m.Password = ""
	m.OAuth2 = access
	return m
}

// Dovecot takes an access token by IMAP and POP3, in clear and under TLS.
func TestReadsWithAccessTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := arrangeDovecot(t, testkit.DovecotConfig{Introspection: i.URL + "/introspect"})
	boxes := []configs.Mailbox{
		s.mailbox("imap", s.dovecot.IMAP, ""),
		s.mailbox("imaps", s.dovecot.IMAPS, "/INBOX?move=Processed"),
		s.mailbox("pop3", s.dovecot.POP3, ""),
		s.mailbox("pop3s", s.dovecot.POP3S, ""),
	}
	for n, box := range boxes {
		subject := fmt.Sprintf("letter %d", n)
		s.dovecot.Deliver("INBOX", letter(subject))
		got := s.poll(s.poller(byToken(box, i.access("the-refresh-token"))))
		if got.Stored == 0 {
			t.Errorf("%s: got %+v, want the letter", box, got)
		}
	}
	if got := s.sink.subjects(); !strings.Contains(strings.Join(got, ","), "letter 3") {
		t.Errorf("stored %q", got)
	}
}

// A token that the server does not take says so in the words of its document, and no token
// is in the error or in the log.
func TestRefusedAccessTokens(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	s := arrangeDovecot(t, testkit.DovecotConfig{Introspection: i.URL + "/introspect"})
	for n := range 10 {
		i.withdraw(accessToken(n))
	}
	for _, tt := range []struct {
		name    string
		box     configs.Mailbox
		refresh string
		want    []string
	}{
		{"IMAP", s.mailbox("imap", s.dovecot.IMAP, ""), "the-refresh-token", []string{"log in as bounces", "(status ", "check that the user is the mailbox"}},
		{"POP3", s.mailbox("pop3", s.dovecot.POP3, ""), "the-refresh-token", []string{"log in as bounces", "(status ", "check that the user is the mailbox"}},
		{"no grant", s.mailbox("imap", s.dovecot.IMAP, ""), "another", []string{"log in as bounces", "invalid_grant", "grant access again"}},
	} {
		r := s.poller(byToken(tt.box, i.access(tt.refresh))).Poll(t.Context())[0]
		for _, want := range tt.want {
			if r.Err == nil || !strings.Contains(r.Err.Error(), want) {
				t.Errorf("%s: got %v, want an error with %q", tt.name, r.Err, want)
			}
		}
		if shown := fmt.Sprint(r.Err, s.log); strings.Contains(shown, "access-token-") || strings.Contains(shown, "the-refresh") {
			t.Errorf("%s: a secret is in %s", tt.name, shown)
		}
	}
}

// A token that was issued a while ago and is withdrawn is replaced; what the client says is
// what RFC 7628, and Google's description of XOAUTH2, ask for.
func TestWithdrawnAccessTokenIsReplaced(t *testing.T) {
	t.Parallel()
	line := func(token string) string {
		return base64.StdEncoding.EncodeToString([]byte("user=bounces\x01auth=Bearer " + token + "\x01\x01"))
	}
	bearer := base64.StdEncoding.EncodeToString([]byte("n,a=bounces,\x01host=mail.acme.example\x01port=993\x01auth=Bearer access-token-1\x01\x01"))
	document := base64.StdEncoding.EncodeToString([]byte(`{"status":"400","scope":"https://mail.acme.example/"}`))
	for _, tt := range []struct{ name, protocol, script string }{
		{"IMAP", configs.IMAP, `
S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER] ready
C: T1 AUTHENTICATE XOAUTH2 ` + line("old-token-of-the-test") + `
S: + ` + document + `
C: AQ==
S: T1 NO [AUTHENTICATIONFAILED] no
C: T2 AUTHENTICATE XOAUTH2 ` + line("access-token-1") + `
S: T2 NO [UNAVAILABLE] busy`},
		{"IMAP without initial responses", configs.IMAP, `
S: * OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER] ready
C: T1 AUTHENTICATE OAUTHBEARER
S: +
C: ` + bearer + `
S: T1 NO [UNAVAILABLE] busy`},
		{"POP3", configs.POP3, `
S: +OK ready
C: AUTH XOAUTH2
S: +
C: ` + line("old-token-of-the-test") + `
S: + ` + document + `
C:
S: -ERR [AUTH] no
C: AUTH XOAUTH2
S: +
C: ` + line("access-token-1") + `
S: -ERR [SYS/TEMP] busy`},
		{"POP3 that has no challenge", configs.POP3, `
S: +OK ready
C: AUTH XOAUTH2
S: -ERR [SYS/TEMP] busy`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			i := newIssuer(t)
			_, register := newRegister(t)
			box := configs.Mailbox{Protocol: tt.protocol, TLS: configs.TLSNone, Host: "mail.acme.example", Port: 993, User: "bounces", Folder: "INBOX", OAuth2: i.access("the-refresh-token")}
			p := New(Config{Mailboxes: []configs.Mailbox{box}, Sink: newRecorder(), Register: register, Tokens: oauth.Alone(slog.New(slog.DiscardHandler)), Log: slog.New(slog.DiscardHandler)})
			if strings.Contains(tt.script, line("old-token-of-the-test")) {
				p.boxes[0].tokens = &oldToken{next: p.boxes[0].tokens}
			}
			server := playServer(t, tt.script)
			p.dials(func(context.Context, string, string) (net.Conn, error) { return server.client, nil })
			r := p.Poll(t.Context())[0]
			if r.Err == nil || !strings.Contains(r.Err.Error(), "busy") {
				t.Errorf("got %v, want the last answer", r.Err)
			}
			if problem := server.end(); problem != "" {
				t.Error(problem)
			}
		})
	}
}

// An oldToken is a token that was issued a while ago, before those of next.
type oldToken struct {
	next    tokens
	refused bool
}

func (o *oldToken) Token(ctx context.Context) (string, error) {
	if o.refused {
		return o.next.Token(ctx)
	}
	return "old-token-of-the-test", nil
}

func (o *oldToken) Refused(context.Context, string) bool {
	again := !o.refused
	o.refused = true
	return again
}

// A played is a server that says what a script has behind S: and expects what it has
// behind C:.
type played struct {
	client net.Conn
	done   chan string
}

func playServer(t *testing.T, script string) *played {
	t.Helper()
	client, server := net.Pipe()
	p := &played{client: client, done: make(chan string, 1)}
	go func() {
		p.done <- play(server, strings.Split(strings.TrimSpace(script), "\n"))
		_ = server.Close()
	}()
	t.Cleanup(func() { _ = client.Close() })
	return p
}

// end returns what went otherwise than in the script.
func (p *played) end() string { return <-p.done }

func play(conn net.Conn, script []string) string {
	in := bufio.NewReader(conn)
	for _, line := range script {
		said, isServer := strings.CutPrefix(line, "S: ")
		if isServer {
			fmt.Fprintf(conn, "%s\r\n", said)
			continue
		}
		want := strings.TrimPrefix(strings.TrimPrefix(line, "C:"), " ")
		got, err := in.ReadString('\n')
		if got = strings.TrimRight(got, "\r\n"); err != nil || got != want {
			return fmt.Sprintf("the client says %q (%v), want %q", got, err, want)
		}
	}
	return ""
}

// Tokens are shared by all processes, under the key of the mailbox.
func TestAccessTokensOfAMailboxAreShared(t *testing.T) {
	t.Parallel()
	i := newIssuer(t)
	m, _ := newRegister(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	box := configs.Mailbox{Protocol: configs.IMAP, Host: "imap.acme.example", Port: 993, User: "bounces", Folder: "INBOX", OAuth2: i.access("the-refresh-token")}
	for range 2 {
		store, err := oauth.New(rdb, "bs", []string{"0123456789abcdef0123456789abcdef"}, redis.NewScript, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		tokens, err := store.Mailbox(box)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := tokens.Token(t.Context()); err != nil || got != accessToken(1) {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if key := "bs:mailbox:" + box.ID() + ":oauth"; !m.Exists(key) {
		t.Errorf("there is no key %s; there are %q", key, m.Keys())
	}
}

// FuzzPOP3Login reads what a server may say to a login with an access token. It comes to an
// end, and no error shows the token.
func FuzzPOP3Login(f *testing.F) {
	f.Add("+ \r\n+ eyJzdGF0dXMiOiI0MDAifQ==\r\n-ERR [AUTH] no\r\n")
	f.Add("+OK\r\n")
	f.Add("+\r\n+\r\n+\r\n+\r\n")
	f.Add("-ERR the-access-token\r\n")
	f.Add("+ no base64\r\n")
	f.Fuzz(func(t *testing.T, says string) {
		p := &pop3Client{step: func(time.Duration, int64) {}, text: textproto.NewConn(&scriptConn{Reader: strings.NewReader(says)})}
		login := &oauth.Login{Mechanism: oauth.XOAUTH2, User: "bounces", Token: "the-access-token"}
		err := p.authenticate(login)
		if err == nil && !strings.Contains(says, "+OK") {
			t.Errorf("%q is a login", says)
		}
		if err != nil && strings.Contains(tokenError(login, err).Error(), login.Token) {
			t.Errorf("%q: the error shows the token: %v", says, tokenError(login, err))
		}
	})
}
