package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/internal/failure"
	"broadside/internal/store"
)

// A server is the Redis of one stage.
type server struct {
	url       string
	far       string // the URL for workers: over the distance, if there is one
	namespace string
	proc      *daemon // nil: it was there before
	dir       string  // of proc
	distance  *child  // nil: none
	store     *store.Store
}

// startRedis starts a redis-server, or looks at the one that was named.
func (b *bench) startRedis(ctx context.Context) (*server, error) {
	s := &server{url: b.Redis, namespace: "bench"}
	if b.Redis == "" {
		if err := s.start(ctx, b.AOF); err != nil {
			return nil, err
		}
	} else {
		s.namespace = "bench-" + strconv.FormatInt(time.Now().UnixNano(), 36) // what is there stays as it is
	}
	s.far = s.url
	var err error
	if b.RedisRTT > 0 {
		var addr string
		if s.distance, addr, err = b.startDistance(ctx, s.proc.addr, b.RedisRTT); err != nil {
			return nil, errors.Join(err, s.stop())
		}
		s.far = urlOf(addr)
	}
	if s.store, err = store.Open(ctx, store.Options{URL: s.url, MaxConnections: 1, Log: b.Log}); err != nil {
		return nil, errors.Join(err, s.stop())
	}
	return s, nil
}

// start starts a redis-server with an empty directory of its own.
func (s *server) start(ctx context.Context, aof bool) error {
	path, err := exec.LookPath("redis-server")
	if err != nil {
		return fmt.Errorf("%w: redis-server is not installed: install it (Debian: apt-get install redis-server), or name a Redis that may be used with --redis", failure.ErrUnreachable)
	}
	if s.dir, err = os.MkdirTemp("", "broadside-bench-redis-"); err != nil {
		return fmt.Errorf("make a directory for redis-server: %w", err)
	}
	keep := "no"
	if aof {
		keep = "yes"
	}
	s.proc, err = startDaemon(ctx, path, func(port string) []string {
		return []string{
			"--port", port, "--bind", "127.0.0.1", "--dir", s.dir, "--save", "",
			"--appendonly", keep, "--appendfsync", "everysec", "--daemonize", "no", "--logfile", "redis.log",
		}
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(s.dir))
	}
	s.url = urlOf(s.proc.addr)
	return nil
}

func urlOf(addr string) string { return "redis://" + addr + "/0" }

// stop ends the server that start started.
func (s *server) stop() error {
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.distance != nil {
		errs = append(errs, s.distance.stop())
	}
	if s.proc != nil {
		errs = append(errs, s.proc.stop(), os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}

// A reading is the meters of a Redis at one moment.
type reading struct {
	cpu      float64 // seconds
	commands float64
	bytes    float64 // network, both directions
	memory   float64 // used_memory
	kinds    map[string]kind
}

type kind struct{ calls, micros float64 }

// read asks Redis for its meters.
func (s *server) read(ctx context.Context) (reading, error) {
	text, err := s.store.Client().Info(ctx, "everything").Result()
	if err != nil {
		return reading{}, fmt.Errorf("read the meters of redis: %w", err)
	}
	return parseReading(text), nil
}

func parseReading(text string) reading {
	r := reading{kinds: map[string]kind{}}
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		n, _ := strconv.ParseFloat(value, 64) // text is none of those asked for
		switch key {
		case "used_cpu_user", "used_cpu_sys":
			r.cpu += n
		case "total_commands_processed":
			r.commands = n
		case "total_net_input_bytes", "total_net_output_bytes":
			r.bytes += n
		case "used_memory":
			r.memory = n
		}
		if name, ok := strings.CutPrefix(key, "cmdstat_"); ok {
			var k kind
			for field := range strings.SplitSeq(value, ",") {
				what, number, _ := strings.Cut(field, "=")
				n, _ := strconv.ParseFloat(number, 64)
				switch what {
				case "calls":
					k.calls = n
				case "usec":
					k.micros = n
				}
			}
			r.kinds[name] = k
		}
	}
	return r
}

// top returns what kinds of commands cost most between two readings, per
// message.
func top(before, after reading, messages float64, n int) []Command {
	var all []Command
	for name, k := range after.kinds {
		was := before.kinds[name]
		all = append(all, Command{Name: name, Calls: (k.calls - was.calls) / messages, Micros: (k.micros - was.micros) / messages})
	}
	slices.SortFunc(all, func(a, b Command) int {
		return cmp.Or(cmp.Compare(b.Micros, a.Micros), strings.Compare(a.Name, b.Name))
	})
	return all[:min(n, len(all))]
}
