package suppression

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"

	"github.com/redis/go-redis/v9"
)

// everyone stands before a domain where an entry of all its addresses is shown, stored
// and hashed.
const everyone = "*@"

// maxDomains is how many entries of domains there can be, removed ones included: every
// process that sends keeps all of them in its memory.
const maxDomains = 100_000

// versionField is the field of the hash of domains that changes with every change of
// the others. It is shorter than theirs.
const versionField = "version"

// ParseDomain reads the name of a domain: in lower case, with A-labels. The error is an
// address.Reason.
func ParseDomain(name string) (string, error) {
	a, err := address.Parse("a@" + strings.TrimSpace(name))
	return a.Domain, err
}

// A subject is what an entry is about.
type subject struct {
	shown string // a canonical address, or "*@" and a domain: what is hashed
	place int
}

// parseSubject reads an address, or "*@" and a domain.
func parseSubject(text string) (subject, error) {
	name, isDomain := strings.CutPrefix(strings.TrimSpace(text), everyone)
	if isDomain {
		domain, err := ParseDomain(name)
		return subject{everyone + domain, domains}, err
	}

	a, err := address.Parse(text)
	canonical := a.Canonical()
	return subject{canonical, shardOf(KeyOf(canonical))}, err
}

// andDomain returns the subject, and the domain that it is in.
func (s subject) andDomain() []subject {
	if s.place == domains {
		return []subject{s}
	}
	return []subject{s, {everyone + s.shown[strings.LastIndexByte(s.shown, '@')+1:], domains}}
}

func parseSubjects(texts []string) ([]subject, error) {
	all := make([]subject, len(texts))
	for i, text := range texts {
		var err error
		all[i], err = parseSubject(text)
		if err != nil {
			return nil, fmt.Errorf("address %q: %w", text, err)
		}
	}
	return all, nil
}

// A domainList is what is known of the entries of domains at one version.
type domainList struct {
	version string
	values  map[string]string // by field, as they are stored
}

// suppress reports whether mail of topic is kept from a domain.
func (l *domainList) suppress(topic, domain string, now time.Time) bool {
	if len(l.values) == 0 {
		return false
	}
	return slices.ContainsFunc(lookupFields(KeyOf(everyone+domain), topic), func(f string) bool {
		value, ok := l.values[f]
		return ok && live(value, now)
	})
}

// queueDomains asks for the version of the entries of domains, and returns how to get
// them once the pipeline was executed: from memory, unless they have changed.
func (s *Store) queueDomains(ctx context.Context, pipe redis.Pipeliner) func() (*domainList, error) {
	cmd := pipe.HMGet(ctx, s.placeKey(domains), versionField) // unlike HGET it is no error when there is none
	return sync.OnceValues(func() (*domainList, error) {
		values, err := cmd.Result()
		if err != nil {
			return nil, campaign.ReadError(err, "the suppressed domains", s.placeKey(domains))
		}

		version, _ := values[0].(string)
		if known := s.known.Load(); known != nil && known.version == version {
			return known, nil
		}
		return s.readDomains(ctx, version)
	})
}

// readDomains reads the entries of domains. The version was read before them: what is
// added in the meantime changes it, so that the next look-up reads them again.
func (s *Store) readDomains(ctx context.Context, version string) (*domainList, error) {
	list := &domainList{version: version, values: map[string]string{}}
	if version != "" {
		err := s.scanPlace(ctx, domains, func(field, value string) error {
			list.values[field] = value
			return nil
		})
		if err != nil {
			return nil, err
		}
	}

	s.known.Store(list)
	return list, nil
}

// newVersion returns a text that no other change gives to the entries of domains. It is
// no count: one that a Redis has forgotten must not come again with other entries.
func newVersion() string { return strconv.FormatUint(rand.Uint64(), 36) }

// checkRoom returns an error when entries have more domains than the list can take.
func (s *Store) checkRoom(ctx context.Context, entries []Entry) error {
	more := 0
	for _, e := range entries {
		if e.Domain != "" {
			more++
		}
	}
	if more == 0 {
		return nil
	}

	n, err := s.rdb.HLen(ctx, s.placeKey(domains)).Result()
	if err != nil {
		return campaign.ReadError(err, "the suppressed domains", s.placeKey(domains))
	}
	if n+int64(more) > maxDomains {
		return fmt.Errorf("found %d entries of domains and %d to add, expected %d at most: suppress the addresses that you have in these domains instead", n, more, maxDomains)
	}
	return nil
}
