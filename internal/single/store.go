package single

import (
	"context"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
)

var (
	//go:embed lua/put.lua
	putSource string
	//go:embed lua/take.lua
	takeSource string
	//go:embed lua/claim.lua
	claimSource string
	//go:embed lua/settle.lua
	settleSource string
)

// maxWaiting is how many messages wait at most.
const maxWaiting = 10_000

// ErrNone is returned for a message that is not known.
var ErrNone = errors.New("no such message")

// A Status is how a message stands.
type Status struct {
	ID        string
	MessageID string // of RFC 5322, without brackets
	Template  string
	State     campaign.State
	Attempts  int    // those that were charged
	Account   string // of the last try
	Code      int    // of the last reply; 0: none came
	Enhanced  string
	Reply     string // the last one, without addresses, or why no server was asked
	Created   time.Time
	Changed   time.Time // when the state became what it is
	Next      time.Time // the next try; zero where there is none
}

// Waits reports whether the message will be tried, or tried again.
func (s Status) Waits() bool { return s.State == campaign.Pending || s.State == campaign.Deferred }

// A stored message is a Status with what only this package needs.
type stored struct {
	Status
	print   string // of the request, sealed
	token   string // of the last claim
	content []byte // sealed
	expires time.Time
}

// Store is where messages are, for all processes. It is safe for concurrent use.
type Store struct {
	rdb                      redis.UniversalClient
	prefix                   string
	put, take, claim, settle *redis.Script
}

// NewStore returns the store under prefix; lua makes a script of its source.
func NewStore(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script) *Store {
	return &Store{rdb: rdb, prefix: prefix + ":{send}:", put: lua(putSource), take: lua(takeSource), claim: lua(claimSource), settle: lua(settleSource)}
}

func (s *Store) due() string              { return s.prefix + "due" }
func (s *Store) message(id string) string { return s.prefix + "message:" + id }

func (s *Store) of(a address.Address) string {
	hash := a.Hash()
	return s.prefix + "of:" + hex.EncodeToString(hash[:16])
}

// add stores a message that is taken first at a moment, and is kept until another. It
// reports false when the id is known already.
func (s *Store) add(ctx context.Context, m stored, to address.Address, made string, first, until time.Time) (bool, error) {
	answer, err := s.put.Run(ctx, s.rdb, []string{s.message(m.ID), s.due(), s.of(to)},
		m.ID, first.UnixMilli(), maxWaiting, until.Sub(m.Created).Milliseconds(), made,
		"message_id", m.MessageID, "template", m.Template, "state", m.State.String(), "print", m.print, "content", m.content,
		"created", m.Created.UnixMilli(), "changed", m.Created.UnixMilli(), "next", m.Created.UnixMilli(), "expires", m.expires.UnixMilli()).Int()
	switch {
	case err != nil:
		return false, fmt.Errorf("store message %s: %w", m.ID, err)
	case answer < 0:
		return false, ErrFull
	}
	return answer == 1, nil
}

// get reads a message. The error is ErrNone when it is not known.
func (s *Store) get(ctx context.Context, id string) (stored, error) {
	fields, err := s.rdb.HGetAll(ctx, s.message(id)).Result()
	if err != nil {
		return stored{}, campaign.ReadError(err, "message "+id, s.message(id))
	}
	if len(fields) == 0 {
		return stored{}, fmt.Errorf("message %s: %w", id, ErrNone)
	}

	m, err := parse(id, fields)
	if err != nil {
		return stored{}, &campaign.BrokenError{What: "message " + id, Key: s.message(id), Err: err}
	}
	return m, nil
}

// parse reads what put.lua and settle.lua have written.
func parse(id string, fields map[string]string) (stored, error) {
	state, ok := campaign.ParseState(fields["state"])
	if !ok {
		return stored{}, fmt.Errorf("state: found %.40q", fields["state"])
	}
	m := stored{
		Status: Status{
			ID: id, MessageID: fields["message_id"], Template: fields["template"], State: state, Account: fields["account"],
			Enhanced: fields["enhanced"], Reply: fields["reply"],
		},
		print: fields["print"], token: fields["token"], content: []byte(fields["content"]),
	}

	var errs []error
	number := func(name string) int64 {
		text := fields[name]
		if text == "" {
			return 0
		}
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: found %.40q, expected a number", name, text))
		}
		return n
	}
	m.Attempts = int(number("attempts"))
	m.Code = int(number("code"))
	m.Created = time.UnixMilli(number("created")).UTC()
	m.Changed = time.UnixMilli(number("changed")).UTC()
	m.expires = time.UnixMilli(number("expires")).UTC()
	if m.Waits() {
		m.Next = time.UnixMilli(number("next")).UTC()
	}
	return m, errors.Join(errs...)
}

// takeDue gives out messages that are due, which are due for others at a later moment.
func (s *Store) takeDue(ctx context.Context, now, again time.Time, n int) ([]string, error) {
	ids, err := s.take.Run(ctx, s.rdb, []string{s.due()}, now.UnixMilli(), again.UnixMilli(), n).StringSlice()
	if err != nil {
		return nil, fmt.Errorf("take messages that are due: %w", err)
	}
	return ids, nil
}

// keep puts off when a message that is in hand is due for others.
func (s *Store) keep(ctx context.Context, id string, again time.Time) error {
	err := s.rdb.ZAddArgs(ctx, s.due(), redis.ZAddArgs{XX: true, GT: true, Members: []redis.Z{{Score: float64(again.UnixMilli()), Member: id}}}).Err()
	if err != nil {
		return fmt.Errorf("keep message %s in hand: %w", id, err)
	}
	return nil
}

// drop takes a message out of the queue that has no content any more.
func (s *Store) drop(ctx context.Context, id string) error {
	if err := s.rdb.ZRem(ctx, s.due(), id).Err(); err != nil {
		return fmt.Errorf("take message %s out of the queue: %w", id, err)
	}
	return nil
}

// forget forgets a message that was not sent, so that its key is free.
func (s *Store) forget(ctx context.Context, id string) error {
	if err := s.rdb.Del(ctx, s.message(id)).Err(); err != nil {
		return fmt.Errorf("forget message %s: %w", id, err)
	}
	return nil
}

// claimFor takes a message for one transaction, under a token. It reports false when
// another has it, or its outcome is known.
func (s *Store) claimFor(ctx context.Context, id, token string, now, until time.Time) (bool, error) {
	ok, err := s.claim.Run(ctx, s.rdb, []string{s.message(id), s.due()}, id, token, now.UnixMilli(), until.UnixMilli()).Bool()
	if err != nil {
		return false, fmt.Errorf("claim message %s: %w", id, err)
	}
	return ok, nil
}

// note records how a message stands after a try; token is that of the claim, empty
// without one. It reports false when that is not for the caller to say.
func (s *Store) note(ctx context.Context, st Status, token string) (bool, error) {
	next := ""
	if st.Waits() {
		next = strconv.FormatInt(st.Next.UnixMilli(), 10)
	}
	ok, err := s.settle.Run(ctx, s.rdb, []string{s.message(st.ID), s.due()}, st.ID, token, next,
		"state", st.State.String(), "attempts", st.Attempts, "account", st.Account, "code", st.Code, "enhanced", st.Enhanced,
		"reply", st.Reply, "changed", st.Changed.UnixMilli(), "next", next).Bool()
	if err != nil {
		return false, fmt.Errorf("record the outcome of message %s: %w", st.ID, err)
	}
	return ok, nil
}

// Waiting returns how many messages are not sent yet.
func (s *Store) Waiting(ctx context.Context) (int64, error) {
	n, err := s.rdb.ZCard(ctx, s.due()).Result()
	if err != nil {
		return 0, fmt.Errorf("count the messages that wait: %w", err)
	}
	return n, nil
}

// Of returns the messages for an address that are known, the newest first.
func (s *Store) Of(ctx context.Context, a address.Address) ([]Status, error) {
	ids, err := s.rdb.LRange(ctx, s.of(a), 0, -1).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the single messages for an address", s.of(a))
	}
	all := []Status{}
	for _, id := range ids {
		m, err := s.get(ctx, id)
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, m.Status)
	}
	return all, nil
}

// Erase forgets which messages an address got, and cancels those that wait for it. It
// returns how many it has forgotten.
func (s *Store) Erase(ctx context.Context, a address.Address, now time.Time) (int, error) {
	all, err := s.Of(ctx, a)
	if err != nil {
		return 0, err
	}
	for _, st := range all {
		if !st.Waits() {
			continue
		}
		st.State = campaign.Cancelled
		st.Reply = "the address was erased"
		st.Changed = now
		if _, err := s.note(ctx, st, ""); err != nil {
			return 0, err
		}
	}
	if err := s.rdb.Del(ctx, s.of(a)).Err(); err != nil {
		return 0, fmt.Errorf("forget the single messages for an address: %w", err)
	}
	return len(all), nil
}
