package throttle

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// BenchmarkReserve takes fifty slots a call from a fast line.
func BenchmarkReserve(b *testing.B) {
	for _, place := range places {
		b.Run(place.name, func(b *testing.B) {
			addr, lua := place.open(b)
			rdb := redis.NewClient(&redis.Options{Addr: addr})
			defer rdb.Close()
			p := New(rdb, "bs", lua, Options{})
			b.ReportAllocs()
			slots := 0
			for b.Loop() {
				got, _, err := p.Reserve(b.Context(), []Limit{{Account: "a", Rate: 5e4}}, 5*time.Millisecond, 50)
				if err != nil {
					b.Fatal(err)
				}
				slots += len(got)
			}
			b.ReportMetric(float64(slots)/float64(b.N), "slots/op")
		})
	}
}
