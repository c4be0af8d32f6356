package suppression

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// A Past is what the list has, or had, of an address or its domain in one scope.
type Past struct {
	Entry Entry // when it was taken off: only the address, the scope and, as At, when that was

	Removed   bool // it was taken off the list
	Discarded bool // it was taken off by Discard
	Expired   bool // it holds no longer
}

// History returns what the list has of an address and its domain, in each scope the
// latest: entries that hold, entries that have expired, and when one was taken off.
func (s *Store) History(ctx context.Context, address string) ([]Past, error) {
	who, err := parseSubject(address)
	if err != nil {
		return nil, fmt.Errorf("read what the suppression list had: address %q: %w", address, err)
	}
	scopes, err := s.scopes(ctx)
	if err != nil {
		return nil, fmt.Errorf("read what the suppression list had: %w", err)
	}

	var all []Past
	now := s.now()
	runs := s.runNames()
	for _, about := range who.andDomain() {
		values, err := s.rdb.HMGet(ctx, s.placeKey(about.place), fields(KeyOf(about.shown), scopes)...).Result()
		if err != nil {
			return nil, campaign.ReadError(err, "a part of the suppression list", s.placeKey(about.place))
		}
		for i, v := range values {
			value, ok := v.(string)
			if !ok {
				continue
			}
			past := about.past(scopes[i], value, now)
			if err := runs.fill(ctx, &past.Entry); err != nil {
				return nil, err
			}
			all = append(all, past)
		}
	}
	return all, nil
}

// past reads one value that a subject has.
func (s subject) past(topic, value string, now time.Time) Past {
	if at, how, ok := parseRemoved(value); ok {
		e := Entry{Address: s.shown, Scope: All, At: at}
		if topic != "" {
			e.Scope = Topic(topic)
		}
		if s.place == domains {
			e.Address = ""
			e.Domain = strings.TrimPrefix(s.shown, everyone)
		}
		return Past{Entry: e, Removed: true, Discarded: how == "discarded"}
	}
	return Past{Entry: s.entry(topic, value), Expired: !live(value, now)}
}

// parseRemoved reads a value that says that an entry was removed; false for another one.
func parseRemoved(value string) (at time.Time, how string, ok bool) {
	text, isRemoved := strings.CutPrefix(value, removed)
	if !isRemoved {
		return time.Time{}, "", false
	}
	text, how, _ = strings.Cut(text, "\t")
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil || how != "removed" && how != "discarded" {
		return time.Time{}, "", false
	}
	return time.UnixMilli(ms).UTC(), how, true
}

// Signs are the signs that an address may be dead which were counted and have not, or
// not yet, put it on the list.
type Signs struct {
	Confirmed int         // signs that must come again: see Confirm and ConfirmReturns
	Last      time.Time   // when the last of these came
	Returned  []time.Time // messages that came back: see CountReturns
}

// Signs reads the signs that were counted for an address.
func (s *Store) Signs(ctx context.Context, address string) (Signs, error) {
	who, err := parseSubject(address)
	if err != nil {
		return Signs{}, fmt.Errorf("read signs of a dead address: address %q: %w", address, err)
	}

	k := KeyOf(who.shown)
	pipe := s.rdb.Pipeline()
	confirm := pipe.HMGet(ctx, s.confirmKey(shardOf(k)), field(k, "")) // unlike HGET it is no error when there is none
	soft := pipe.HMGet(ctx, s.softKey(shardOf(k)), field(k, ""))
	if _, err := pipe.Exec(ctx); err != nil {
		return Signs{}, fmt.Errorf("read signs of a dead address: %w", err)
	}

	var found Signs
	count, last, _ := strings.Cut(firstText(confirm), " ")
	last, _, _ = strings.Cut(last, " ")
	if n, err := strconv.Atoi(count); err == nil && n > 0 {
		found.Confirmed = n
		found.Last = readMilli(last)
	}
	for one := range strings.SplitSeq(firstText(soft), ",") {
		at, _, _ := strings.Cut(one, " ")
		if t := readMilli(at); !t.IsZero() {
			found.Returned = append(found.Returned, t)
		}
	}
	slices.SortFunc(found.Returned, time.Time.Compare)
	return found, nil
}

// firstText returns the first value of an answer; empty when there is none.
func firstText(cmd *redis.SliceCmd) string {
	values := cmd.Val()
	if len(values) == 0 {
		return ""
	}
	text, _ := values[0].(string)
	return text
}

// readMilli reads Unix milliseconds; the zero time for what is none.
func readMilli(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
