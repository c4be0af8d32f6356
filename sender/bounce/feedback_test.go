package bounce

import (
	"slices"
	"testing"
)

func arf(fields, returned string) []byte {
	return message("From: fbl@example.com\nTo: fbl@example.org\nSubject: FW: Our news\nContent-Type: multipart/report; report-type=feedback-report; boundary=b1",
		"--b1\nContent-Type: text/plain\n\nThis is an email abuse report.\n\n--b1\nContent-Type: message/feedback-report\n\n"+fields+"\n\n--b1\nContent-Type: message/rfc822\n\n"+returned+"\n\n--b1--")
}

func TestFeedbackReports(t *testing.T) {
	t.Parallel()
	const returned = "From: news@example.org\nTo: ann@example.net\n\nHello"
	for _, test := range []struct {
		fields, returned string
		want             []string
	}{
		{"Feedback-Type: abuse\nUser-Agent: x\nVersion: 1\nOriginal-Rcpt-To: <ann@example.net>", "From: news@example.org\n\n", []string{"complaint", "ann@example.net"}},
		{"\nFeedback-Type: abuse", returned, []string{"complaint", "ann@example.net"}},
		{"feedback-type: FRAUD", returned, []string{"complaint", "ann@example.net"}},
		{"Feedback-Type: virus", returned, []string{"complaint", "ann@example.net"}},
		{"Feedback-Type: other", returned, []string{"complaint", "ann@example.net"}},
		{"Feedback-Type: opt-out", returned, []string{"unsubscribed", "ann@example.net"}},
		{"Feedback-Type: not-spam", returned, []string{"other", "ann@example.net"}},
		{"Feedback-Type: auth-failure", returned, []string{"other", "ann@example.net"}},
		{"Feedback-Type: abuse\nOriginal-Rcpt-To: ann@example.net\nOriginal-Rcpt-To: bob@example.net", returned, []string{"complaint", "ann@example.net", "complaint", "bob@example.net"}},
		{"Feedback-Type: abuse\nOriginal-Rcpt-To: [redacted]", "From: news@example.org\nTo: Undisclosed Recipients\n\n", []string{"complaint"}},
		{"Feedback-Type: abuse", "From: <news@example.org>\nTo: <Undisclosed Recipients>\nSubject: Our news\nMessage-ID: 1@example.org\n\nHello", []string{"complaint"}},
	} {
		if got := judged(t, arf(test.fields, test.returned)); !slices.Equal(got, test.want) {
			t.Errorf("%q: found %v, expected %v", test.fields, got, test.want)
		}
	}
}

// TestComplaintOfHotmail has no report: the message itself is attached.
func TestComplaintOfHotmail(t *testing.T) {
	t.Parallel()
	text := message("From: staff@hotmail.com\nTo: abuse@example.org\nSubject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=b1",
		"--b1\nContent-Type: message/rfc822\n\nX-HmXmrOriginalRecipient: <ann@example.net>\nFrom: news@example.org\nTo: someone\n\nHello\n\n--b1--")
	if got := judged(t, text); !slices.Equal(got, []string{"complaint", "ann@example.net"}) {
		t.Errorf("found %v", got)
	}
}

func TestReadReceipts(t *testing.T) {
	t.Parallel()
	body := "--b1\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822; ann@example.net\nDisposition: manual-action/MDN-sent-manually; displayed\n\n--b1--"
	header := "From: ann@example.net\nSubject: Read: Our news\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b1"
	if got := judged(t, message(header, body)); !slices.Equal(got, []string{"auto-reply"}) {
		t.Errorf("found %v", got)
	}

	// Dovecot tells in this form that it refused a message.
	refused := "--b1\n\nYour message to <ann@example.net> was automatically rejected:\nQuota exceeded\n\n" + body
	header = daemonHeader + "\nSubject: Automatically rejected mail\nAuto-Submitted: auto-replied (rejected)\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b1"
	if got := judged(t, message(header, refused)); !slices.Equal(got, []string{"soft", "ann@example.net"}) {
		t.Errorf("found %v", got)
	}
}
