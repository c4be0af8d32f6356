package hooks_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"broadside/campaign"
)

func TestSESSamples(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	const mail = `"mail":{"messageId":"0102-m","destination":["a@example.net"],"headers":[{"name":"From","value":"news@example.com"},{"name":"message-id","value":"<` + ours + `@example.com>"}],"tags":{"token":["` + ours + `"]}}`
	const bounce = `{"notificationType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General","bouncedRecipients":[{"emailAddress":"a@example.net","action":"failed","status":"5.1.1","diagnosticCode":"smtp; 550 5.1.1 unknown"}],"timestamp":"2026-01-02T03:04:04.000Z","feedbackId":"0102-x"},` + mail + `}`
	at := time.Date(2026, 1, 2, 3, 4, 4, 0, time.UTC)
	for _, version := range []string{"1", "2"} {
		m := notification(bounce)
		m["SignatureVersion"] = version
		m["Subject"] = "Amazon SES Email Event Notification"
		same(t, campaign.Notice{
			ID: "ses:0102-x:a@example.net", Source: "hook:ses", Signed: true, Class: campaign.ClassHard, At: at,
			Recipient: "a@example.net", Quoted: []string{ours}, Status: "5.1.1", Reply: "550 5.1.1 unknown",
		}, d.one(t, bySNS(t, m)))
	}

	n := d.one(t, bySNS(t, notification(`{"notificationType":"Delivery","delivery":{"recipients":["a@example.net"],"smtpResponse":"250 2.6.0 ok","timestamp":"2026-01-02T03:04:04.000Z"},`+mail+`}`)))
	same(t, campaign.Notice{
		ID: "ses:ntf-1:a@example.net", Source: "hook:ses", Signed: true, Class: campaign.ClassDelivered, At: at,
		Recipient: "a@example.net", Quoted: []string{ours}, Reply: "250 2.6.0 ok",
	}, n)

	batch := d.stored(t, bySNS(t, notification(`{"eventType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"a@example.net"},{"emailAddress":"b@example.net"}],"complaintFeedbackType":"abuse","complaintSubType":null,"feedbackId":"0102-c"},`+mail+`}`)))
	if len(batch) != 2 || batch[0].ID == batch[1].ID || batch[1].Recipient != "b@example.net" || batch[0].Reply != "abuse" {
		t.Errorf("got %+v, want a complaint of each recipient", batch)
	}
}

func TestSESEvents(t *testing.T) {
	t.Parallel()
	cfg, _ := all(t)
	d := newDesk(t, cfg)
	bounce := func(kind, sub string) string {
		return fmt.Sprintf(`"eventType":"Bounce","bounce":{"bounceType":%q,"bounceSubType":%q,"bouncedRecipients":[{"emailAddress":"a@example.net"}]}`, kind, sub)
	}
	complaint := func(kind string) string {
		return fmt.Sprintf(`"eventType":"Complaint","complaint":{"complaintFeedbackType":%s,"complainedRecipients":[{"emailAddress":"a@example.net"}]}`, kind)
	}
	const to = `,"mail":{"destination":["a@example.net"]}`
	for fields, want := range map[string]outcome{
		bounce("Permanent", "NoEmail"):                  {campaign.ClassHard, "Permanent NoEmail"},
		bounce("Permanent", "Suppressed"):               {campaign.ClassHard, "not tried by SES: Suppressed"},
		bounce("Permanent", "OnAccountSuppressionList"): {campaign.ClassHard, "not tried by SES: OnAccountSuppressionList"},
		bounce("Permanent", "UnsubscribedRecipient"):    {campaign.ClassUnsubscribed, "not tried by SES: UnsubscribedRecipient"},
		bounce("Transient", "General"):                  {campaign.ClassSoft, "Transient General"},
		bounce("Undetermined", "Undetermined"):          {campaign.ClassSoft, "Undetermined Undetermined"},
		complaint(`"abuse"`):                            {campaign.ClassComplaint, "abuse"},
		complaint(`null`):                               {campaign.ClassComplaint, ""},
		complaint(`"not-spam"`):                         {campaign.ClassOther, "Complaint not-spam"},
		`"eventType":"DeliveryDelay","deliveryDelay":{"delayType":"MailboxFull","delayedRecipients":[{"emailAddress":"a@example.net","status":"4.2.2","diagnosticCode":"smtp; 452 4.2.2 full"}]}`: {campaign.ClassDelayed, "452 4.2.2 full"},
		`"eventType":"Reject","reject":{"reason":"Bad content"}` + to: {campaign.ClassBlocked, "not tried by SES: Bad content"},
		`"eventType":"Open"` + to:                                     {campaign.ClassOther, "Open"},
		`"eventType":"Rendering Failure","failure":1` + to:            {campaign.ClassOther, "Rendering Failure"},
	} {
		n := d.one(t, bySNS(t, notification("{"+fields+"}")))
		if !want.is(n) || n.Recipient != "a@example.net" || n.ID != "ses:ntf-1:a@example.net" || n.At.IsZero() {
			t.Errorf("%s: got %s in %+v", fields, want.of(n), n)
		}
	}
}

const delivery = `{"notificationType":"Delivery","delivery":{"recipients":["a@example.net"]}}`

// What SNS has not signed, or has signed for another topic, stores nothing
// and has nothing asked of other hosts.
func TestSNSIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(m message)
		want   int
	}{
		{"other topic", func(m message) { m["TopicArn"] = topic + "2" }, 401},
		{"other signature version", func(m message) { m["SignatureVersion"] = "3" }, 401},
		{"late", func(m message) { m["Timestamp"] = ago(4 * time.Minute) }, 200},
		{"too late", func(m message) { m["Timestamp"] = ago(6 * time.Minute) }, 401},
		{"of tomorrow", func(m message) { m["Timestamp"] = ago(-24 * time.Hour) }, 401},
		{"no time", func(m message) { m["Timestamp"] = "now" }, 401},
		{"other type", func(m message) { m["Type"] = "Greeting" }, 400},
		{"host of others", func(m message) { m["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com.example/x.pem" }, 401},
		{"other file", func(m message) { m["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com/x.cer" }, 401},
		{"storage of others", func(m message) { m["SigningCertURL"] = "https://sns.s3.amazonaws.com/x.pem" }, 401},
		{"storage of others in a region", func(m message) { m["SigningCertURL"] = "https://sns.s3-us-west-2.amazonaws.com/x.pem" }, 401},
		{"port", func(m message) { m["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com:8443/x.pem" }, 401},
		{"user", func(m message) { m["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com@127.0.0.1/x.pem" }, 401},
		{"http", func(m message) { m["SigningCertURL"] = strings.Replace(certURL, "https", "http", 1) }, 401},
		{"query", func(m message) { m["SigningCertURL"] = "https://sns.eu-west-1.amazonaws.com/?x=.pem" }, 401},
		{"no certificate", func(m message) { delete(m, "SigningCertURL") }, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, a := all(t)
			d := newDesk(t, cfg)
			m := notification(delivery)
			tt.change(m)
			d.expect(t, tt.want, bySNS(t, m))
			for _, address := range a.asked {
				if address != certURL && address != issueURL {
					t.Errorf("asked for %s", address)
				}
			}
		})
	}
}

func ago(d time.Duration) string { return time.Now().Add(-d).UTC().Format(time.RFC3339) }

func TestRawDeliveryIsRefused(t *testing.T) {
	t.Parallel()
	cfg, a := all(t)
	d := newDesk(t, cfg)
	d.expect(t, 401, letter{"ses", map[string]string{"x-amz-sns-rawdelivery": "true"}, delivery})
	if !strings.Contains(d.log.String(), "raw message delivery must be off") || len(a.asked) > 0 {
		t.Errorf("got %q, asked for %v, want the remedy and nothing asked", d.log, a.asked)
	}
}

func TestCertificatesOfSNS(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		make func(a *amazon) []byte // nil: none is there
		want int
	}{
		{"of a region", func(a *amazon) []byte { return inPEM(a.issue(ofSNS("sns-signing.af-south-1.amazonaws.com"), a.issuer)) }, 200},
		{"with its issuer in the file", func(a *amazon) []byte {
			delete(a.files, issueURL)
			return inPEM(a.issue(ofSNS("sns.amazonaws.com"), a.issuer), a.issuer)
		}, 200},
		{"expired", func(a *amazon) []byte {
			c := ofSNS("sns.amazonaws.com")
			c.NotAfter = time.Now().Add(-time.Minute)
			return inPEM(a.issue(c, a.issuer))
		}, 401},
		{"of others", func(a *amazon) []byte { return inPEM(a.issue(ofSNS("www.example.com"), a.issuer)) }, 401},
		{"of a host that begins like SNS", func(a *amazon) []byte { return inPEM(a.issue(ofSNS("snsx.amazonaws.com"), a.issuer)) }, 401},
		{"by itself", func(a *amazon) []byte { return inPEM(a.issue(ofSNS("sns.amazonaws.com"), nil)) }, 401},
		{"by another authority", func(a *amazon) []byte {
			other := a.issue(authority("other"), nil)
			return inPEM(a.issue(ofSNS("sns.amazonaws.com"), other), other)
		}, 401},
		{"no PEM", func(*amazon) []byte { return []byte("<html>") }, 401},
		{"not there", func(*amazon) []byte { return nil }, 503},
		{"elsewhere", func(a *amazon) []byte {
			a.files["https://127.0.0.1/x.pem"] = a.files[certURL]
			return []byte("redirect https://127.0.0.1/x.pem")
		}, 503},
		{"huge", func(a *amazon) []byte { return append(a.files[certURL], make([]byte, 64<<10)...) }, 503},
		{"issuer not there", func(a *amazon) []byte {
			delete(a.files, issueURL)
			return a.files[certURL]
		}, 503},
		{"issuer elsewhere", func(a *amazon) []byte {
			c := ofSNS("sns.amazonaws.com")
			c.IssuingCertificateURL = []string{"http://127.0.0.1/x.cer", "file:///etc/passwd"}
			return inPEM(a.issue(c, a.issuer))
		}, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, a := all(t)
			d := newDesk(t, cfg)
			file := tt.make(a)
			if a.files[certURL] = file; file == nil {
				delete(a.files, certURL)
			}
			d.expect(t, tt.want, bySNS(t, notification(delivery)))
			for _, address := range a.asked {
				if strings.Contains(address, "127.0.0.1") {
					t.Errorf("asked for %s", address)
				}
			}
		})
	}
}

// A certificate is got once, and one that no one vouches for is not kept.
func TestCertificatesAreKept(t *testing.T) {
	t.Parallel()
	cfg, a := all(t)
	d := newDesk(t, cfg)
	right := a.files[certURL]
	a.files[certURL] = []byte("<html>")
	d.expect(t, 401, bySNS(t, notification(delivery)))
	a.files[certURL] = right
	a.asked = nil
	for range 3 {
		d.expect(t, 200, bySNS(t, notification(delivery)))
	}
	same(t, []string{certURL, issueURL}, a.asked)
}

func TestSubscriptionsAreConfirmed(t *testing.T) {
	t.Parallel()
	const confirm = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x&Token=secret-of-sns"
	base := message{
		"Type": "SubscriptionConfirmation", "MessageId": "sub-1", "Token": "secret-of-sns", "TopicArn": topic, "Timestamp": isoNow(),
		"Message": "You have chosen to subscribe", "SubscribeURL": confirm, "SignatureVersion": "2", "SigningCertURL": certURL,
	}
	for _, tt := range []struct {
		name    string
		change  func(m message, a *amazon)
		want    int
		visited bool
	}{
		{"confirmed", func(message, *amazon) {}, 200, true},
		{"other topic", func(m message, _ *amazon) { m["TopicArn"] = topic + "2" }, 401, false},
		{"host of others", func(m message, a *amazon) {
			m["SubscribeURL"] = "https://127.0.0.1/"
			a.files["https://127.0.0.1/"] = []byte("ok")
		}, 401, false},
		{"refused by SNS", func(_ message, a *amazon) { delete(a.files, confirm) }, 503, true},
		{"ended", func(m message, _ *amazon) { m["Type"] = "UnsubscribeConfirmation" }, 200, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			cfg, a := all(t)
			d := newDesk(t, cfg)
			a.files[confirm] = []byte("<ConfirmSubscriptionResponse/>")
			m := maps.Clone(base)
			tt.change(m, a)
			d.expect(t, tt.want, bySNS(t, m))
			visited := false
			for _, address := range a.asked {
				visited = visited || address != certURL && address != issueURL
			}
			same(t, tt.visited, visited)
			if strings.Contains(d.log.String(), "secret-of-sns") {
				t.Errorf("the token is in the log: %s", d.log)
			}
			if tt.name == "ended" && !strings.Contains(d.log.String(), "subscription of an sns topic was ended") {
				t.Errorf("got %q, want that the subscription was ended", d.log)
			}
		})
	}
}
