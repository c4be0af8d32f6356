package hooks_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
)

// An outcome is what is looked at of a notice.
type outcome struct {
	class campaign.Class
	reply string
}

func (o outcome) of(n campaign.Notice) string {
	return fmt.Sprintf("%s %q, want %s %q", n.Class, n.Reply, o.class, o.reply)
}

func (o outcome) is(n campaign.Notice) bool { return n.Class == o.class && n.Reply == o.reply }

func TestSendgridEvents(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	const sample = `[{"email":"a@example.net","timestamp":1767323045,"event":"bounce","type":"bounce","status":"5.1.1","reason":"550 5.1.1 unknown","bounce_classification":"Invalid Address","sg_event_id":"ZXZ0MQ","sg_message_id":"m1.filter1.0","smtp-id":"<` + ours + `@example.com>","token":"` + ours + `","category":["x"],"attempt":{}}]` + "\r\n"
	same(t, campaign.Notice{
		ID: "sendgrid:ZXZ0MQ", Source: "hook:sendgrid", Signed: true, Class: campaign.ClassHard,
		At: time.Unix(1767323045, 0).UTC(), Recipient: "a@example.net", Quoted: []string{ours},
		Status: "5.1.1", Reply: "550 5.1.1 unknown",
	}, d.one(t, bySendgrid(t, time.Now(), sample)))

	for fields, want := range map[string]outcome{
		`"event":"delivered","response":"250 ok"`:                                                              {campaign.ClassDelivered, "250 ok"},
		`"event":"deferred","response":"450 later","attempt":"3"`:                                              {campaign.ClassDelayed, "450 later"},
		`"event":"bounce","type":"bounce","status":"","reason":"no such host"`:                                 {campaign.ClassHard, "no such host"},
		`"event":"bounce","type":"bounce","status":"4.2.2","bounce_classification":"Mailbox Unavailable"`:      {campaign.ClassSoft, ""},
		`"event":"bounce","type":"bounce","status":"4.1.1","bounce_classification":"Invalid Address"`:          {campaign.ClassHard, ""},
		`"event":"bounce","type":"blocked","status":"5.7.1","reason":"spam","bounce_classification":"Content"`: {campaign.ClassBlocked, "spam"},
		`"event":"dropped","reason":"Bounced Address"`:                                                         {campaign.ClassHard, "not tried by SendGrid: Bounced Address"},
		`"event":"dropped","reason":"Spam Reporting Address"`:                                                  {campaign.ClassComplaint, "not tried by SendGrid: Spam Reporting Address"},
		`"event":"dropped","reason":"Unsubscribed Address"`:                                                    {campaign.ClassUnsubscribed, "not tried by SendGrid: Unsubscribed Address"},
		`"event":"dropped","reason":"Spam Content"`:                                                            {campaign.ClassBlocked, "not tried by SendGrid: Spam Content"},
		`"event":"spamreport"`:             {campaign.ClassComplaint, ""},
		`"event":"unsubscribe"`:            {campaign.ClassUnsubscribed, ""},
		`"event":"group_unsubscribe"`:      {campaign.ClassUnsubscribed, ""},
		`"event":"group_resubscribe"`:      {campaign.ClassOther, "group_resubscribe"},
		`"event":"open","email":["x"]`:     {campaign.ClassOther, "open"},
		`"event":"of a later year","x":{}`: {campaign.ClassOther, "of a later year"},
	} {
		if n := d.one(t, bySendgrid(t, time.Now(), "[{"+fields+"}]")); !want.is(n) {
			t.Errorf("%s: got %s", fields, want.of(n))
		}
	}
}

func TestMailgunEvents(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	const sample = `{"event":"failed","severity":"permanent","reason":"bounce","id":"ev1","timestamp":1767323045.12,"recipient":"a@example.net","delivery-status":{"code":550,"enhanced-code":"5.1.1","message":"unknown user"},"message":{"headers":{"message-id":"` + ours + `@example.com"}},"user-variables":{"token":"x"}}`
	n := d.one(t, byMailgun(time.Now(), "token-of-50-characters", sample))
	same(t, campaign.Notice{
		ID: "mailgun:token-of-50-characters", OneUse: true, Source: "hook:mailgun", Signed: true, Class: campaign.ClassHard,
		At: n.At, Recipient: "a@example.net", Quoted: []string{ours}, Status: "5.1.1", Reply: "550 unknown user",
	}, n)
	same(t, int64(1767323045), n.At.Unix())

	for fields, want := range map[string]outcome{
		`"event":"delivered","delivery-status":{"code":250,"message":"OK"}`:                                                                                {campaign.ClassDelivered, "250 OK"},
		`"event":"failed","severity":"temporary","reason":"generic","delivery-status":{"message":"450 later"}`:                                             {campaign.ClassDelayed, "450 later"},
		`"event":"failed","severity":"permanent","reason":"suppress-bounce"`:                                                                               {campaign.ClassHard, "suppress-bounce"},
		`"event":"failed","severity":"permanent","reason":"suppress-complaint"`:                                                                            {campaign.ClassComplaint, "suppress-complaint"},
		`"event":"failed","severity":"permanent","reason":"suppress-unsubscribe"`:                                                                          {campaign.ClassUnsubscribed, "suppress-unsubscribe"},
		`"event":"failed","severity":"permanent","reason":"old"`:                                                                                           {campaign.ClassSoft, "old"},
		`"event":"failed","severity":"permanent","reason":"espblock"`:                                                                                      {campaign.ClassBlocked, "espblock"},
		`"event":"failed","severity":"permanent","reason":"generic","delivery-status":{"code":550,"bounce-code":"5.1.10","description":"no","message":""}`: {campaign.ClassHard, "550 no"},
		`"event":"rejected","reason":"spam"`:                                                                                                               {campaign.ClassBlocked, "spam"},
		`"event":"complained"`:                                                                                                                             {campaign.ClassComplaint, ""},
		`"event":"unsubscribed","user-variables":[]`:                                                                                                       {campaign.ClassUnsubscribed, ""},
		`"event":"opened","delivery-status":"x","message":1`:                                                                                               {campaign.ClassOther, "opened"},
	} {
		if n := d.one(t, byMailgun(time.Now(), "t", "{"+fields+"}")); !want.is(n) {
			t.Errorf("%s: got %s", fields, want.of(n))
		}
	}
}

func TestPostmarkEvents(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	const sample = `{"RecordType":"Bounce","ID":7000000000000000001,"Type":"HardBounce","TypeCode":1,"Email":"a@example.net","BouncedAt":"2026-01-02T03:04:05Z","Details":"smtp;550 5.1.1","MessageID":"0a1b2c3d-0000-4000-8000-00000000beef","MessageStream":"broadcast","Metadata":{"token":"` + ours + `"},"Inactive":true,"CanActivate":true}`
	same(t, campaign.Notice{
		ID: "postmark:Bounce:7000000000000000001", Source: "hook:postmark", Signed: true, Class: campaign.ClassHard,
		At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Recipient: "a@example.net", Quoted: []string{ours}, Reply: "550 5.1.1",
	}, d.one(t, byPostmark(sample)))
	n := d.one(t, byPostmark(`{"RecordType":"Delivery","MessageID":"m","Recipient":"a@example.net","DeliveredAt":"2026-01-02T03:04:05.1234567-05:00","Details":"250 ok"}`))
	same(t, "postmark:Delivery:m:a@example.net:2026-01-02T03:04:05.1234567-05:00", n.ID)
	same(t, campaign.ClassDelivered, n.Class)

	for fields, want := range map[string]outcome{
		`"RecordType":"Bounce","Type":"BadEmailAddress","Description":"bad"`:                               {campaign.ClassHard, "bad"},
		`"RecordType":"Bounce","Type":"SpamComplaint"`:                                                     {campaign.ClassComplaint, ""},
		`"RecordType":"Bounce","Type":"Unsubscribe"`:                                                       {campaign.ClassUnsubscribed, ""},
		`"RecordType":"Bounce","Type":"AutoResponder"`:                                                     {campaign.ClassAutoReply, ""},
		`"RecordType":"Bounce","Type":"ChallengeVerification"`:                                             {campaign.ClassAutoReply, ""},
		`"RecordType":"Bounce","Type":"Blocked","Details":"smtp; 554 5.7.1\r\n no"`:                        {campaign.ClassBlocked, "554 5.7.1 no"},
		`"RecordType":"Bounce","Type":"DMARCPolicy"`:                                                       {campaign.ClassBlocked, ""},
		`"RecordType":"Bounce","Type":"Transient"`:                                                         {campaign.ClassSoft, ""},
		`"RecordType":"Bounce","Type":"DnsError"`:                                                          {campaign.ClassSoft, ""},
		`"RecordType":"Bounce","Type":"OfALaterYear"`:                                                      {campaign.ClassSoft, ""},
		`"RecordType":"Bounce","Type":"AddressChange"`:                                                     {campaign.ClassOther, "AddressChange"},
		`"RecordType":"SpamComplaint","ID":5`:                                                              {campaign.ClassComplaint, ""},
		`"RecordType":"SubscriptionChange","SuppressSending":true,"SuppressionReason":"ManualSuppression"`: {campaign.ClassUnsubscribed, "suppressed at Postmark: ManualSuppression"},
		`"RecordType":"SubscriptionChange","SuppressSending":true,"SuppressionReason":"HardBounce"`:        {campaign.ClassHard, "suppressed at Postmark: HardBounce"},
		`"RecordType":"SubscriptionChange","SuppressSending":true,"SuppressionReason":"SpamComplaint"`:     {campaign.ClassComplaint, "suppressed at Postmark: SpamComplaint"},
		`"RecordType":"SubscriptionChange","SuppressSending":false,"SuppressionReason":null`:               {campaign.ClassOther, "SubscriptionChange"},
		`"RecordType":"Open","Metadata":[]`:                                                                {campaign.ClassOther, "Open"},
	} {
		if n := d.one(t, byPostmark("{"+fields+"}")); !want.is(n) {
			t.Errorf("%s: got %s", fields, want.of(n))
		}
	}
}

func TestGenericEvents(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	same(t, campaign.Notice{
		ID: "generic:e-1", Source: "hook:generic", Signed: true, Class: campaign.ClassHard,
		At: time.Date(2026, 1, 2, 2, 4, 5, 0, time.UTC), Recipient: "a@example.net", Quoted: []string{ours}, Reply: "550 5.1.1 unknown",
	}, d.one(t, byGeneric(t, time.Now(), `{"id":"e-1","type":"bounced","recipient":"a@example.net","message_id":"<`+ours+`@example.com>","at":"2026-01-02T03:04:05+01:00","reply":"550 5.1.1 unknown"}`)))

	batch := d.stored(t, byGeneric(t, time.Now(), ` [{"type":"delivered"},{"type":"blocked"},{"type":"deferred"},{"type":"complained"},{"type":"unsubscribed"},{"type":"viewed"}]`))
	var got []string
	for _, n := range batch {
		got = append(got, strings.TrimSpace(n.ID+" "+string(n.Class)+" "+n.Reply))
	}
	same(t, []string{
		"generic:msg_1:1 delivered", "generic:msg_1:2 blocked", "generic:msg_1:3 delayed", "generic:msg_1:4 complaint",
		"generic:msg_1:5 unsubscribed", "generic:msg_1:6 other viewed",
	}, got)
}

// A token is found in every form in which providers quote a Message-ID, and what has
// another form is none.
func TestTokens(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	for text, want := range map[string][]string{
		ours:                                  {ours},
		"<" + ours + "@news.example>":         {ours},
		ours + "@news.example":                {ours},
		` "<` + ours + `@news.example>" `:     {ours},
		"'" + strings.ToUpper(ours) + "'@x":   {ours},
		"b-" + ours + "@bounce.example":       {ours},
		"<14c5d75ce93.dfd.64b469@ismtpd-555>": nil,
		ours[1:]:                              nil,
		ours + "a":                            nil,
		"1" + ours[1:]:                        nil,
		"é" + ours[2:]:                        nil,
		"":                                    nil,
	} {
		body := fmt.Sprintf(`{"type":"delivered","message_id":%q}`, text)
		same(t, want, d.one(t, byGeneric(t, time.Now(), body)).Quoted)
	}
}

func TestLongTextsAreCut(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	long := func(last string) string {
		return fmt.Sprintf(`{"id":"%s%s","type":"bounced","reply":"%s"}`, strings.Repeat("i", 5000), last, strings.Repeat("é ", 5000))
	}
	n := d.one(t, byGeneric(t, time.Now(), long("1")))
	if len(n.ID) > 250 || len(n.Reply) > 1000 || len(n.Reply) < 990 {
		t.Errorf("got an ID of %d bytes and a reply of %d", len(n.ID), len(n.Reply))
	}
	if other := d.one(t, byGeneric(t, time.Now(), long("2"))); other.ID == n.ID {
		t.Error("two long IDs became the same")
	}
}
