package reply

import (
	"slices"
	"strings"
	"testing"
)

// TestRuleExamples is the validator of rules.yaml: the example of each rule
// must come to that rule and no other, at each stage, and of each event and
// provider, that it names.
func TestRuleExamples(t *testing.T) {
	t.Parallel()
	set := builtin()
	if len(set.rules) < 149 {
		t.Errorf("%d rules, want at least 149", len(set.rules))
	}
	for i := range set.rules {
		r := &set.rules[i]
		for _, rep := range exampleReplies(t, r) {
			if got := set.find(rep); got.id() != r.id() {
				t.Errorf("rule %s: its example %q at %s comes to rule %s", r.id(), rep, rep.Stage, got.id())
			}
			if d := Classify(rep); d.Rule != r.id() {
				t.Errorf("rule %s: the decision is of rule %s", r.id(), d.Rule)
			}
		}
	}
}

func exampleReplies(t *testing.T, r *rule) []Reply {
	t.Helper()
	if r.match.events == nil && !strings.HasPrefix(r.example, "(") {
		replies, err := r.examples()
		if err != nil {
			t.Fatalf("rule %s: example: %v", r.id(), err)
		}
		return replies
	}

	var replies []Reply
	for _, stage := range or(r.match.stages, Rcpt) {
		for _, event := range or(r.match.events, BadReply) {
			rep := Lost(stage, event, r.example)
			rep.Direct = r.match.transport == "direct" || r.id() == "ev-tls-direct" // ev-tls-relay stands before it
			replies = append(replies, rep)
		}
	}
	return replies
}

func or[T any](list []T, def T) []T {
	if len(list) == 0 {
		return []T{def}
	}
	return list
}

// A rule that names a provider is for no other.
func TestProvidersOfRules(t *testing.T) {
	t.Parallel()
	for i := range builtin().rules {
		r := &builtin().rules[i]
		if r.match.origins == nil {
			continue
		}
		for _, rep := range exampleReplies(t, r) {
			for _, name := range append(Origins(), "") {
				other, _ := Reply{Stage: rep.Stage, Code: rep.Code, Enhanced: rep.Enhanced, Text: rep.Text}.From(name)
				meant := slices.ContainsFunc(r.match.origins, func(o origin) bool { return o.has(&other) })
				if got := Classify(other).Rule == r.id(); got != meant {
					t.Errorf("rule %s decides about its example from %q: %t, want %t", r.id(), name, got, meant)
				}
			}
		}
	}
}

// TestEveryStageHasAVerdict: whatever comes at whatever stage is decided, and
// never to the harm of an address that was not asked about.
func TestEveryStageHasAVerdict(t *testing.T) {
	t.Parallel()
	texts := []string{"", "5.1.1 no such user", "4.2.2 mailbox full", "spam", "greylisted", "mailbox unavailable", "relaying denied", "OK"}
	for _, stage := range Stages {
		for code := 100; code < 600; code += 3 {
			for _, text := range texts {
				d := Classify(New(stage, code, text))
				if d.Rule == "" || d.Verdict == "" {
					t.Fatalf("%s %d %s: no decision", stage, code, text)
				}
				atRcpt := stage == Rcpt || stage == Dot
				if d.Verdict == SuppressHard && (!atRcpt || code < 500) {
					t.Errorf("%s %d %s: suppressed by %s", stage, code, text, d.Rule)
				}
				if (d.Verdict == Accepted) != (stage == Dot && code/100 == 2) {
					t.Errorf("%s %d %s: %s by %s", stage, code, text, d.Verdict, d.Rule)
				}
			}
		}
		for _, e := range events {
			d := Classify(Lost(stage, e, "5.1.1 no such user"))
			if d.Verdict == Accepted || d.Verdict == SuppressHard && (e != NullMX || stage != Rcpt) {
				t.Errorf("%s at %s: %s by %s", e, stage, d.Verdict, d.Rule)
			}
			if stage == Dot && d.Verdict != Uncertain {
				t.Errorf("%s after the final dot is %s by %s", e, d.Verdict, d.Rule)
			}
		}
	}
}

// The built-in file is read as strictly as a user's, and must be complete.
func TestBuiltinFileMustBeComplete(t *testing.T) {
	t.Parallel()
	const last = "- {id: z, match: {}, verdict: retry_lane, example: (x)}"
	tests := []struct{ name, text, want string }{
		{"no example", "version: 1\nrules:\n- {id: a, match: {stage: [rcpt]}, verdict: retry_lane}\n" + last, "rules.yaml:3:3: rules[0].example: missing"},
		{"nothing at the end", "version: 1\nrules:\n- {id: a, match: {event: [eof]}, verdict: retry_lane, example: x}", "the last rule must match everything"},
		{"sign without examples", "version: 1\nliving:\n- {kind: a, says: b}\nrules:\n" + last, "living[0].examples: missing"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := read("rules.yaml", []byte(tt.text), nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestEnhancedSpans(t *testing.T) {
	t.Parallel()
	tests := []struct {
		span, code string
		want       bool
	}{
		{"5.1.1", "5.1.1", true},
		{"5.1.1", "5.1.10", false},
		{"5.7.*", "5.7.606", true},
		{"5.7.*", "5.8.0", false},
		{"5.7.*", "4.7.1", false},
		{"5.7.606-5.7.649", "5.7.606", true},
		{"5.7.606-5.7.649", "5.7.649", true},
		{"5.7.606-5.7.649", "5.7.650", false},
		{"5.7.606-5.7.649", "5.7.61", false},
	}
	for _, tt := range tests {
		span, err := parseEnhSpan(tt.span)
		if err != nil {
			t.Fatal(err)
		}
		e, ok := parseEnh(tt.code)
		if got := ok && span.has(e); got != tt.want {
			t.Errorf("%s in %s: got %t, want %t", tt.code, tt.span, got, tt.want)
		}
	}
}
