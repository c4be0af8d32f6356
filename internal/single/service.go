package single

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/outage"
	"broadside/internal/sealed"
	"broadside/sender/reply"
)

// Purpose is what the secrets are used for here; see package sealed.
const Purpose = "broadside send seal"

// maxKey bounds a key, in bytes.
const maxKey = 255

// A Reader reads a template, and everything that its messages are made from.
type Reader func(ctx context.Context, file string) (*campaign.Definition, campaign.Snapshot, error)

// A Courier sends one message at once, within the limits of an account. claim is called
// before the first byte of the body; nothing of it is sent after an error, which is
// returned. An error says that the server does not have the message.
type Courier interface {
	SendClaimed(ctx context.Context, account, from, to string, message []byte, claim func(context.Context) error) (reply.Reply, error)
}

// Suppressions tells what is suppressed, and takes addresses that turn out to be dead;
// *suppression.Store is one.
type Suppressions interface {
	Check(ctx context.Context, addresses ...string) ([]suppression.Result, error)
	Add(ctx context.Context, entries ...suppression.Entry) (int, error)
	Confirm(ctx context.Context, canonical string, wanted int) (bool, error)
}

// Config is what a Service needs.
type Config struct {
	Settings    *configs.Config
	Keys        *token.Keys
	Seal        sealed.Keys // of Purpose
	Store       *Store
	Suppression Suppressions
	Courier     Courier
	Read        Reader
	// Local refuses accounts on other machines: the store forgets at exit what was sent.
	Local bool
	// Classify says what a reply means.
	Classify func(reply.Reply) reply.Decision

	Now func() time.Time // nil: time.Now
	Log *slog.Logger
}

// A Service takes single messages, and sends them where its Run runs. It is safe for
// concurrent use.
type Service struct {
	cfg     Config
	now     func() time.Time
	log     *slog.Logger
	letters letters
	wake    chan struct{} // a message is due
	storing *outage.Notice

	hands sync.WaitGroup // messages in hand
}

// New returns a service.
func New(cfg Config) *Service {
	s := &Service{cfg: cfg, now: cfg.Now, log: cfg.Log, wake: make(chan struct{}, 1)}
	if s.now == nil {
		s.now = time.Now
	}
	s.storing = outage.NewNotice(s.log, "single messages cannot be sent, they wait", "single messages are sent again")
	return s
}

// A Request asks for one message.
type Request struct {
	Template string // file
	To       string
	Data     map[string]string // as ParseData returns it
	Account  string            // empty: that of the template, or of the configuration
	// Key names the request: all with the same key are one message. Empty: it is asked for
	// once.
	Key string
}

// Accept takes a message, which Run sends in this process or another, and returns how it
// stands. created is false when its key was used before: then it is the message of that
// time. The error is Problems, one of the templates, ErrSuppressed, ErrConflict, ErrFull or
// one of the store; then nothing was taken.
func (s *Service) Accept(ctx context.Context, r Request) (st Status, created bool, err error) {
	st, created, err = s.admit(ctx, r, 0)
	if err == nil && created {
		s.rouse()
	}
	return st, created, err
}

// admit checks a request, makes its message, and stores it. It is due for others after a
// while.
func (s *Service) admit(ctx context.Context, r Request, after time.Duration) (Status, bool, error) {
	a, print, err := s.check(r)
	if err != nil {
		return Status{}, false, err
	}
	id := newID(r.Key)
	if r.Key != "" {
		st, err := s.known(ctx, id, print)
		if !errors.Is(err, ErrNone) {
			return st, false, err
		}
	}

	l, accounts, err := s.open(ctx, r)
	if err != nil {
		return Status{}, false, err
	}
	if err := s.refuse(ctx, a, l.def.Topic); err != nil {
		return Status{}, false, err
	}

	now := s.now().UTC().Truncate(time.Millisecond)
	m := stored{
		Status:  Status{ID: id, MessageID: l.messageID(s.cfg.Keys, id), Template: l.def.ID, State: campaign.Pending, Created: now, Changed: now, Next: now},
		expires: now.Add(l.def.Delivery.ExpiresAfter),
	}
	text, err := l.compose(m.MessageID, a.String(), r.Data, now)
	if err != nil {
		return Status{}, false, err
	}
	d := l.def.Delivery
	m.content, err = s.seal(id, content{From: l.from, To: a.String(), Topic: l.def.Topic, Accounts: accounts, Message: text, Retry: d.Retry, MaxAttempts: d.MaxAttempts})
	if err != nil {
		return Status{}, false, err
	}
	m.print = string(s.cfg.Seal.Seal([]byte(print), printOf(id)))

	created, err := s.cfg.Store.add(ctx, m, a, rand.Text(), now.Add(after), m.expires.Add(s.cfg.Settings.Retention.Runs))
	if err != nil || created {
		return m.Status, created, err
	}
	st, err := s.known(ctx, id, print) // another request was quicker
	return st, false, err
}

// known returns the message of a key that was used. The error is ErrNone when it was not,
// and ErrConflict when it was used for another message.
func (s *Service) known(ctx context.Context, id, print string) (Status, error) {
	m, err := s.cfg.Store.get(ctx, id)
	if err != nil {
		return Status{}, err
	}
	same, err := s.cfg.Seal.Open([]byte(m.print), printOf(id))
	if err == nil && string(same) != print { // else the secret that it was sealed with has gone
		return Status{}, refused(ErrConflict, "the key was used for another message, of "+m.Created.Format(time.RFC3339)+
			": template, address, data or account are not the same; take a new key for a new message")
	}
	return m.Status, nil
}

// printOf is what the print of a request is sealed for. A plain hash would let short
// secrets among the data, such as a code of six digits, be guessed.
func printOf(id string) string { return "print of " + id }

// check checks what can be said of a request without its template. print tells requests
// apart that have the same key.
func (s *Service) check(r Request) (a address.Address, print string, err error) {
	var problems Problems
	a, err = address.Parse(strings.TrimSpace(r.To))
	if err != nil {
		problems = append(problems, Problem{"to", fmt.Sprintf("not an address that can get mail: %v", err)})
	}
	if len(r.Key) > maxKey || strings.ContainsFunc(r.Key, func(c rune) bool { return c < ' ' || c > '~' }) {
		problems = append(problems, Problem{"key", fmt.Sprintf("expected printable ASCII of at most %d bytes", maxKey)})
	}
	if _, ok := s.cfg.Settings.Accounts[r.Account]; r.Account != "" && !ok {
		problems = append(problems, Problem{"account", fmt.Sprintf("no account %q; %s", r.Account, configs.Known(r.Account, s.cfg.Settings.Accounts))})
	}
	if err := problems.err(); err != nil {
		return a, "", err
	}

	h := sha256.New()
	name := strings.TrimSuffix(filepath.Base(r.Template), ".yaml")
	for _, text := range []string{name, a.Canonical(), r.Account} {
		fmt.Fprintf(h, "%d:%s", len(text), text)
	}
	for _, field := range slices.Sorted(maps.Keys(r.Data)) {
		fmt.Fprintf(h, "%d:%s%d:%s", len(field), field, len(r.Data[field]), r.Data[field])
	}
	return a, hex.EncodeToString(h.Sum(nil)[:16]), nil
}

var lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// newID returns the id of a message: that of its key, else a new one. So the store needs
// nothing to find the message of a key.
func newID(key string) string {
	if key == "" {
		return strings.ToLower(rand.Text())
	}
	sum := sha256.Sum256([]byte("broadside send key\x00" + key))
	return lower.EncodeToString(sum[:16])
}

// open returns the template of a request, and the accounts that may send it in the order
// in which they are tried.
func (s *Service) open(ctx context.Context, r Request) (*letter, []string, error) {
	l, err := s.letters.open(ctx, s.cfg.Read, r.Template)
	if err != nil {
		return nil, nil, err
	}
	problems := l.check(r.Data)
	accounts := l.snapshot.Accounts
	switch only := s.cfg.Settings.SingleAccount(); {
	case r.Account != "":
		accounts = []string{r.Account}
	case len(accounts) > 0:
		accounts = slices.Clone(accounts)
		slices.SortStableFunc(accounts, func(a, b string) int { return cmp.Compare(standIn(l, a), standIn(l, b)) })
	case only != "":
		accounts = []string{only}
	default:
		problems = append(problems, Problem{"account", "missing, and there is not just one account for transactional mail: name one, set delivery.accounts in the template, or stream: transactional at one account in " +
			s.cfg.Settings.Where() + "; configured are: " + strings.Join(slices.Sorted(maps.Keys(s.cfg.Settings.Accounts)), ", ")})
	}
	if err := problems.err(); err != nil {
		return nil, nil, err
	}
	for _, name := range accounts {
		if acct := s.cfg.Settings.Accounts[name]; s.cfg.Local && !acct.Loopback() {
			return nil, nil, failure.Refused(fmt.Sprintf("account %s sends to %s, and without redis_url (or REDIS_URL) Broadside forgets at exit what it has sent: "+
				"the embedded store sends to this machine only", name, acct.Host))
		}
	}
	return l, accounts, nil
}

// standIn returns 1 for an account that is there for when no other can, else 0.
func standIn(l *letter, account string) int {
	if weight, ok := l.snapshot.Weights[account]; ok && weight == 0 {
		return 1
	}
	return 0
}

// refuse reports why an address gets no message of a topic.
func (s *Service) refuse(ctx context.Context, a address.Address, topic string) error {
	if only := s.cfg.Settings.OnlyTo; len(only) > 0 && !configs.MatchAddress(only, a.String()) {
		return refused(ErrSuppressed, fmt.Sprintf("the address does not match only_to (%s), and this installation mails no others; nothing was sent", strings.Join(only, ", ")))
	}
	stop, err := s.standing(ctx, a, topic)
	if err != nil || stop == nil {
		return err
	}
	return refused(ErrSuppressed, fmt.Sprintf("the address is suppressed (%s, %s, since %s); nothing was sent", stop.Scope, stop.Reason, stop.At.UTC().Format(time.DateOnly)))
}

// standing returns the entry that keeps an address from getting a message; nil when there
// is none. What is suppressed for everything stays so, but for one thing: who has left
// all newsletters still gets what they ask for themselves. Entries of a topic hold where
// the template is of that topic.
func (s *Service) standing(ctx context.Context, a address.Address, topic string) (*suppression.Entry, error) {
	results, err := s.cfg.Suppression.Check(ctx, a.Canonical())
	if err != nil {
		return nil, err
	}
	for _, r := range results {
		e := r.Entry
		ofAll := e.Scope == suppression.All && e.Reason != suppression.ReasonUnsubscribe
		ofTopic := topic != "" && e.Scope == suppression.Topic(topic)
		if r.Suppressed && (ofAll || ofTopic) {
			return &e, nil
		}
	}
	return nil, nil
}

// A content is what is needed to send a message.
type content struct {
	From, To    string // of the envelope
	Topic       string
	Accounts    []string
	Message     []byte // RFC 5322
	Retry       []time.Duration
	MaxAttempts int
}

func (s *Service) seal(id string, c content) ([]byte, error) {
	if len(s.cfg.Seal) == 0 {
		return nil, failure.Invalid("secrets: missing, expected at least one: contents are sealed with it")
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("store message %s: %w", id, err)
	}
	return s.cfg.Seal.Seal(text, id), nil
}

func (s *Service) unseal(m stored) (content, error) {
	text, err := s.cfg.Seal.Open(m.content, m.ID)
	if err != nil {
		return content{}, err
	}
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		return content{}, fmt.Errorf("read message %s: %w", m.ID, err)
	}
	return c, nil
}

// rouse has Run look at once.
func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
