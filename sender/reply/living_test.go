package reply

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"broadside/campaign"
)

// TestSignsShowInTheirExamples: a sign without its example would be one that
// no one knows the purpose of.
func TestSignsShowInTheirExamples(t *testing.T) {
	t.Parallel()
	set := builtin()
	kinds := []string{
		"loop", "dns", "connection", "policy", "relay", "content", "spam", "quota", "size", "sender", "session", "rate",
		"greylisting", "reputation", "authentication", "account", "wishes", "outage",
	}
	for i, kind := range kinds {
		if i >= len(set.signs) || set.signs[i].kind != kind {
			t.Fatalf("kinds of living texts: want %v", kinds)
		}
	}
	for _, sign := range set.signs {
		for _, example := range sign.examples {
			w := &wording{Reply: New(Rcpt, 550, example), lexicon: &set.lexicon}
			if !w.showsLife(set.living) {
				t.Errorf("%s: no sign is found in %q", sign.kind, example)
			}
		}
	}
}

// TestLivingAreNeverSuppressed: no code makes a dead address of a text about
// something else.
func TestLivingAreNeverSuppressed(t *testing.T) {
	t.Parallel()
	var texts []string
	for _, sign := range builtin().signs {
		texts = append(texts, sign.examples...)
	}
	texts = append(texts, readLines(t, "testdata/living.txt")...)
	enhanced := []string{"", "5.1.1 ", "5.1.1 <user@example.com>: ", "5.1.3 ", "5.1.6 ", "5.1.10 ", "5.2.1 ", "5.4.4 ", "5.0.0 ", "#5.1.1 "}
	for i, text := range texts {
		text = withoutCode(text)
		for code := 500 + i%7; code < 600; code += 7 {
			neverSuppressed(t, New(Rcpt, code, "5.1.1 "+text))
		}
		for _, e := range enhanced {
			neverSuppressed(t, New(Rcpt, 550, e+text), New(Dot, 556, e+text))
		}
		neverSuppressedBy(t, "5.1.1 "+text)
		neverSuppressed(t, New(Rcpt, 550, text+" (#5.1.1)"))
	}
}

func neverSuppressed(t *testing.T, replies ...Reply) {
	t.Helper()
	for _, r := range replies {
		if d := Classify(r); d.Verdict == SuppressHard {
			t.Errorf("%s %s: suppressed by %s", r.Stage, r, d.Rule)
		}
	}
}

// neverSuppressedBy gives the text as the answer of each mailbox provider that
// differs, and of no known one at each stage.
func neverSuppressedBy(t *testing.T, text string) {
	t.Helper()
	for _, p := range differing() {
		r := New(Rcpt, 550, text)
		r.Provider = p
		neverSuppressed(t, r)
	}
	for _, stage := range Stages {
		neverSuppressed(t, New(stage, 554, text))
	}
}

// differing returns the mailbox providers that built-in rules name: the replies
// of all others are decided alike, as those of Other are.
func differing() []campaign.Provider {
	list := []campaign.Provider{campaign.Other}
	for i := range builtin().rules {
		for _, o := range builtin().rules[i].match.origins {
			if o.provider != "" && !slices.Contains(list, o.provider) {
				list = append(list, o.provider)
			}
		}
	}
	return list
}

// withoutCode takes the enhanced code off an example.
func withoutCode(text string) string {
	n := enhancedLen(text)
	return strings.TrimSpace(text[n:])
}

// A sign is found wherever it stands in a long reply.
func TestLongRepliesAreReadToTheirEnd(t *testing.T) {
	t.Parallel()
	filler := strings.Repeat("Dear postmaster of the other side. ", 1500)
	tests := []struct {
		name, text string
		want       Verdict
	}{
		{"unknown at the end", "5.7.1 " + filler + "No such user here", SuppressHard},
		{"loop at the end", "5.1.1 " + filler + "Mail loop detected", FailNoSuppress},
		{"quota of the account at the end", filler + "You have reached your daily sending limit", PauseAccount},
		{"qmail's code at the end", filler + "bogus (#5.1.1)", SuppressHard},
	}
	for _, tt := range tests {
		r := New(Rcpt, 550, tt.text)
		if d := Classify(r); d.Verdict != tt.want {
			t.Errorf("%s: got %s by %s, want %s", tt.name, d.Verdict, d.Rule, tt.want)
		}
		if len(r.Text) > MaxText {
			t.Errorf("%s: %d bytes are stored, want at most %d", tt.name, len(r.Text), MaxText)
		}
	}
	beyond := New(Rcpt, 550, strings.Repeat("x", MaxRead)+" no such user")
	if got := len(beyond.Text) + len(beyond.Rest); got > MaxRead {
		t.Errorf("%d bytes are kept for classification, want at most %d", got, MaxRead)
	}
}

// TestTheLexiconChangesNothing: which expressions are tried is a matter of
// speed alone.
func TestTheLexiconChangesNothing(t *testing.T) {
	t.Parallel()
	for _, line := range readLines(t, "testdata/real.tsv") {
		cols := strings.Split(line, "\t")
		checkLexicon(t, cols[len(cols)-2])
	}
	for _, line := range readLines(t, "testdata/dead.txt") {
		checkLexicon(t, line)
		checkLexicon(t, strings.ToUpper(line))
	}
}

func FuzzLexicon(f *testing.F) {
	for _, s := range []string{"user unknown", "Empfänger unbekannt", "ſpam", "İ quota", "5.1.1 <a@b.example>: Mail loop", "\xff\xfe", "KELVIN \u212a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) { checkLexicon(t, clean(text, MaxRead)) })
}

func checkLexicon(t *testing.T, text string) {
	t.Helper()
	lex := &builtin().lexicon
	r := lex.read(text)
	for n, expr := range lex.exprs {
		if !r.worth[n] && expr.MatchString(text) {
			t.Errorf("%q: expression %s matches and is not tried", text, expr)
		}
	}
}

func TestBare(t *testing.T) {
	t.Parallel()
	tests := []struct{ in, want string }{
		{"<spam@example.com>: User unknown", "@: User unknown"},
		{"loop.policy@relay.example.com... User unknown", "@ User unknown"},
		{"user unknown; see https://host.example/policy#spam", "user unknown; see  "},
		{"mx1.spam-filter.example said: unknown user a@b.example", "~ said: unknown user @"},
		{"RCPT TO:<a@b.example> User unknown", "RCPT TO:@ User unknown"},
		{"a@b.example:user not exist", "@:user not exist"},
		{"User unknown.Please check", "User unknown.Please check"},
		{"5.1.1 no @ here", "5.1.1 no @ here"},
		{"RESOLVER.RST.NotAuthorized; not authorized", "RESOLVER RST NotAuthorized; not authorized"},
		{"resolver.rst.example said no", "~ said no"},
	}
	for _, tt := range tests {
		if got := bare(tt.in); got != tt.want {
			t.Errorf("bare(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func FuzzBare(f *testing.F) {
	f.Add("<a@b.example>: unknown https://x.example/ y.example")
	f.Fuzz(func(t *testing.T, text string) {
		if got := bare(text); len(got) > len(text)+len(text)/2 {
			t.Errorf("%d bytes became %d", len(text), len(got))
		}
	})
}

func BenchmarkLongReply(b *testing.B) {
	for _, kib := range []int{1, 64} {
		text := strings.Repeat("Your message to the user could not be delivered: please read the pages of the recipient's server. ", kib<<10/98)
		b.Run(fmt.Sprintf("%dKiB", kib), func(b *testing.B) {
			r := New(Rcpt, 550, text)
			for b.Loop() {
				Classify(r)
			}
		})
	}
}
