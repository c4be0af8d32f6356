package throttle

import (
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"broadside/internal/testkit"
)

// plain makes a script for the embedded store, which knows no script flags.
func plain(src string) *redis.Script {
	if strings.HasPrefix(src, "#!") {
		_, src, _ = strings.Cut(src, "\n")
	}
	return redis.NewScript(src)
}

// A place is one kind of store that every test of the package must pass on.
type place struct {
	name string
	open func(testing.TB) (addr string, lua func(string) *redis.Script)
}

var places = []place{
	{"embedded", func(t testing.TB) (string, func(string) *redis.Script) {
		m := miniredis.RunT(t)
		m.ClockTTL(true)
		return m.Addr(), plain
	}},
	{"redis", func(t testing.TB) (string, func(string) *redis.Script) {
		opts, err := redis.ParseURL(testkit.Redis(t))
		if err != nil {
			t.Fatal(err)
		}
		return opts.Addr, redis.NewScript
	}},
}

// client returns a new client, as a process of its own would have.
func client(t testing.TB, addr string) *redis.Client {
	t.Helper()
	c := redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// eachPlace runs a test on every kind of store.
func eachPlace(t *testing.T, test func(t *testing.T, rdb *redis.Client, lua func(string) *redis.Script)) {
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			addr, lua := p.open(t)
			test(t, client(t, addr), lua)
		})
	}
}
