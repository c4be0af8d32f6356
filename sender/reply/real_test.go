package reply

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func readLines(t *testing.T, name string) []string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

// A realReply is one line of testdata/real.tsv.
type realReply struct {
	source, provider, kind string
	reply                  Reply
}

func realReplies(t *testing.T) []realReply {
	t.Helper()
	var list []realReply
	for _, line := range readLines(t, "testdata/real.tsv") {
		cols := strings.Split(line, "\t")
		if len(cols) != 5 {
			t.Fatalf("%q: %d columns, want source, provider, stage, reply, kind", line, len(cols))
		}
		r, err := Parse(strings.ReplaceAll(cols[3], `\n`, "\r\n"))
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		r.Stage = Stage(cols[2])
		list = append(list, realReply{cols[0], cols[1], cols[4], r})
	}
	return list
}

// TestRealReplies goes through what servers have said: no one who is not dead
// is suppressed, the dead are found, and what is about our account closes it.
func TestRealReplies(t *testing.T) {
	t.Parallel()
	count := map[string]int{}
	found := 0
	for _, real := range realReplies(t) {
		count[real.kind]++
		d := Classify(real.reply)
		if real.kind == "dead" && d.Verdict == SuppressHard {
			found++
			continue
		}
		if real.kind == "dead" {
			t.Logf("not found: %s", real.reply)
		}
		if why := real.wrong(d); why != "" {
			t.Errorf("%s, %s: %s: %s by %s: %s", real.source, real.kind, real.reply, d.Verdict, d.Rule, why)
		}
	}
	t.Logf("replies by kind: %v; dead addresses found: %d", count, found)
	if dead := count["dead"]; dead < 100 || found*100 < dead*97 {
		t.Errorf("%d of %d dead addresses are found, want 97 in 100 of at least 100", found, dead)
	}
	for _, kind := range []string{"disabled", "living", "account", "policy", "full"} {
		if count[kind] < 10 {
			t.Errorf("%d replies of kind %s, want at least 10", count[kind], kind)
		}
	}
}

// TestOthersNeverSuppress gives what speaks of policy, content, reputation,
// accounts, quotas and sizes as the answer of each mailbox provider at each stage:
// no address is suppressed for it, not even when it is said twice.
func TestOthersNeverSuppress(t *testing.T) {
	t.Parallel()
	var replies []Reply
	for _, real := range realReplies(t) {
		if real.kind != "dead" && real.kind != "disabled" {
			replies = append(replies, real.reply)
		}
	}
	for i := range builtin().rules {
		r := &builtin().rules[i]
		if r.suppresses() || r.match.events != nil || strings.HasPrefix(r.example, "(") {
			continue
		}
		examples, err := r.examples()
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(r.match.stages, []Stage{Mail}) { // there it is about us, at RCPT about the recipient
			replies = append(replies, examples[0])
		}
	}

	for _, r := range replies {
		for _, p := range differing() {
			r.Provider = p
			for _, stage := range Stages {
				r.Stage = stage
				d := Classify(r)
				unconfirmed := d.Confirm > 0 && d.Rule != "g-unknown-domain" // a domain that is not found
				if d.Verdict == SuppressHard || unconfirmed {
					t.Errorf("%s of %q at %s: %s, confirm %d by %s", r, p, stage, d.Verdict, d.Confirm, d.Rule)
				}
			}
		}
	}
}

// wrong says what is wrong with the decision; empty when nothing is.
func (r realReply) wrong(d Decision) string {
	if d.Verdict == SuppressHard {
		return "suppressed"
	}
	switch r.kind {
	case "dead", "living", "policy":
		if d.Verdict == PauseAccount {
			return "it is not about the account"
		}
	case "disabled":
		if d.Verdict != FailNoSuppress || d.Confirm < 2 {
			return "want it to be confirmed"
		}
	case "account":
		if d.Verdict != PauseAccount || d.Code == "" {
			return "want the account paused, with a code"
		}
	case "full":
		if d.Verdict != MailboxFull {
			return "want " + string(MailboxFull)
		}
	default:
		return "unknown kind"
	}
	return ""
}

// TestDeadInManyWords: an address is dead whatever the language, and wherever
// it stands in the text.
func TestDeadInManyWords(t *testing.T) {
	t.Parallel()
	for _, line := range readLines(t, "testdata/dead.txt") {
		r, err := Parse(line)
		if err != nil {
			t.Fatal(err)
		}
		if d := Classify(r); d.Verdict != SuppressHard {
			t.Errorf("%s: %s by %s", line, d.Verdict, d.Rule)
		}
	}
}
