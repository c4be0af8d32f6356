package subscribe

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
)

// A Kept is a proof with all that is stored of it, for a copy elsewhere.
type Kept struct {
	Hash string `json:"sha256"` // of the address, in hex
	Proof
	Waits *row `json:"row,omitempty"` // who is not on the list yet
}

// Check returns what is wrong with a proof that comes from elsewhere; nil when nothing is.
func (k Kept) Check() error {
	hash, err := hex.DecodeString(k.Hash)
	switch {
	case err != nil || len(hash) != sha256.Size:
		return fmt.Errorf("sha256 is not %d hexadecimal digits", 2*sha256.Size)
	case k.List == "" || !campaign.IsTopic(k.Topic):
		return fmt.Errorf("found list %q and topic %q, expected the names of both", k.List, k.Topic)
	case k.Asked.IsZero() || k.Confirmed.IsZero():
		return errors.New("found no time, expected when it was asked for and confirmed")
	case k.Waits == nil:
		return nil
	}

	a, err := address.Parse(k.Waits.Address)
	if err != nil {
		return err
	}
	if field(a) != k.Hash {
		return errors.New("the address of its row is another one")
	}
	return nil
}

// copied is how many proofs are read and written at once.
const copied = 1000

// Each calls do for every proof. One that is stored while it reads may be left out. The row of a proof
// is on the list, or comes with it: a list that is read later has all the others.
func (s *Store) Each(ctx context.Context, do func(Kept) error) error {
	places, err := s.places(ctx)
	if err != nil {
		return err
	}
	for _, at := range places {
		if err := s.eachOf(ctx, at, do); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) eachOf(ctx context.Context, at place, do func(Kept) error) error {
	key := s.proofs(at)
	for cursor := uint64(0); ; {
		pairs, next, err := s.rdb.HScan(ctx, key, cursor, "", copied).Result()
		if err != nil {
			return campaign.ReadError(err, "the confirmations of list "+at.list, key)
		}
		page, err := s.page(ctx, at, pairs)
		if err != nil {
			return err
		}
		for _, k := range page {
			if err := do(k); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
		cursor = next
	}
}

// page returns the proofs of one answer of HSCAN, with the rows of them that wait.
func (s *Store) page(ctx context.Context, at place, pairs []string) ([]Kept, error) {
	if len(pairs) == 0 {
		return nil, nil
	}
	page := make([]Kept, len(pairs)/2)
	names := make([]string, len(page))
	for i := range page {
		names[i] = pairs[2*i]
		page[i].Hash = names[i]
		if err := json.Unmarshal([]byte(pairs[2*i+1]), &page[i].Proof); err != nil {
			return nil, &campaign.BrokenError{What: "a confirmation of list " + at.list, Key: s.proofs(at), Err: err}
		}
	}

	waits, err := s.rdb.HMGet(ctx, s.waiting(at.list), names...).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the rows that wait for list "+at.list, s.waiting(at.list))
	}
	for i, value := range waits {
		text, ok := value.(string)
		if !ok {
			continue
		}
		if err := json.Unmarshal([]byte(text), &page[i].Waits); err != nil {
			return nil, &campaign.BrokenError{What: "a row that waits for list " + at.list, Key: s.waiting(at.list), Err: err}
		}
	}
	return page, nil
}

// Texts returns what readers were shown, by version.
func (s *Store) Texts(ctx context.Context) (map[string]string, error) {
	texts, err := s.rdb.HGetAll(ctx, s.prefix+"texts").Result()
	if err != nil {
		return nil, campaign.ReadError(err, "the texts of confirmations", s.prefix+"texts")
	}
	return texts, nil
}

// KeepTexts stores what readers were shown. Texts that are there stay.
func (s *Store) KeepTexts(ctx context.Context, texts map[string]string) error {
	return s.keepWords(ctx, texts)
}

// Missing returns those of some proofs whose addresses have none in their places.
func (s *Store) Missing(ctx context.Context, all []Kept) ([]Kept, error) {
	pipe := s.rdb.Pipeline()
	there := make([]*redis.BoolCmd, len(all))
	for i, k := range all {
		there[i] = pipe.HExists(ctx, s.proofs(place{k.List, k.Topic}), k.Hash)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("look up proofs of subscriptions: %w", err)
	}

	var missing []Kept
	for i, k := range all {
		if !there[i].Val() {
			missing = append(missing, k)
		}
	}
	return missing, nil
}

// Keep stores proofs, each with its row or not at all. A proof that is there stays.
func (s *Store) Keep(ctx context.Context, all []Kept) error {
	pipe := s.rdb.TxPipeline()
	for _, k := range all {
		proof, err := json.Marshal(k.Proof)
		if err != nil {
			return fmt.Errorf("store a proof: %w", err)
		}
		at := place{k.List, k.Topic}
		pipe.SAdd(ctx, s.prefix+"places", at.text())
		pipe.HSetNX(ctx, s.proofs(at), k.Hash, proof)
		if k.Waits == nil {
			continue
		}
		waits, err := json.Marshal(k.Waits)
		if err != nil {
			return fmt.Errorf("store a proof: %w", err)
		}
		pipe.HSetNX(ctx, s.waiting(k.List), k.Hash, waits)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("store proofs of subscriptions: %w", err)
	}
	return nil
}
