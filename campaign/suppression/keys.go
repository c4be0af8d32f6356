package suppression

import "broadside/campaign/address"

// Key is the part of an address's hash by which entries are found: the first
// 16 bytes of the SHA-256 of the canonical address.
type Key = [16]byte

// KeyOf returns the key of a canonical address.
func KeyOf(canonical string) Key {
	h := address.Hash(canonical)
	return Key(h[:])
}

const (
	shards = 16
	digits = "0123456789abcdef"

	// A place is a shard, or the hash that has the entries of domains.
	domains = shards
	places  = shards + 1
)

func (s *Store) shardKey(shard int) string { return s.prefix + ":supp:" + digits[shard:shard+1] }

func (s *Store) placeKey(place int) string {
	if place == domains {
		return s.prefix + ":supp:domains"
	}
	return s.shardKey(place)
}

func (s *Store) confirmKey(shard int) string {
	return s.prefix + ":supp:confirm:" + digits[shard:shard+1]
}

func (s *Store) softKey(shard int) string { return s.prefix + ":supp:soft:" + digits[shard:shard+1] }

func (s *Store) laneKey(lane string) string { return s.prefix + ":supp:lane:" + lane }

func (s *Store) runsKey() string { return s.prefix + ":supp:runs" }

func (s *Store) topicsKey() string { return s.prefix + ":supp:topics" }

func shardOf(k Key) int { return int(k[0]) % shards }

// field is the hash field of a key in a topic; the topic "" is the scope all.
func field(k Key, topic string) string { return string(k[:]) + topic }
