package feedback_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"broadside/campaign"
)

// BenchmarkRecord records events about a run of 100,000 as providers send them, from eight
// connections at once; one of fifty is a bounce. It reports events a second, and the
// time within which 99 of 100 calls had their answer.
func BenchmarkRecord(b *testing.B) {
	for _, road := range []string{"token", "address"} {
		for _, batch := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/%d", road, batch), func(b *testing.B) {
				const people, callers = 100_000, 8
				o := newOffice(b)
				o.run(b, "news-1", begin, people)
				o.record(b, campaign.Notice{Signed: true, Class: campaign.ClassDelivered, Recipient: person(0)})

				work := make(chan []campaign.Notice)
				var mu sync.Mutex
				var took []time.Duration
				var all sync.WaitGroup
				for range callers {
					all.Go(func() {
						for notices := range work {
							start := time.Now()
							o.record(b, notices...)
							mu.Lock()
							took = append(took, time.Since(start))
							mu.Unlock()
						}
					})
				}

				b.ResetTimer()
				for n := 0; n < b.N; n += batch {
					var notices []campaign.Notice
					for k := range batch {
						i := (n + k) * 7919 % people
						notice := campaign.Notice{ID: fmt.Sprintf("sg:%d", n+k), Source: "hook:sendgrid", Signed: true, Class: campaign.ClassDelivered, Recipient: person(i), At: time.Now()}
						if (n+k)%50 == 0 {
							notice.Class = campaign.ClassHard
							notice.Reply = "550 5.1.1 user unknown"
						}
						if road == "token" {
							notice.Quoted = []string{o.keys.Message("news-1", 0, i)}
						}
						notices = append(notices, notice)
					}
					work <- notices
				}
				close(work)
				all.Wait()
				b.StopTimer()
				slices.Sort(took)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
			})
		}
	}
}
