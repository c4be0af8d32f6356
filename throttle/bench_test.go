package throttle

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// BenchmarkReserve takes slots as fast as it can: fifty a call from fast lines, and
// from slow ones, where most calls find nothing. On a real Redis it reports the
// processor time that this costs there.
func BenchmarkReserve(b *testing.B) {
	for _, place := range places {
		for _, bm := range benchRoutes {
			b.Run(place.name+"/"+bm.name, func(b *testing.B) {
				addr, lua := place.open(b)
				rdb := redis.NewClient(&redis.Options{Addr: addr})
				defer rdb.Close()
				p := New(rdb, "bs", lua, nil)
				b.ReportAllocs()
				slots := 0
				before := processorTime(b, rdb)
				for b.Loop() {
					got, err := p.Reserve(b.Context(), Request{Limits: bm.limits, Lead: 5 * time.Millisecond, N: bm.n})
					if err != nil {
						b.Fatal(err)
					}
					slots += len(got.Slots)
				}
				b.ReportMetric(float64(slots)/float64(b.N), "slots/op")
				if us := processorTime(b, rdb) - before; us > 0 {
					b.ReportMetric(us/float64(b.N), "redis-us/op")
				}
			})
		}
	}
}

var benchRoutes = []struct {
	name   string
	limits []Limit
	n      int
}{
	{"account/50", []Limit{{Account: "a", Rate: 1e6}}, 50},
	{"account/1", []Limit{{Account: "a", Rate: 1e6}}, 1},
	{"account/none free", []Limit{{Account: "a", Rate: 1}}, 50},
	{"campaign/50", []Limit{{Account: "a", Rate: 1e6}, {Campaign: "r", Rate: 9e5}}, 50},
	{"campaign/1", []Limit{{Account: "a", Rate: 1e6}, {Campaign: "r", Rate: 9e5}}, 1},
	{"campaign/none free", []Limit{{Account: "a", Rate: 1}, {Campaign: "r", Rate: 2}}, 50},
	{"provider/50", []Limit{{Account: "a", Rate: 1e6}, {Account: "a", Provider: "gmail", Rate: 9e5}}, 50},
	{"quotas/50", []Limit{{Account: "a", Rate: 1e6, Quotas: []Quota{
		{Name: "hour", Messages: 1e9, Window: time.Hour},
		{Name: "day", Messages: 1e9, Window: 24 * time.Hour},
	}}}, 50},
	{"all/50", []Limit{
		{Account: "a", Rate: 1e6},
		{Account: "a", Provider: "gmail", Rate: 9e5},
		{Account: "a", Domain: "example.com", Rate: 8e5},
		{Campaign: "r", Rate: 7e5},
	}, 50},
}

// processorTime returns the microseconds of processor time that Redis has used; 0
// where the store does not count them.
func processorTime(b *testing.B, rdb *redis.Client) (us float64) {
	b.Helper()
	info, err := rdb.Info(b.Context(), "cpu").Result()
	if err != nil {
		return 0
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "used_cpu_sys" && name != "used_cpu_user" {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			b.Fatalf("cpu line %q: %v", line, err)
		}
		us += 1e6 * seconds
	}
	return us
}
