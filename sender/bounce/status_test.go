package bounce

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
)

const reportHeader = daemonHeader + "\nSubject: Undelivered Mail Returned to Sender\nContent-Type: multipart/report; report-type=delivery-status; boundary=b1"

// report returns a bounce message whose delivery-status part has these fields.
func report(fields string) []byte {
	return message(reportHeader, "--b1\nContent-Type: text/plain\n\nYour message could not be delivered.\n\n--b1\nContent-Type: message/delivery-status\n\n"+fields+"\n\n--b1--")
}

func TestDeliveryStatus(t *testing.T) {
	t.Parallel()
	const reporting = "Reporting-MTA: dns; mx.example.com\n\n"
	unknown := "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 user unknown"
	full := "Final-Recipient: rfc822; bob@example.net\nAction: failed\nStatus: 5.2.2\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full"
	both := []string{"hard", "ann@example.net", "soft", "bob@example.net"}
	for name, test := range map[string]struct {
		fields string
		want   []string
	}{
		"one":                     {reporting + unknown, []string{"hard", "ann@example.net"}},
		"two":                     {reporting + unknown + "\n\n" + full, both},
		"no blank line between":   {reporting + unknown + "\n" + full, both},
		"no blank line at all":    {strings.TrimSpace(reporting) + "\n" + unknown + "\n" + full, both},
		"a blank line too many":   {reporting + strings.Replace(unknown, "\nStatus", "\n\nStatus", 1) + "\n\n" + full, both},
		"odd case":                {reporting + strings.ToUpper(unknown), []string{"hard", "ANN@EXAMPLE.NET"}},
		"folded":                  {reporting + "Final-Recipient:\n rfc822;\n\tann@example.net\nAction:\n failed\nDiagnostic-Code: smtp;\n 550 5.1.1\n user unknown", []string{"hard", "ann@example.net"}},
		"comments":                {reporting + "Final-Recipient: rfc822; <ann@example.net> (Ann)\nAction: failed (really)\nStatus: 5.1.1 (user unknown)", []string{"hard", "ann@example.net"}},
		"without a type":          {reporting + "Final-Recipient: ann@example.net\nStatus: 5.1.1", []string{"hard", "ann@example.net"}},
		"the original recipient":  {reporting + "Original-Recipient: rfc822; ann@example.net\nFinal-Recipient: rfc822; a1@example.net\nAction: failed\nStatus: 5.1.1", []string{"hard", "ann@example.net"}},
		"order of fields":         {reporting + "Action: failed\nStatus: 5.1.1\nOriginal-Recipient: rfc822;ann@example.net\nFinal-Recipient: rfc822;a1@store\n\nAction: failed\nStatus: 5.2.2\nFinal-Recipient: rfc822; bob@example.net", both},
		"international":           {reporting + "Final-Recipient: utf-8; \\x{e4}nn@example.net\nAction: failed\nStatus: 5.1.1", []string{"hard", "änn@example.net"}},
		"delayed":                 {reporting + strings.Replace(unknown, "failed", "delayed", 1), []string{"delayed", "ann@example.net"}},
		"expanded":                {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: expanded\nStatus: 2.0.0", []string{"delivered", "ann@example.net"}},
		"relayed":                 {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: relayed\nStatus: 2.0.0", []string{"delivered", "ann@example.net"}},
		"given up after a while":  {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 4.4.7\nDiagnostic-Code: smtp; 450 4.1.1 user unknown", []string{"soft", "ann@example.net"}},
		"a status alone":          {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.6\n", []string{"hard", "ann@example.net"}},
		"a domain's status":       {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.2\n", []string{"soft", "ann@example.net"}},
		"a policy's status":       {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.7.1\n", []string{"blocked", "ann@example.net"}},
		"disabled":                {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.2.1\n", []string{"soft", "ann@example.net"}},
		"status against the text": {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 554 5.7.1 spam", []string{"blocked", "ann@example.net"}},
		"text against the status": {reporting + "Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.2.1\nDiagnostic-Code: smtp; 550 User unknown", []string{"soft", "ann@example.net"}},
	} {
		if got := judged(t, report(test.fields)); !slices.Equal(got, test.want) {
			t.Errorf("%s: found %v, expected %v", name, got, test.want)
		}
	}
}

// TestStageStandsInTheText: only the text for people says that the server refused the
// body and not the recipient.
func TestStageStandsInTheText(t *testing.T) {
	t.Parallel()
	for stage, want := range map[string]string{"RCPT TO command": "hard", "end of DATA command": "soft", "MAIL FROM command": "blocked"} {
		body := "--b1\nContent-Type: text/plain\n\n<ann@example.net>: host mx.example.net said: 550 Unknown user (in reply\n    to " + stage +
			")\n\n--b1\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.0.0\nDiagnostic-Code: smtp; 550 Unknown user\n\n--b1--"
		if got := judged(t, message(reportHeader, body)); got[0] != want {
			t.Errorf("%s: found %v, expected %s", stage, got, want)
		}
	}
}

func TestEncodedDeliveryStatus(t *testing.T) {
	t.Parallel()
	fields := base64.StdEncoding.EncodeToString([]byte("Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\n"))
	for _, kind := range []string{"message/delivery-status", "message/global-delivery-status"} {
		body := "--b1\nContent-Type: " + kind + "\nContent-Transfer-Encoding: base64\n\n" + fields[:20] + "\n" + fields[20:] + "\n--b1--"
		if got := judged(t, message(reportHeader, body)); !slices.Equal(got, []string{"hard", "ann@example.net"}) {
			t.Errorf("%s: found %v", kind, got)
		}
	}
}

// TestRecipientOfAReportWithout: the part names none, or none with a domain.
func TestRecipientOfAReportWithout(t *testing.T) {
	t.Parallel()
	for name, body := range map[string]string{
		"in the text":     "--b1\n\n<ann@example.net>:\nno such user\n\n--b1\nContent-Type: message/delivery-status\n\nFinal-Recipient: rfc822; ann\nAction: failed\nStatus: 5.1.1\n\n--b1--",
		"in the returned": "--b1\nContent-Type: message/delivery-status\n\nAction: failed\nStatus: 5.1.1\n\n--b1\nContent-Type: text/rfc822-headers\n\nTo: Ann <ann@example.net>\nFrom: news@example.org\n\n--b1--",
	} {
		if got := judged(t, message(reportHeader, body)); !slices.Equal(got, []string{"hard", "ann@example.net"}) {
			t.Errorf("%s: found %v", name, got)
		}
	}
}
