package suppression

import (
	"context"
	"encoding/csv"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"broadside/campaign"
	"broadside/campaign/codes"
)

// hashedColumns is the header of the CSV form without addresses, in the order of Export.
var hashedColumns = []string{"domain", "sha256", "reason", "scope", "source", "run", "at", "expires"}

// Export writes the list as CSV, with a header, in no order, and returns the
// number of entries. What Each says of them holds. Import reads it back. Hashed, the
// addresses are left out: their SHA-256 stands for them, and domains have a column.
func (s *Store) Export(ctx context.Context, w io.Writer, hashed bool) (int, error) {
	out := csv.NewWriter(w)
	header := columns
	if hashed {
		header = hashedColumns
	}
	if err := out.Write(header); err != nil {
		return 0, fmt.Errorf("export suppressions: %w", err)
	}

	n := 0
	err := s.Each(ctx, func(e Entry) error {
		n++
		who := e.Shown()
		sum := hex.EncodeToString(e.Hash[:])
		if hashed {
			who = e.Domain
		}
		if hashed && e.Domain != "" {
			sum = ""
		}
		return out.Write([]string{
			who, sum, e.Reason, e.Scope, e.Source, e.Run, timeText(e.At), timeText(e.Expires),
		})
	})
	out.Flush()
	if err == nil {
		err = out.Error()
	}
	if err != nil {
		return n, fmt.Errorf("export suppressions: %w", err)
	}

	return n, nil
}

// An UnreadableError is returned by Each when it has met entries that cannot be
// read. They keep mail back all the same, and are in no export or backup.
type UnreadableError struct {
	Entries int
	First   error
}

// Error returns one line that begins with the code BS-BROKEN-STATE.
func (e *UnreadableError) Error() string {
	return codes.BrokenState.Reason("%d suppressions cannot be read and were left out; they keep mail back all the same (the first: %v)", e.Entries, e.First)
}

// Each calls f with every entry, in no order. One that is there from the
// beginning to the end is met exactly once, even if others are added or removed
// in the meantime; of those that come or go, each at most once. Expired ones are left
// out. This holds for one server: a caller that must be sure compares its run id
// before and after. An UnreadableError comes after all that can be read.
func (s *Store) Each(ctx context.Context, f func(Entry) error) error {
	now := s.now()
	runs := s.runNames()
	var unreadable UnreadableError
	err := s.scan(ctx, func(field, value string) error {
		if !live(value, now) {
			return nil
		}

		e, err := decode(field, value)
		if err != nil {
			unreadable.Entries++
			if unreadable.First == nil {
				unreadable.First = err
			}
			return nil
		}
		if err := runs.fill(ctx, &e); err != nil {
			return err
		}

		return f(e)
	})
	if err == nil && unreadable.Entries > 0 {
		err = &unreadable
	}

	return err
}

// scan calls f once for each stored entry.
func (s *Store) scan(ctx context.Context, f func(field, value string) error) error {
	for place := range places {
		if err := s.scanPlace(ctx, place, f); err != nil {
			return err
		}
	}
	return nil
}

// scanPlace calls f once for each entry of one place. HSCAN returns whatever is present
// throughout, but may return it twice.
func (s *Store) scanPlace(ctx context.Context, place int, f func(field, value string) error) error {
	key := s.placeKey(place)
	seen := map[string]struct{}{versionField: {}}
	var cursor uint64
	for {
		pairs, next, err := s.rdb.HScan(ctx, key, cursor, "", batch).Result()
		if err != nil {
			return campaign.ReadError(err, "a part of the suppression list", key)
		}

		for i := 0; i+1 < len(pairs); i += 2 {
			if _, twice := seen[pairs[i]]; twice {
				continue
			}
			seen[pairs[i]] = struct{}{}
			if err := f(pairs[i], pairs[i+1]); err != nil {
				return err
			}
		}

		cursor = next
		if cursor == 0 {
			return nil
		}
	}
}

// Stats counts the entries of the list.
type Stats struct {
	Total   int            `json:"total"`   // entries that hold now
	Hashed  int            `json:"hashed"`  // of these: known only by their hash
	Domains int            `json:"domains"` // of these: for every address of a domain
	Expired int            `json:"expired"` // in addition to these
	Reasons map[string]int `json:"reasons"`
	Scopes  map[string]int `json:"scopes"`
	Sources map[string]int `json:"sources"`
	// Unreadable are those of the total of which no more is known than that they
	// hold.
	Unreadable int `json:"unreadable,omitempty"`
}

// Stats reads the whole list and counts it.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	st := Stats{Reasons: map[string]int{}, Scopes: map[string]int{}, Sources: map[string]int{}}
	now := s.now()
	err := s.scan(ctx, func(f, value string) error {
		if !live(value, now) {
			if !strings.HasPrefix(value, removed) {
				st.Expired++
			}
			return nil
		}

		st.Total++
		e, err := decode(f, value)
		if err != nil {
			st.Unreadable++
			return nil
		}

		if e.Shown() == "" {
			st.Hashed++
		}
		if e.Domain != "" {
			st.Domains++
		}

		st.Reasons[e.Reason]++
		st.Scopes[e.Scope]++
		st.Sources[e.Source]++

		return nil
	})
	if err != nil {
		return Stats{}, fmt.Errorf("count suppressions: %w", err)
	}

	return st, nil
}
