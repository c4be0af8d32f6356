package hooks_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
)

type forgetful struct{}

func (forgetful) Record(context.Context, []campaign.Notice) error { return nil }

// BenchmarkHooks takes requests as their providers send them: batches of 1,000 events
// where there are batches, and one event where there are none.
func BenchmarkHooks(b *testing.B) {
	event := func(format string) string {
		var events []string
		for i := range 1000 {
			events = append(events, fmt.Sprintf(format, i, i))
		}
		return "[" + strings.Join(events, ",") + "]"
	}
	cfg, _ := all(b)
	cfg.Recorder = forgetful{}
	d := newDesk(b, cfg)
	now := time.Now()
	for _, bb := range []struct {
		events int
		letter letter
	}{
		{1000, bySendgrid(b, now, event(`{"email":"a%d@example.net","timestamp":1767323045,"event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 unknown","sg_event_id":"e%d","smtp-id":"<`+ours+`@example.com>"}`))},
		{1000, byGeneric(b, now, event(`{"id":"e%d","type":"bounced","recipient":"a%d@example.net","message_id":"<`+ours+`@example.com>","at":"2026-01-02T03:04:05Z","reply":"550 5.1.1 unknown"}`))},
		{1, byMailgun(now, "t", `{"event":"failed","severity":"permanent","reason":"bounce","timestamp":1767323045.12,"recipient":"a@example.net","delivery-status":{"code":550,"message":"unknown user"},"message":{"headers":{"message-id":"`+ours+`@example.com"}}}`)},
		{1, byPostmark(`{"RecordType":"Bounce","ID":7,"Type":"HardBounce","Email":"a@example.net","BouncedAt":"2026-01-02T03:04:05Z","Details":"smtp;550 5.1.1"}`)},
		{1, bySNS(b, notification(delivery))},
	} {
		b.Run(bb.letter.hook, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				if res := d.post(bb.letter); res.Code != 200 {
					b.Fatalf("got %d %s: %s", res.Code, res.Body, d.log)
				}
				n += bb.events
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
