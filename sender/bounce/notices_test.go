package bounce

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"broadside/campaign"
)

// judged returns class and recipient of each notice that a message comes to.
func judged(t *testing.T, message []byte) []string {
	t.Helper()
	notices, err := Decode(bytes.NewReader(message))
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, n := range notices {
		class, reason, _ := Judge(nil, n)
		if reason == "" {
			t.Errorf("%s %s has no reason", class, n.Recipient)
		}
		all = append(all, string(class))
		if n.Recipient != "" {
			all = append(all, n.Recipient)
		}
	}
	return all
}

func TestNotices(t *testing.T) {
	t.Parallel()
	archive, err := txtar.ParseFile("testdata/notices.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range archive.Files {
		words := strings.Fields(file.Name)
		for end, ending := range map[string]string{"LF": "\n", "CRLF": "\r\n", "CR": "\r"} {
			t.Run(words[0]+"/"+end, func(t *testing.T) {
				t.Parallel()
				message := bytes.ReplaceAll(file.Data, []byte("\n"), []byte(ending))
				if got := judged(t, message); !slices.Equal(got, words[1:]) {
					t.Errorf("found %v, expected %v", got, words[1:])
				}
			})
		}
	}
}

// TestMessagesAsTheyCame reads testdata/x*.eml. Where two classes are right, the milder
// one is expected.
func TestMessagesAsTheyCame(t *testing.T) {
	t.Parallel()
	for file, want := range map[string][]string{
		"x001.eml": {"hard", "userx@example.com"},
		"x002.eml": {"hard", "userx@example.com.ar"},
		"x003.eml": {"soft", "userx@example.com"},
		"x004.eml": {"delayed", "userx@example.fi"},
		"x005.eml": {"soft", "userx@example.com"},
		"x006.eml": {"hard", "recipient@example.net"},
		"x007.eml": {"blocked", "recipient@example.net"},
		"x008.eml": {"auto-reply"},
	} {
		message, err := os.ReadFile("testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		if got := judged(t, message); !slices.Equal(got, want) {
			t.Errorf("%s: found %v, expected %v", file, got, want)
		}
	}
}

// message makes one of header lines and a body.
func message(header, body string) []byte {
	return []byte(header + "\n\n" + body + "\n")
}

const daemonHeader = "From: MAILER-DAEMON@mx.example.com\nTo: news@example.org"

// only returns the only notice of a message.
func only(t *testing.T, message []byte) campaign.Notice {
	t.Helper()
	notices, err := Decode(bytes.NewReader(message))
	if err != nil || len(notices) != 1 {
		t.Fatalf("found %v, %v, expected one notice", notices, err)
	}
	return notices[0]
}

// A mailto of List-Unsubscribe leads to a message to the token's own address. To any
// other address, and where the word only occurs, it is a message like others.
func TestUnsubscribeByMail(t *testing.T) {
	t.Parallel()
	const token = "cgk3owrkumydjsonamaacelqz3oksajibthqmyb2"
	const ours = "To: b-" + token + "@bounce.acme.example\n"
	for _, tt := range []struct {
		name, header, body string
		want               campaign.Class
	}{
		{"subject", ours + "From: ann@example.net\nSubject: unsubscribe", "", campaign.ClassUnsubscribed},
		{"subject in German", ours + "From: ann@example.net\nSubject: Abmelden bitte", "", campaign.ClassUnsubscribed},
		{"text without a subject", ours + "From: ann@example.net", "Unsubscribe\n", campaign.ClassUnsubscribed},
		{"to another address", "To: news@acme.example\nFrom: ann@example.net\nSubject: unsubscribe", "", campaign.ClassNotABounce},
		{"a question", ours + "From: ann@example.net\nSubject: How do I unsubscribe?", "", campaign.ClassNotABounce},
		{"another subject", ours + "From: ann@example.net\nSubject: Thanks", "unsubscribe me one day", campaign.ClassNotABounce},
		{"a vacation reply", ours + "From: ann@example.net\nAuto-Submitted: auto-replied\nSubject: unsubscribe", "", campaign.ClassAutoReply},
	} {
		n := only(t, message(tt.header, tt.body))
		if class, _, _ := Judge(nil, n); class != tt.want {
			t.Errorf("%s: found %s, expected %s", tt.name, class, tt.want)
		}
		if tt.want == campaign.ClassUnsubscribed && !slices.Equal(n.Returned, []string{token}) {
			t.Errorf("%s: found the tokens %v, expected %s", tt.name, n.Returned, token)
		}
	}
}
