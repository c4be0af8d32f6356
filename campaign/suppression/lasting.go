package suppression

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// A Barrier says what Redis is asked for before a write counts as lasting. An
// entry that Redis has acknowledged may still be forgotten when it dies in the
// next second; one behind a barrier is not. The zero value asks for nothing.
type Barrier struct {
	Disk    bool // in the append-only file, and that on disk (WAITAOF, Redis 7.2)
	Replica bool // taken over by one replica (WAIT)
}

// barrierWait is how long each part of a barrier may take.
const barrierWait = 500 * time.Millisecond

// Noted says what became of entries that were to last.
type Noted struct {
	Added   int       // how many suppress what was not suppressed before
	Lasting bool      // they are behind the barrier
	At      time.Time // the time of Redis, which entries without one were given
}

// AddLasting is Add with a barrier. That the barrier was not reached is no
// error: the entries are in force all the same.
func (s *Store) AddLasting(ctx context.Context, b Barrier, entries ...Entry) (Noted, error) {
	n, err := s.note(ctx, asNew, b, entries)
	if err != nil {
		return n, fmt.Errorf("add suppressions: %w", err)
	}
	return n, nil
}

// Replay adds entries again that were acknowledged before, because Redis may
// have forgotten them. An entry that was removed at its time or later (see
// Noted.At) stays removed.
func (s *Store) Replay(ctx context.Context, b Barrier, entries ...Entry) (Noted, error) {
	n, err := s.note(ctx, asReplay, b, entries)
	if err != nil {
		return n, fmt.Errorf("replay suppressions: %w", err)
	}
	return n, nil
}

func (s *Store) note(ctx context.Context, how string, b Barrier, entries []Entry) (Noted, error) {
	at, err := s.rdb.Time(ctx).Result()
	if err != nil {
		return Noted{}, fmt.Errorf("ask redis for the time: %w", err)
	}

	noted := Noted{Lasting: true, At: at}
	complete, err := completeAll(entries, at)
	if err != nil {
		return noted, err
	}

	for part := range slices.Chunk(complete, batch) {
		w := s.newWrite(how, at, s.withRefs(ctx, part))
		if w.topics != nil {
			if err := s.topics.Run(ctx, s.rdb, []string{s.topicsKey()}, w.topics...).Err(); err != nil {
				return noted, fmt.Errorf("note topics: %w", err)
			}
		}

		byServer, err := s.byServer(ctx, w)
		if err != nil {
			return noted, err
		}

		for server, places := range byServer {
			n, lasting, err := s.behind(ctx, server, b, w, places)
			noted.Added += n
			noted.Lasting = noted.Lasting && lasting
			if err != nil {
				return noted, err
			}
		}
	}

	return noted, nil
}

// A server is one Redis that is written to: a barrier holds for what went over
// the same connection.
type server interface{ Pipeline() redis.Pipeliner }

// byServer returns the places that w writes to, by the server that has them.
func (s *Store) byServer(ctx context.Context, w *write) (map[server][]int, error) {
	cluster, isCluster := s.rdb.(*redis.ClusterClient)
	places := map[server][]int{}
	for place, args := range w.args {
		switch {
		case args == nil:
		case !isCluster:
			places[s.rdb] = append(places[s.rdb], place)
		default:
			node, err := cluster.MasterForKey(ctx, s.placeKey(place))
			if err != nil {
				return nil, fmt.Errorf("find the server of key %s: %w", s.placeKey(place), err)
			}
			places[node] = append(places[node], place)
		}
	}

	return places, nil
}

// behind writes places to one server and waits for its barrier.
func (s *Store) behind(ctx context.Context, to server, b Barrier, w *write, places []int) (added int, lasting bool, err error) {
	pipe := to.Pipeline()
	counts := s.queueWrite(ctx, pipe, w, places...)
	millis := barrierWait.Milliseconds()
	disk := redis.NewIntSliceCmd(ctx, "WAITAOF", 1, 0, millis)
	replica := redis.NewIntCmd(ctx, "WAIT", 1, millis)
	if b.Disk {
		_ = pipe.Process(ctx, disk) // only queues
	}
	if b.Replica {
		_ = pipe.Process(ctx, replica)
	}

	_, _ = pipe.Exec(ctx) // each command has its own error
	if added, err = sum(counts); err != nil {
		if _, moved := redis.IsMovedError(err); !moved {
			return added, false, err
		}
		pipe = s.rdb.Pipeline() // which follows the slot to its new server
		counts = s.queueWrite(ctx, pipe, w, places...)
		_, _ = pipe.Exec(ctx)
		added, err = sum(counts)
		return added, false, err
	}

	// What cannot be asked (no right to, no such command) was not reached.
	lasting = (!b.Disk || len(disk.Val()) > 0 && disk.Val()[0] > 0) && (!b.Replica || replica.Val() > 0)
	return added, lasting, nil
}
