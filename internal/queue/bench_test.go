package queue

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/internal/testkit"
)

// BenchmarkTask is what one task costs from Enqueue to its end, as long as a
// feeder keeps some waiting. redis-us and our-us are CPU of the redis-server
// and of this process.
func BenchmarkTask(b *testing.B) {
	for _, servers := range []int{4, 16} {
		b.Run(fmt.Sprintf("servers=%d", servers), func(b *testing.B) { benchmarkTask(b, servers) })
	}
}

func benchmarkTask(b *testing.B, servers int) {
	rdb := dial(b, testkit.Redis(b))
	ctx, stop := context.WithCancel(b.Context())
	served := make(chan error, 1)
	var handled atomic.Int64
	room := make(chan struct{}, 1)
	const batch = 2000
	client, issued := NewClient(rdb, "bench"), time.Now()
	b.ReportAllocs()
	theirs, ours := redisCPU(b, rdb), cpu(b)
	go func() {
		served <- Serve(ctx, rdb, Config{Namespace: "bench", Servers: servers, Log: slog.New(slog.DiscardHandler)}, func(context.Context, campaign.Task) {
			if n := handled.Add(1); n%batch == 0 || n == int64(b.N) {
				room <- struct{}{}
			}
		})
	}()
	for first := 0; first < b.N; first += batch {
		tasks := make([]campaign.Task, min(batch, b.N-first))
		for i := range tasks {
			tasks[i] = campaign.Task{Run: "spring-sale-20261124T070000Z", Part: 3, Index: first + i}
		}
		if err := client.Enqueue(ctx, tasks, issued); err != nil {
			b.Fatal(err)
		}
		if first > 0 {
			<-room
		}
	}
	<-room
	b.StopTimer()
	b.ReportMetric((redisCPU(b, rdb)-theirs)/float64(b.N)*1e6, "redis-us/op")
	b.ReportMetric(float64((cpu(b)-ours).Microseconds())/float64(b.N), "our-us/op")
	stop()
	if err := <-served; err != nil {
		b.Fatal(err)
	}
}

// redisCPU returns the seconds of CPU that the redis-server has used.
func redisCPU(tb testing.TB, rdb *redis.Client) (sum float64) {
	tb.Helper()
	info, err := rdb.Info(tb.Context(), "cpu").Result()
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(info) {
		for _, key := range []string{"used_cpu_sys:%g", "used_cpu_user:%g"} {
			var v float64
			if n, _ := fmt.Sscanf(line, key, &v); n == 1 {
				sum += v
			}
		}
	}
	return sum
}
