package suppression_test

import (
	"strings"
	"testing"

	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/internal/testkit"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// onBoth runs test on an embedded store and on a real Redis.
func onBoth(t *testing.T, test func(t *testing.T, s *suppression.Store, rdb redis.UniversalClient)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		rdb := client(t, "redis://"+miniredis.RunT(t).Addr())
		test(t, suppression.New(rdb, "bs", withoutFlags), rdb)
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		rdb := client(t, testkit.Redis(t))
		test(t, suppression.New(rdb, "bs", redis.NewScript), rdb)
	})
}

// people returns what is asked about addresses.
func people(addresses ...string) []suppression.Person {
	all := make([]suppression.Person, len(addresses))
	for i, text := range addresses {
		a, err := address.Parse(text)
		if err != nil {
			panic(err)
		}
		all[i] = suppression.PersonOf(a)
	}
	return all
}

// withoutFlags makes a script for the embedded store, which does not know the
// line of flags.
func withoutFlags(src string) *redis.Script {
	if strings.HasPrefix(src, "#!") {
		src = "--" + src
	}
	return redis.NewScript(src)
}

func client(t testing.TB, url string) redis.UniversalClient {
	t.Helper()
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatalf("parse %s: %v", url, err)
	}
	rdb := redis.NewClient(opts)
	t.Cleanup(func() { rdb.Close() })
	return rdb
}
