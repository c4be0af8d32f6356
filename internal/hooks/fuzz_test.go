package hooks_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"broadside/campaign"
	"broadside/internal/hooks"
)

// odd are texts that are no event of any provider.
var odd = []string{"", "{", "[", "[[]]", "[1,null]", `{"type":{}}`}

// fuzz signs what is found and looks at the answer: whatever a provider sends, it is
// stored as notices that are complete, or refused as unreadable.
func fuzz(f *testing.F, sign func(t testing.TB, text string) letter, seeds ...string) {
	cfg, _ := all(f)
	d := newDesk(f, cfg)
	for _, seed := range append(seeds, odd...) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l := sign(t, text)
		d.notices = nil
		res := d.post(l)
		if res.Code != 200 && res.Code != 400 && res.Code != 413 || res.Code != 200 && len(d.notices) > 0 {
			t.Fatalf("%q: got %d with %d notices: %s", text, res.Code, len(d.notices), d.log)
		}
		complete(t, l.hook, d.notices)
	})
}

func complete(t *testing.T, hook string, notices []campaign.Notice) {
	t.Helper()
	for _, n := range notices {
		if n.Class == "" || n.Source != "hook:"+hook || !n.Signed || len(n.ID) > 300 || len(n.Reply) > 1000 {
			t.Errorf("got the notice %+v", n)
		}
		if strings.ContainsAny(n.Reply, "\r\n") || !utf8.ValidString(n.Reply) || n.At.Year() > 9999 {
			t.Errorf("got the reply %q at %v", n.Reply, n.At)
		}
		for _, token := range n.Quoted {
			if len(token) != 40 || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" {
				t.Errorf("quoted %q", token)
			}
		}
	}
}

// FuzzSES reads a text as what SES says, and as a message of SNS that no one has signed:
// RSA would be most of the work.
func FuzzSES(f *testing.F) {
	cfg, _ := all(f)
	d := newDesk(f, cfg)
	for _, seed := range append([]string{
		delivery,
		`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"a@example.net","diagnosticCode":"smtp; 550"}],"feedbackId":"x"},"mail":{"headers":[{"name":"Message-ID","value":"<` + ours + `@x>"}]}}`,
		`{"eventType":"Complaint","complaint":{"complainedRecipients":[{}]}}`,
		`{"eventType":"Open","mail":{"destination":["a"],"tags":{"token":["x"]}}}`,
		`{"Type":"Notification","TopicArn":"` + topic + `","Signature":"AAAA","Message":"{}","Subject":null}`,
	}, odd...) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		notices, err := hooks.ReadSES(text)
		if err != nil && len(notices) > 0 {
			t.Errorf("%q: %d notices with the error %v", text, len(notices), err)
		}
		complete(t, "ses", notices)
		if res := d.post(letter{hook: "ses", body: text}); res.Code != 400 && res.Code != 401 {
			t.Errorf("%q: got %d", text, res.Code)
		}
	})
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
