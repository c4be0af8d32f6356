package subscribe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"broadside/campaign/address"
	"broadside/campaign/audience"
	"broadside/campaign/suppression"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/outage"
	"broadside/sender/reply"
)

// LinkLife is how long a link confirms.
const LinkLife = 7 * 24 * time.Hour

// ConfirmPath is what comes between the public URL and the token of a link.
const ConfirmPath = configs.SubscribePath + "confirm/"

// Sources of requests; an operator may name others.
const (
	SourcePage = "page"
	SourceAPI  = "api"
)

const (
	// maxValue is how many bytes a reader may write into a field.
	maxValue = 100
	// maxSource is how many bytes the source that an operator names may have.
	maxSource = 100

	// How long Redis may take for one request.
	askWithin     = 5 * time.Second
	confirmWithin = 8 * time.Second
)

// A Suppressor tells what is suppressed, and takes back what a reader has left;
// *suppression.Store is one.
type Suppressor interface {
	Check(ctx context.Context, addresses ...string) ([]suppression.Result, error)
	Undo(ctx context.Context, e suppression.Entry) (bool, error)
}

// A Courier sends one message at once, within the limits of an account. An error says
// that no server has answered about the message; it may be tried again later.
type Courier interface {
	Send(ctx context.Context, account, from, to string, message []byte) (reply.Reply, error)
}

// Config is what a Service needs.
type Config struct {
	Settings    *configs.Config
	Keys        *token.Keys
	Store       *Store
	Suppression Suppressor
	Courier     Courier

	// Import adds rows to a list.
	Import func(ctx context.Context, list string, rows *audience.Reader, o audience.ImportOptions) (audience.Imported, error)

	Now func() time.Time // nil: time.Now
	Log *slog.Logger
}

// A Service has the forms of an installation. It is safe for concurrent use.
type Service struct {
	cfg Config
	set *configs.Config
	now func() time.Time
	log *slog.Logger

	letters  map[string]map[string]*letter // by form and language
	accounts map[string]string             // by form
	wake     chan struct{}                 // something is to be sent, or put on a list
	holds    atomic.Bool                   // this process sends
	sending  *outage.Notice
	joining  *outage.Notice
	joins    map[string]time.Time // when the next rows may go to a list; of Run alone
}

// New returns the service. The error has every problem of the forms and their letters.
func New(cfg Config) (*Service, error) {
	s := &Service{
		cfg: cfg, set: cfg.Settings, now: cfg.Now, log: cfg.Log, letters: map[string]map[string]*letter{}, accounts: map[string]string{}, wake: make(chan struct{}, 1), joins: map[string]time.Time{},
		sending: outage.NewNotice(cfg.Log, "confirmations of subscriptions cannot be sent, they wait", "confirmations of subscriptions are sent again"),
		joining: outage.NewNotice(cfg.Log, "confirmed subscriptions cannot be put on their list, they wait", "confirmed subscriptions are put on their list again"),
	}
	if s.now == nil {
		s.now = time.Now
	}

	var errs []error
	if len(cfg.Settings.Subscribe) > 0 {
		_, err := cfg.Settings.SubscribeLink("")
		errs = append(errs, err)
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Settings.Subscribe)) {
		errs = append(errs, s.open(name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return s, nil
}

// open reads the letters of a form, and finds its account.
func (s *Service) open(name string) error {
	f := s.set.Subscribe[name]
	acct, err := accountOf(s.set, name)
	s.accounts[name] = acct
	own, letterErr := readLetter(name, f)
	if letterErr != nil {
		return errors.Join(err, letterErr)
	}

	s.letters[name] = map[string]*letter{}
	for _, language := range configs.Languages {
		if f.Language != "" && language != f.Language {
			continue
		}
		l, letterErr := newLetter(s.set, name, language, own)
		if letterErr != nil {
			return errors.Join(err, letterErr) // the other languages have the same
		}
		s.letters[name][language] = l
	}
	return err
}

// accountOf returns the account by which the confirmations of a form leave.
func accountOf(cfg *configs.Config, name string) (string, error) {
	if acct := cfg.Subscribe[name].Account; acct != "" {
		return acct, nil
	}

	if acct := cfg.SingleAccount(); acct != "" {
		return acct, nil
	}
	if len(cfg.Accounts) == 0 {
		return "", failure.Invalid("subscribe." + name + ": no account is configured, and none can send confirmations")
	}
	all := slices.Sorted(maps.Keys(cfg.Accounts))
	return "", failure.Invalid(fmt.Sprintf("subscribe.%s.account: missing, expected the account that sends confirmations: there are %s", name, strings.Join(all, ", ")))
}

// A Form is what a page shows of a form.
type Form struct {
	Name     string
	Topic    string // what readers call it
	Language string
	Fields   []string
	Redirect string
	Words    Words // {topic} is filled in
}

// Form returns a form in a language, or in its own; false where there is none of the name.
func (s *Service) Form(name, language string) (Form, bool) {
	l := s.letter(name, language)
	if l == nil {
		return Form{}, false
	}

	f := s.set.Subscribe[name]
	language = spoken(f, language)
	words := wordsOf[language]
	fill := strings.NewReplacer("{topic}", l.topic)
	words.Title = fill.Replace(words.Title)
	words.Text = fill.Replace(words.Text)
	return Form{Name: name, Topic: l.topic, Language: language, Fields: f.Fields, Redirect: f.Redirect, Words: words}, true
}

// letter returns the letter of a form in a language, or in the form's own; nil where
// there is no such form.
func (s *Service) letter(name, language string) *letter {
	return s.letters[name][spoken(s.set.Subscribe[name], language)]
}

// spoken returns the language of a form for who would like one: its own, if it has one.
func spoken(f configs.SubscribeForm, language string) string {
	if f.Language == "" && slices.Contains(configs.Languages, language) {
		return language
	}
	return cmp.Or(f.Language, configs.Languages[0])
}

// A Request is what somebody asks for.
type Request struct {
	Form     string
	Address  string
	Fields   map[string]string // of the form; others are refused
	Language string            // one of configs.Languages
	Source   string
	Client   netip.Addr // may be none
}

// An InputError says what is wrong with a request, in words for the log of the program that sent
// it; pages have words of their own.
type InputError struct {
	Field string // "email", or one of the form's
	Text  string
}

// Error returns the field and what is wrong with it.
func (e *InputError) Error() string { return e.Field + ": " + e.Text }

// A LimitError says that a request came too early.
type LimitError struct {
	Network bool // it is about the network, and not about the address
	Wait    time.Duration
}

// Error says so.
func (e *LimitError) Error() string {
	if e.Network {
		return "too many requests from one network: try again in " + e.Wait.Round(time.Second).String()
	}
	return "this address got a message a short while ago, or has got too many today: try again in " + e.Wait.Round(time.Second).String()
}

// errFull says that too many messages wait already.
var errFull = errors.New("too many confirmations wait to be sent")

// ErrExpired says that a link is older than LinkLife.
var ErrExpired = errors.New("the link to confirm a subscription is too old")

// Ask has the message sent that lets its reader confirm a subscription. Nil says nothing
// of the address: it is returned also when it has got a message a short while ago, and
// when it is suppressed. Otherwise the error is an *InputError, a *LimitError about the
// network, errFull, or trouble with Redis.
func (s *Service) Ask(ctx context.Context, r Request) error {
	a, sealed, err := s.seal(r)
	if err != nil {
		return err
	}

	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	answer, wait, err := s.cfg.Store.admit(ctx, s.now(), a, r.Client, s.set.Subscribe[r.Form].Limits, sealed)
	switch {
	case err != nil:
		return err
	case answer == askedNetwork:
		return &LimitError{Network: true, Wait: wait}
	case answer == askedFull:
		return errFull
	case answer == askedOK:
		s.rouse()
	}
	return nil
}

// Invite sends the message of a request now, and returns what the server said of it. Who
// asks is an operator: limits of the address and suppressions are errors of the kind
// failure.ErrRefused.
func (s *Service) Invite(ctx context.Context, r Request) (reply.Reply, error) {
	a, sealed, err := s.seal(r)
	if input, ok := errors.AsType[*InputError](err); ok {
		return reply.Reply{}, failure.Invalid(input.Error())
	}
	if err != nil {
		return reply.Reply{}, err
	}
	if only := s.set.OnlyTo; len(only) > 0 && !configs.MatchAddress(only, a.String()) {
		return reply.Reply{}, failure.Refused(fmt.Sprintf("%s does not match only_to (%s), and this installation mails no other addresses", a, strings.Join(only, ", ")))
	}

	asked, err := s.cfg.Keys.OpenSubscribe(sealed)
	if err != nil {
		return reply.Reply{}, err
	}
	_, stop, err := s.standing(ctx, asked, a)
	if err != nil {
		return reply.Reply{}, err
	}
	if stop != nil {
		return reply.Reply{}, failure.Refused(fmt.Sprintf("%s is suppressed (%s, %s), and confirming would not change that; nothing was sent", a, stop.Scope, stop.Reason))
	}

	answer, wait, err := s.cfg.Store.admit(ctx, s.now(), a, netip.Addr{}, s.set.Subscribe[r.Form].Limits, "")
	switch {
	case err != nil:
		return reply.Reply{}, err
	case answer != askedOK:
		return reply.Reply{}, failure.Refused((&LimitError{Wait: wait}).Error() + "; nothing was sent")
	}
	if err := s.keepWords(ctx); err != nil { // there may be no Run that does
		return reply.Reply{}, err
	}
	return s.send(ctx, asked, a, sealed)
}

// seal checks a request, and makes the token of its link.
func (s *Service) seal(r Request) (address.Address, string, error) {
	l := s.letter(r.Form, r.Language)
	if l == nil {
		return address.Address{}, "", failure.Invalid(fmt.Sprintf("no form %q; %s", r.Form, configs.Known(r.Form, s.set.Subscribe)))
	}
	a, err := address.Parse(strings.TrimSpace(r.Address))
	if err != nil {
		return a, "", &InputError{"email", fmt.Sprintf("not an address that can get mail: %v", err)}
	}

	fields, err := checkFields(s.set.Subscribe[r.Form].Fields, r.Fields)
	if err != nil {
		return a, "", err
	}
	if len(r.Source) > maxSource || strings.ContainsFunc(r.Source, unicode.IsControl) || !utf8.ValidString(r.Source) {
		return a, "", &InputError{"source", fmt.Sprintf("expected one line of at most %d bytes", maxSource)}
	}

	sealed, err := s.cfg.Keys.SealSubscribe(token.Subscribe{
		Form: r.Form, Address: a.String(), Fields: fields, Text: l.version, Language: spoken(s.set.Subscribe[r.Form], r.Language),
		Source: r.Source, Network: shownNetwork(r.Client), Asked: s.now().UTC().Truncate(time.Millisecond),
	})
	return a, sealed, err
}

// checkFields returns the values that a reader has filled in. A link or an address in one
// would make the message an advertisement of somebody else.
func checkFields(known []string, values map[string]string) (map[string]string, error) {
	var fields map[string]string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := strings.TrimSpace(values[name])
		lower := strings.ToLower(value)
		switch {
		case !slices.Contains(known, name):
			return nil, &InputError{name, "the form has no such field"}
		case value == "":
			continue
		case len(value) > maxValue:
			return nil, &InputError{name, fmt.Sprintf("found %d bytes, expected at most %d", len(value), maxValue)}
		case !utf8.ValidString(value) || strings.ContainsFunc(value, func(r rune) bool {
			return unicode.IsControl(r) || strictyaml.ChangesDirection(r) || r == '\u2028' || r == '\u2029'
		}):
			return nil, &InputError{name, "expected one line of text"}
		case strings.Contains(lower, "://") || strings.Contains(lower, "www.") || strings.Contains(lower, "@"):
			return nil, &InputError{name, "found a link or an address, expected neither"}
		}
		if fields == nil {
			fields = map[string]string{}
		}
		fields[name] = value
	}
	return fields, nil
}

// Link returns the address behind which a token is confirmed.
func (s *Service) link(sealed string) string { return s.set.PublicURL + ConfirmPath + sealed }

// rouse has Run look at once.
func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}
