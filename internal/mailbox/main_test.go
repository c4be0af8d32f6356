package mailbox

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"broadside/configs"
	"broadside/internal/testkit"
	"broadside/sender/oauth"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// password is that of every mailbox; one that has to be escaped, so that a log line would
// show it in one form or another.
const password = "hunter2"

// A recorder is a sink that remembers the messages, by their subjects.
type recorder struct {
	refuse func(ctx context.Context, subject string) error // what becomes of a message; nil: it is stored

	mu     sync.Mutex
	stored []string // guarded by mu
	sizes  []int    // of what was handed over, in bytes; guarded by mu
	grown  chan struct{}
}

func newRecorder() *recorder { return &recorder{grown: make(chan struct{}, 1000)} }

func (r *recorder) Ingest(ctx context.Context, source string, message io.Reader, envelope ...string) error {
	all, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(all), "\n")
	subject := strings.TrimSpace(strings.TrimPrefix(first, "Subject:"))
	if strings.Contains(source, password) {
		return fmt.Errorf("the source shows the password: %s", source)
	}
	if len(envelope) > 0 {
		return fmt.Errorf("a mailbox knows no envelope, got %q", envelope)
	}
	if r.refuse != nil {
		if err := r.refuse(ctx, subject); err != nil {
			return err
		}
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	r.stored = append(r.stored, subject)
	r.sizes = append(r.sizes, len(all))
	select {
	case r.grown <- struct{}{}:
	default:
	}
	return nil
}

func (r *recorder) subjects() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.stored)
}

// letter is a message with a subject.
func letter(subject string) string {
	return "Subject: " + subject + "\r\nFrom: MAILER-DAEMON@mx.example\r\n\r\n.A line that begins with a dot.\r\n"
}

// A setting is a Dovecot, a Redis, and a sink.
type setting struct {
	t        *testing.T
	dovecot  *testkit.DovecotServer
	redis    *miniredis.Miniredis
	register *Register
	sink     *recorder
	roots    *x509.CertPool
	log      *lines
	aside    atomic.Int64 // messages in quarantine that the poller told of
}

func arrange(t *testing.T, capability string) *setting {
	t.Helper()
	return arrangeDovecot(t, testkit.DovecotConfig{Capability: capability})
}

// arrangeDovecot is arrange with a Dovecot of another configuration.
func arrangeDovecot(t *testing.T, cfg testkit.DovecotConfig) *setting {
	t.Helper()
	certs := testkit.Certs(t)
	pem, err := os.ReadFile(certs.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	s := &setting{t: t, sink: newRecorder(), roots: x509.NewCertPool(), log: &lines{}}
	s.roots.AppendCertsFromPEM(pem)
	cfg.User, cfg.Password, cfg.Cert = "bounces", password, certs.Valid
	s.dovecot = testkit.Dovecot(t, cfg)
	s.redis, s.register = newRegister(t)
	t.Cleanup(func() {
		if strings.Contains(s.log.String(), password) {
			t.Errorf("the log shows the password:\n%s", s.log)
		}
		if t.Failed() {
			t.Logf("log:\n%s", s.log)
		}
	})
	return s
}

func newRegister(t *testing.T) (*miniredis.Miniredis, *Register) {
	t.Helper()
	m := miniredis.RunT(t)
	rdb := redis.NewClient(&redis.Options{Addr: m.Addr(), MaxRetries: -1})
	t.Cleanup(func() { rdb.Close() })
	return m, NewRegister(rdb, "bs")
}

// mailbox returns the mailbox of a URL in which SCHEME://PORT stands for the address.
func (s *setting) mailbox(scheme string, port int, rest string) configs.Mailbox {
	s.t.Helper()
	m, problem := configs.ParseMailbox(fmt.Sprintf("%s://bounces:%s@127.0.0.1:%d%s", scheme, password, port, rest))
	if problem != "" {
		s.t.Fatal(problem)
	}
	return m
}

// poller returns a poller of mailboxes, with the Redis of the test.
func (s *setting) poller(boxes ...configs.Mailbox) *Poller {
	return New(Config{
		Mailboxes: boxes, Every: testEvery, Sink: s.sink, Register: s.register, Roots: s.roots,
		Tokens:      oauth.Alone(slog.New(slog.NewTextHandler(s.log, nil))),
		Quarantined: func(context.Context, string, string) error { s.aside.Add(1); return nil },
		Log:         slog.New(slog.NewTextHandler(s.log, nil)),
	})
}

// poll reads one mailbox once, which must succeed.
func (s *setting) poll(p *Poller) Came {
	s.t.Helper()
	r := p.Poll(s.t.Context())[0]
	if r.Err != nil {
		s.t.Fatalf("poll %s: %v\n%s", r.Mailbox, r.Err, s.dovecot.Log())
	}
	return r.Came
}

// in returns the subjects of the messages of a folder.
func (s *setting) in(folder string) []string {
	s.t.Helper()
	var subjects []string
	for _, text := range s.dovecot.Messages(folder) {
		first, _, _ := strings.Cut(text, "\r\n")
		subjects = append(subjects, strings.TrimPrefix(first, "Subject: "))
	}
	slices.Sort(subjects)
	return subjects
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// lines is a log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// dials has a poller connect in another way.
func (p *Poller) dials(dial func(ctx context.Context, network, address string) (net.Conn, error)) *Poller {
	for _, b := range p.boxes {
		b.dialer.dial = dial
	}
	return p
}
