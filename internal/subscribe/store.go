package subscribe

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/configs"
)

//go:embed lua/ask.lua
var askLua string

// maxOutbox is how many messages wait at most; then people are asked to come again.
const maxOutbox = 10_000

// A Store keeps in Redis what subscriptions need. It is safe for concurrent use.
type Store struct {
	rdb    redis.UniversalClient
	prefix string
	ask    *redis.Script
}

// NewStore returns the store under a key prefix. lua makes a script of its source, as
// redis.NewScript does.
func NewStore(rdb redis.UniversalClient, prefix string, lua func(string) *redis.Script) *Store {
	return &Store{rdb: rdb, prefix: prefix + ":{subscribe}:", ask: lua(askLua)}
}

// A Proof says that the owner of an address has confirmed a subscription, and by which
// words. Its JSON is how it is stored, and what `person export --json` shows.
type Proof struct {
	List      string    `json:"list"`
	Form      string    `json:"form"`
	Topic     string    `json:"topic"`
	Asked     time.Time `json:"asked"`
	Confirmed time.Time `json:"confirmed"`
	Source    string    `json:"source"`
	Network   string    `json:"network,omitempty"` // that the reader asked from, cut off
	Language  string    `json:"language"`
	Text      string    `json:"text"`            // version of what the reader was shown
	Words     string    `json:"words,omitempty"` // that text; not stored with each proof
}

// A row is who waits for being put on a list.
type row struct {
	Address string            `json:"address"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// What ask.lua answers.
const (
	askedOK = iota
	askedNetwork
	askedAddress
	askedFull
)

// admit counts a request by the limits of a form, and puts the token into the outbox
// unless it is empty. A client that is not valid is not counted.
func (s *Store) admit(ctx context.Context, now time.Time, a address.Address, client netip.Addr, limits configs.SubscribeLimits, token string) (answer int, wait time.Duration, err error) {
	perNetwork := limits.PerNetwork
	network := limitedNetwork(client)
	if network == "" {
		perNetwork = 0
	}
	keys := []string{s.prefix + "asked:" + field(a), s.prefix + "from:" + digest(network), s.prefix + "outbox"}
	numbers, err := s.ask.Run(ctx, s.rdb, keys, now.UnixMilli(), limits.Every.Milliseconds(), limits.PerDay, perNetwork, token, maxOutbox).Int64Slice()
	if err == nil && len(numbers) != 2 {
		err = fmt.Errorf("found %d numbers, expected 2", len(numbers))
	}
	if err != nil {
		return 0, 0, fmt.Errorf("count a request to subscribe: %w", err)
	}
	return int(numbers[0]), time.Duration(numbers[1]) * time.Millisecond, nil
}

// field is where the proof of an address is: the SHA-256 of its canonical form.
func field(a address.Address) string {
	hash := a.Hash()
	return hex.EncodeToString(hash[:])
}

// digest names a network without saying it.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// due returns up to n tokens whose messages are to be sent now, the oldest first.
func (s *Store) due(ctx context.Context, now time.Time, n int64) ([]string, error) {
	tokens, err := s.rdb.ZRangeByScore(ctx, s.prefix+"outbox", &redis.ZRangeBy{Min: "-inf", Max: strconv.FormatInt(now.UnixMilli(), 10), Count: n}).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the outbox of confirmations", s.prefix+"outbox")
	}
	return tokens, nil
}

// later has a message sent at another time, if it still waits.
func (s *Store) later(ctx context.Context, token string, at time.Time) error {
	err := s.rdb.ZAddXX(ctx, s.prefix+"outbox", redis.Z{Score: float64(at.UnixMilli()), Member: token}).Err()
	if err != nil {
		return fmt.Errorf("put off a confirmation: %w", err)
	}
	return nil
}

// done takes a message out of the outbox.
func (s *Store) done(ctx context.Context, token string) error {
	if err := s.rdb.ZRem(ctx, s.prefix+"outbox", token).Err(); err != nil {
		return fmt.Errorf("take a confirmation out of the outbox: %w", err)
	}
	return nil
}

// A place is where proofs are: what somebody has agreed to.
type place struct{ list, topic string }

// text is how a place stands in the set of them; no name has a blank.
func (p place) text() string { return p.list + " " + p.topic }

func (s *Store) proofs(p place) string      { return s.prefix + "proofs:" + p.list + ":" + p.topic }
func (s *Store) waiting(list string) string { return s.prefix + "waiting:" + list }

// keepWords stores what readers are shown, by version.
func (s *Store) keepWords(ctx context.Context, words map[string]string) error {
	pipe := s.rdb.Pipeline()
	for version, text := range words {
		pipe.HSetNX(ctx, s.prefix+"texts", version, text)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store the texts of subscriptions: %w", err)
	}
	return nil
}

// confirm stores a proof and the row that is to be put on the list, both or neither.
func (s *Store) confirm(ctx context.Context, a address.Address, p Proof, r row) error {
	proof, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("store a confirmation: %w", err)
	}
	waits, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("store a confirmation: %w", err)
	}

	pipe := s.rdb.TxPipeline()
	at := place{p.List, p.Topic}
	pipe.SAdd(ctx, s.prefix+"places", at.text())
	pipe.HSet(ctx, s.proofs(at), field(a), proof)
	pipe.HSet(ctx, s.waiting(p.List), field(a), waits)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store a confirmation for list %s: %w", p.List, err)
	}
	return nil
}

// proof returns the proof of an address in a place; nil when there is none.
func (s *Store) proof(ctx context.Context, at place, a address.Address) (*Proof, error) {
	text, err := s.rdb.HGet(ctx, s.proofs(at), field(a)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, campaign.ReadError(err, "the confirmations of list "+at.list, s.proofs(at))
	}

	var p Proof
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, &campaign.BrokenError{What: "a confirmation of list " + at.list, Key: s.proofs(at), Err: err}
	}
	return &p, nil
}

// places returns where there are proofs, in order.
func (s *Store) places(ctx context.Context) ([]place, error) {
	texts, err := s.rdb.SMembers(ctx, s.prefix+"places").Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the lists with confirmations", s.prefix+"places")
	}
	slices.Sort(texts)
	var all []place
	for _, text := range texts {
		list, topic, _ := strings.Cut(text, " ")
		all = append(all, place{list, topic})
	}
	return all, nil
}

// Of returns the proofs of an address, with the words that its owner was shown.
func (s *Store) Of(ctx context.Context, a address.Address) ([]Proof, error) {
	places, err := s.places(ctx)
	if err != nil {
		return nil, err
	}

	found := []Proof{} // JSON of none is [], not null
	for _, at := range places {
		p, err := s.proof(ctx, at, a)
		if err != nil {
			return nil, err
		}
		if p == nil {
			continue
		}
		p.Words, err = s.rdb.HGet(ctx, s.prefix+"texts", p.Text).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, campaign.ReadError(err, "the texts of confirmations", s.prefix+"texts")
		}
		found = append(found, *p)
	}
	return found, nil
}

// Erase forgets the proofs of an address and rows of it that wait, and returns the lists
// of the proofs.
func (s *Store) Erase(ctx context.Context, a address.Address) ([]string, error) {
	places, err := s.places(ctx)
	if err != nil {
		return nil, err
	}

	lists := []string{}
	for _, at := range places {
		pipe := s.rdb.TxPipeline()
		pipe.HDel(ctx, s.waiting(at.list), field(a))
		had := pipe.HDel(ctx, s.proofs(at), field(a))
		if _, err := pipe.Exec(ctx); err != nil {
			return lists, fmt.Errorf("erase a confirmation of list %s: %w", at.list, err)
		}
		if had.Val() > 0 && !slices.Contains(lists, at.list) {
			lists = append(lists, at.list)
		}
	}
	return lists, nil
}

// Counts returns how many proofs each list has.
func (s *Store) Counts(ctx context.Context) (map[string]int64, error) {
	places, err := s.places(ctx)
	if err != nil {
		return nil, err
	}

	counts := map[string]int64{}
	for _, at := range places {
		n, err := s.rdb.HLen(ctx, s.proofs(at)).Result()
		if err != nil {
			return nil, campaign.ReadError(err, "the confirmations of list "+at.list, s.proofs(at))
		}
		counts[at.list] += n
	}
	return counts, nil
}

// rowsFor returns who waits for being put on a list, by the fields of the hash.
func (s *Store) rowsFor(ctx context.Context, list string) (map[string]row, error) {
	texts, err := s.rdb.HGetAll(ctx, s.waiting(list)).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the rows that wait for list "+list, s.waiting(list))
	}

	rows := make(map[string]row, len(texts))
	for name, text := range texts {
		var r row
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, &campaign.BrokenError{What: "a row that waits for list " + list, Key: s.waiting(list), Err: err}
		}
		rows[name] = r
	}
	return rows, nil
}

// arrived takes rows off those that wait: they are on the list.
func (s *Store) arrived(ctx context.Context, list string, fields []string) error {
	if err := s.rdb.HDel(ctx, s.waiting(list), fields...).Err(); err != nil {
		return fmt.Errorf("take rows off those that wait for list %s: %w", list, err)
	}
	return nil
}

// leaseFor is how long the others wait after the process that sends was killed.
const leaseFor = 10 * time.Second

// lease takes or renews the right to send, and reports whether holder has it. It saves
// work: two that send at once only send a message twice.
func (s *Store) lease(ctx context.Context, holder string) (bool, error) {
	key := s.prefix + "lease"
	taken, err := s.rdb.SetNX(ctx, key, holder, leaseFor).Result()
	if err != nil || taken {
		return taken, leaseError(err)
	}

	now, err := s.rdb.Get(ctx, key).Result()
	if err != nil || now != holder {
		return false, leaseError(err)
	}
	return true, leaseError(s.rdb.PExpire(ctx, key, leaseFor).Err())
}

// release gives the right up, so that another process has it at once.
func (s *Store) release(ctx context.Context, holder string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if now, err := s.rdb.Get(ctx, s.prefix+"lease").Result(); err == nil && now == holder {
		_ = s.rdb.Del(ctx, s.prefix+"lease").Err() // else it runs out by itself
	}
}

func leaseError(err error) error {
	if err == nil || errors.Is(err, redis.Nil) { // it has just run out
		return nil
	}
	return fmt.Errorf("take the right to send confirmations: %w", err)
}
