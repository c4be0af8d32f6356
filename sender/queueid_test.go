package sender

import (
	"strings"
	"testing"
)

func TestQueueID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"2.0.0 Ok: queued as 4BxYz12":              "4BxYz12",
		"2.0.0 Queued As <ab12>.":                  "ab12",
		"2.0.0 ok":                                 "",
		"queued as ":                               "",
		"\u023a\u023a\u023a queued as 4Bx":         "4Bx", // longer in lower case
		"2.0.0 for \xff\xfe queued as 4Bx, thanks": "4Bx",
	} {
		if got := QueueID(text); got != want {
			t.Errorf("QueueID(%q) = %q, want %q", text, got, want)
		}
	}
}

// An address in the place of an id is no more in the log than one elsewhere in
// the reply.
func TestAQueueIDIsNoAddress(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"2.0.0 queued as ada@example.org", "queued as <ada@example.org>", "queued as to=<ada@example.org>,id=1"} {
		if got := QueueID(text); strings.Contains(got, "ada@") {
			t.Errorf("QueueID(%q) = %q", text, got)
		}
	}
}

func FuzzQueueID(f *testing.F) {
	f.Add("2.0.0 Ok: queued as 4BxYz12")
	f.Add("queued as <ada@example.org>")
	f.Add("\u0130queued as ")
	f.Fuzz(func(t *testing.T, text string) {
		if got := QueueID(text); strings.ContainsAny(got, " ") {
			t.Errorf("QueueID(%q) = %q", text, got)
		}
	})
}
