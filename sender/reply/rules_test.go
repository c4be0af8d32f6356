package reply

import (
	"strings"
	"testing"
)

// TestRuleExamples is the validator of rules.yaml: the example of each rule
// must come to that rule and no other, at each stage and event it names.
func TestRuleExamples(t *testing.T) {
	t.Parallel()
	set, err := load(rulesYAML)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Rules {
		for _, stage := range or(r.Match.Stage, Rcpt) {
			for _, event := range or(r.Match.Event, "") {
				rep := exampleOf(t, r, stage, event)
				if got := set.match(rep); got.ID != r.ID {
					t.Errorf("rule %s: its example %q at %s comes to rule %s", r.ID, rep, stage, got.ID)
				}
			}
		}
	}
}

func or[T any](list []T, def T) []T {
	if len(list) == 0 {
		return []T{def}
	}
	return list
}

func exampleOf(t *testing.T, r rule, stage Stage, event string) Reply {
	t.Helper()
	rep := Lost(stage, event, r.Example)
	if event == "" {
		if rep = (Reply{Event: BadReply}); !strings.HasPrefix(r.Example, "(") {
			var err error
			if rep, err = Parse(r.Example); err != nil {
				t.Fatalf("rule %s: example: %v", r.ID, err)
			}
		}
	}
	rep.Stage, rep.Direct = stage, r.Match.Transport == "direct"
	if r.ID == "ev-tls-direct" {
		rep.Direct = true // ev-tls-relay stands before it
	}
	return rep
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

func TestLoadRejects(t *testing.T) {
	t.Parallel()
	const last = "\n- {id: z, match: {}, verdict: retry_lane, example: (x)}"
	tests := []struct{ name, rule, want string }{
		{"unknown key", "{id: a, macth: {}, verdict: accepted, example: x}", "macth"},
		{"verdict", "{id: a, match: {}, verdict: acepted, example: x}", `unknown verdict "acepted"`},
		{"escalated verdict", "{id: a, match: {}, verdict: accepted, example: x, escalate: {verdict: no}}", `unknown verdict "no"`},
		{"stage", "{id: a, match: {stage: [dott]}, verdict: accepted, example: x}", `unknown stage "dott"`},
		{"event", "{id: a, match: {event: [oef]}, verdict: accepted, example: x}", `unknown event "oef"`},
		{"code", `{id: a, match: {code: ["5x"]}, verdict: accepted, example: x}`, `code "5x"`},
		{"code too large", `{id: a, match: {code: ["600"]}, verdict: accepted, example: x}`, `code "600"`},
		{"enhanced", `{id: a, match: {enhanced: ["5.7"]}, verdict: accepted, example: x}`, `enhanced code "5.7"`},
		{"enhanced range", `{id: a, match: {enhanced: ["5.7.9-5.7.2"]}, verdict: accepted, example: x}`, `5.7.9-5.7.2`},
		{"text", `{id: a, match: {text: "("}, verdict: accepted, example: x}`, "missing closing"},
		{"transport", `{id: a, match: {transport: mx}, verdict: accepted, example: x}`, `transport "mx"`},
		{"scope", `{id: a, match: {}, verdict: accepted, scope: x, example: x}`, `unknown scope "x"`},
		{"code of the operator", `{id: a, match: {}, verdict: accepted, code: BS-NO, example: x}`, `unknown code "BS-NO"`},
		{"backoff", `{id: a, match: {}, verdict: accepted, backoff: {base: soon}, example: x}`, `backoff base "soon"`},
		{"example", `{id: a, match: {}, verdict: accepted}`, "no example"},
		{"twice", `{id: z, match: {}, verdict: accepted, example: x}`, "used twice"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := load([]byte("version: 1\nrules:\n- " + tt.rule + last))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
	for _, text := range []string{"version: 2\nrules:" + last, "version: 1", "version: 1\nrules:\n- {id: a, match: {event: [eof]}, verdict: retry_lane, example: x}"} {
		if _, err := load([]byte(text)); err == nil {
			t.Errorf("load(%q): no error", text)
		}
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
