package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
)

// aShard asks a hash as campaign/suppression does.
type aShard struct{}

func (aShard) Queue(ctx context.Context, pipe redis.Pipeliner) func(string, [16]byte, string) func() (bool, error) {
	pipe.HGet(ctx, "bs:supp:domains", "version")
	return func(topic string, hash [16]byte, _ string) func() (bool, error) {
		cmd := pipe.HMGet(ctx, "bs:supp:"+strconv.Itoa(int(hash[0]&63)), string(hash[:]), string(hash[:])+topic)
		return func() (bool, error) {
			v, err := cmd.Result()
			return err == nil && (v[0] != nil || v[1] != nil), err
		}
	}
}

// BenchmarkLine is what one message costs the ledger: look, claim and outcome,
// asked by 50 connections at a time. redis-us is CPU of the redis-server.
func BenchmarkLine(b *testing.B) {
	l := backends["redis"](b)
	n := l.Line(l.rdb, aShard{})
	ctx, stop := context.WithCancel(b.Context())
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stop()
	wg.Go(func() { n.Run(ctx) })
	run := newRun(b, l, "r", 0, 0, 0, b.N)
	var next atomic.Int64
	before := redisCPU(b, l.rdb)
	b.ReportAllocs()
	b.ResetTimer()
	var conns sync.WaitGroup
	for c := range 50 {
		conns.Go(func() {
			var s Step
			key := SuppressionKey{Topic: "news", Hash: [16]byte{byte(c)}}
			look := func() bool {
				i := int(next.Add(1)) - 1
				s.Look.Ref = Ref{Run: run, Part: 3, Index: i}
				s.Look.SuppressionKey = key
				if i >= b.N {
					s.Look.Ref.Run = nil
				}
				return i < b.N
			}
			for more := look(); more; {
				s.Claim.Ref = s.Look.Ref
				s.Claim.Token = strconv.Itoa(c) + ":" + strconv.Itoa(s.Look.Ref.Index)
				s.Claim.SuppressionKey = key
				more = look()
				n.Step(ctx, &s)
				if s.Claim.Err != nil || !s.Claim.Held || s.Look.Err != nil || s.Settle.Token != "" && !s.Settle.Applied {
					b.Error(s)
				}
				s.Settle.Ref = s.Claim.Ref
				s.Settle.Token = s.Claim.Token
				s.Settle.Outcome = Outcome{State: campaign.Accepted, Reply: Reply{Code: 250, Account: "relay", Text: "queued as 4Bxyz"}}
			}

			s.Claim.Token = ""
			n.Step(ctx, &s)
		})
	}

	conns.Wait()
	b.StopTimer()
	b.ReportMetric((redisCPU(b, l.rdb)-before)/float64(b.N)*1e6, "redis-us/op")
}

// redisCPU returns the seconds of CPU that the redis-server has used.
func redisCPU(tb testing.TB, rdb redis.UniversalClient) float64 {
	info, err := rdb.Info(tb.Context(), "cpu").Result()
	if err != nil {
		tb.Fatal(err)
	}

	var sum float64
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
