package hooks_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fuzz signs what is found and looks at the answer: whatever a provider sends, it is
// stored as notices that are complete, or refused as unreadable.
func fuzz(f *testing.F, sign func(t testing.TB, text string) letter, seeds ...string) {
	cfg, _ := all(f)
	for _, seed := range append(seeds, "", "{", "[", "[[]]", "[1,null]", `{"type":{}}`) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d := newDesk(t, cfg)
		l := sign(t, text)
		res := d.post(l)
		if res.Code != 200 && res.Code != 400 && res.Code != 413 || res.Code != 200 && len(d.notices) > 0 {
			t.Fatalf("%q: got %d with %d notices: %s", text, res.Code, len(d.notices), d.log)
		}
		for _, n := range d.notices {
			if n.Class == "" || n.Source != "hook:"+l.hook || !n.Signed || len(n.ID) > 300 || len(n.Reply) > 1000 {
				t.Errorf("%q: got the notice %+v", text, n)
			}
			if strings.ContainsAny(n.Reply, "\r\n") || !utf8.ValidString(n.Reply) || n.At.Year() > 9999 {
				t.Errorf("%q: got the reply %q at %v", text, n.Reply, n.At)
			}
			for _, token := range n.Quoted {
				if len(token) != 40 || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" {
					t.Errorf("%q: quoted %q", text, token)
				}
			}
		}
	})
}

func FuzzSES(f *testing.F) {
	fuzz(f, func(t testing.TB, text string) letter {
		return bySNS(t, notification(strings.ToValidUTF8(text, "")))
	}, delivery, `{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"a@example.net","diagnosticCode":"smtp; 550"}],"feedbackId":"x"},"mail":{"headers":[{"name":"Message-ID","value":"<`+ours+`@x>"}]}}`,
		`{"eventType":"Complaint","complaint":{"complainedRecipients":[{}]}}`, `{"eventType":"Open","mail":{"destination":["a"],"tags":{"token":["x"]}}}`)
}

func FuzzSendgrid(f *testing.F) {
	fuzz(f, func(t testing.TB, text string) letter { return bySendgrid(t, time.Now(), text) },
		`[{"email":"a@example.net","timestamp":1767323045.5,"event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 unknown","sg_event_id":"x","smtp-id":"<`+ours+`@example.com>","token":"x"}]`+"\r\n",
		`[{"event":"dropped","reason":"Bounced Address","timestamp":1e300}]`)
}

func FuzzMailgun(f *testing.F) {
	fuzz(f, func(_ testing.TB, text string) letter { return byMailgun(time.Now(), "t", text) },
		`{"event":"failed","severity":"permanent","reason":"generic","timestamp":1767323045.12,"recipient":"a@example.net","delivery-status":{"code":550,"bounce-code":"5.1.1","message":"x"},"message":{"headers":{"message-id":"`+ours+`@x"}},"user-variables":{"token":"x"}}`)
}

func FuzzPostmark(f *testing.F) {
	fuzz(f, func(_ testing.TB, text string) letter { return byPostmark(text) },
		`{"RecordType":"Bounce","ID":7000000000000000001,"Type":"HardBounce","Email":"a@example.net","BouncedAt":"2026-01-02T03:04:05Z","Details":"smtp;550 5.1.1","Metadata":{"token":"x"}}`,
		`{"RecordType":"SubscriptionChange","SuppressSending":true,"SuppressionReason":"ManualSuppression"}`)
}

func FuzzGeneric(f *testing.F) {
	fuzz(f, func(t testing.TB, text string) letter { return byGeneric(t, time.Now(), text) },
		`[{"id":"e","type":"bounced","recipient":"a@example.net","message_id":"<`+ours+`@x>","at":"2026-01-02T03:04:05Z","reply":"550 no"},{"type":"x"}]`)
}
