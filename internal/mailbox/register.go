package mailbox

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/configs"
)

const (
	// keep is how long Redis remembers a mailbox that is not read any more.
	keep = 90 * 24 * time.Hour
	// within is how long one question to Redis may take.
	within = 5 * time.Second
	// maxError is how much of an error is kept for people, in bytes.
	maxError = 500
	// leftPrefix begins the fields of messages of POP3 that are in quarantine: it is
	// followed by their unique id.
	leftPrefix = "left:"
)

// A Register remembers how far mailboxes were read, and how they stand. It owns the
// keys PREFIX:mailbox:ID (a hash) and PREFIX:mailbox:ID:lease. The ID is a hash of the
// URL without password, so that a new password does not make it another mailbox. It is
// safe for concurrent use.
type Register struct {
	rdb    redis.UniversalClient
	prefix string
}

// NewRegister returns the register whose keys begin with prefix.
func NewRegister(rdb redis.UniversalClient, prefix string) *Register {
	return &Register{rdb: rdb, prefix: prefix}
}

// A Standing is how a mailbox stands, for people. A zero time has not come.
type Standing struct {
	Read        time.Time // when it was last read to its end
	Failed      time.Time // when that last failed; zero since it was read
	Error       string    // of that failure
	Stored      int       // messages
	Quarantined int       // messages
}

// A memory is what is known of the messages of a mailbox.
type memory struct {
	validity uint32          // UIDVALIDITY of the folder (RFC 3501, 2.3.1.1)
	uid      uint32          // every message up to this one is done
	left     map[string]bool // unique ids (POP3) of those that are left in the mailbox
}

func (r *Register) key(m configs.Mailbox) string { return r.prefix + ":mailbox:" + m.ID() }

// Standing returns how a mailbox stands.
func (r *Register) Standing(ctx context.Context, m configs.Mailbox) (Standing, error) {
	f, err := r.fields(ctx, m)
	if err != nil {
		return Standing{}, err
	}
	s := Standing{Read: moment(f["read"]), Failed: moment(f["failed"]), Error: f["error"]}
	s.Stored, _ = strconv.Atoi(f["stored"])
	s.Quarantined, _ = strconv.Atoi(f["quarantined"])
	return s, nil
}

func moment(text string) time.Time {
	ms, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// memory returns what is known of the messages. What cannot be read is not known, and
// is read once more.
func (r *Register) memory(ctx context.Context, m configs.Mailbox) (memory, error) {
	f, err := r.fields(ctx, m)
	if err != nil {
		return memory{}, err
	}

	mem := memory{left: map[string]bool{}}
	validity, _ := strconv.ParseUint(f["validity"], 10, 32)
	uid, _ := strconv.ParseUint(f["uid"], 10, 32)
	mem.validity, mem.uid = uint32(validity), uint32(uid)
	for name := range f {
		if id, ok := strings.CutPrefix(name, leftPrefix); ok {
			mem.left[id] = true
		}
	}
	return mem, nil
}

func (r *Register) fields(ctx context.Context, m configs.Mailbox) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	f, err := r.rdb.HGetAll(ctx, r.key(m)).Result()
	if err != nil {
		return nil, campaign.ReadError(err, "what is known of a mailbox", r.key(m))
	}
	return f, nil
}

// done remembers that every message up to uid is done, in the folder with validity.
func (r *Register) done(ctx context.Context, m configs.Mailbox, validity, uid uint32) error {
	return r.write(ctx, m, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.HSet(ctx, key, "validity", validity, "uid", uid)
	})
}

// quarantined counts a message that goes to quarantine. id is the unique id of one that
// is left in the mailbox; empty: it leaves it.
func (r *Register) quarantined(ctx context.Context, m configs.Mailbox, id string) error {
	return r.write(ctx, m, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.HIncrBy(ctx, key, "quarantined", 1)
		if id != "" {
			p.HSet(ctx, key, leftPrefix+id, 1)
		}
	})
}

// forget forgets messages that were left in the mailbox and are not there any more.
func (r *Register) forget(ctx context.Context, m configs.Mailbox, ids []string) error {
	if len(ids) == 0 {
		return nil
	}
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = leftPrefix + id
	}
	return r.write(ctx, m, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.HDel(ctx, key, names...)
	})
}

// read notes that a mailbox was read to its end.
func (r *Register) read(ctx context.Context, m configs.Mailbox, stored int) error {
	return r.write(ctx, m, func(ctx context.Context, p redis.Pipeliner, key string) {
		p.HSet(ctx, key, "read", time.Now().UnixMilli())
		p.HIncrBy(ctx, key, "stored", int64(stored))
		p.HDel(ctx, key, "failed", "error")
	})
}

// failed notes that a mailbox could not be read.
func (r *Register) failed(ctx context.Context, m configs.Mailbox, stored int, why error) error {
	return r.write(ctx, m, func(ctx context.Context, p redis.Pipeliner, key string) {
		text := why.Error()
		p.HSet(ctx, key, "failed", time.Now().UnixMilli(), "error", text[:min(len(text), maxError)])
		p.HIncrBy(ctx, key, "stored", int64(stored))
	})
}

func (r *Register) write(ctx context.Context, m configs.Mailbox, fill func(ctx context.Context, p redis.Pipeliner, key string)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	pipe := r.rdb.Pipeline()
	fill(ctx, pipe, r.key(m))
	pipe.PExpire(ctx, r.key(m), keep)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("remember state of mailbox: %w", err)
	}
	return nil
}

// leaseFor is how long a mailbox waits for the next process after one was killed.
const leaseFor = 30 * time.Second

// lease takes or renews the right to read a mailbox, and reports whether holder has it.
// Asking and renewing are two steps: in between it may run out and go to another. Then
// two read, which does no harm.
func (r *Register) lease(ctx context.Context, m configs.Mailbox, holder string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	key := r.key(m) + ":lease"
	taken, err := r.rdb.SetNX(ctx, key, holder, leaseFor).Result()
	if err != nil || taken {
		return taken, leaseError(err)
	}

	now, err := r.rdb.Get(ctx, key).Result()
	if err != nil || now != holder {
		return false, leaseError(err)
	}
	return true, leaseError(r.rdb.PExpire(ctx, key, leaseFor).Err())
}

// release gives the right up, so that another process has it at once.
func (r *Register) release(ctx context.Context, m configs.Mailbox, holder string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	key := r.key(m) + ":lease"
	if now, err := r.rdb.Get(ctx, key).Result(); err == nil && now == holder {
		_ = r.rdb.Del(ctx, key).Err() // else it runs out by itself
	}
}

func leaseError(err error) error {
	if err == nil || errors.Is(err, redis.Nil) { // it has just run out
		return nil
	}
	return fmt.Errorf("take the lease of a mailbox: %w", err)
}
