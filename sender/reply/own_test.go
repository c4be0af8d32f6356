package reply_test

import (
	"errors"
	"strings"
	"testing"

	"broadside/configs/strictyaml"
	"broadside/sender/reply"

	"github.com/google/go-cmp/cmp"
)

const ownRules = `version: 1
words:
  shop: 'acme ?shop'
rules:
- id: acme-busy
  match: {stage: [rcpt], code: ["550"], text: '{shop} is busy'}
  verdict: retry_lane
  action: halve_rate
  backoff: {base: 10m, factor: 2, max: 1h}
  escalate: {count: 3, window: 1h, verdict: pause_lane, pause: 30m}
  example: '550 5.7.1 Acme Shop is busy'
- id: ses-budget
  match: {provider: [ses, united_internet], text: budget}
  verdict: pause_account
  code: BS-ACCOUNT-QUOTA
- id: gone
  match: {code: ["5xx"], says: 'the mailbox was full for a year'}
  verdict: suppress_hard
- id: bare-571
  match: {code: [571]}
  verdict: suppress_hard
  confirm: 2
- id: all-520
  match: {code: ["520"], transport: direct}
  verdict: retry_recipient
`

func loadOwn(t *testing.T, text string) *reply.Rules {
	t.Helper()
	rules, err := reply.Load("my-rules.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

func TestOwnRulesComeFirst(t *testing.T) {
	t.Parallel()
	rules := loadOwn(t, ownRules)
	from := func(name string, r reply.Reply) reply.Reply {
		r, known := r.From(name)
		if !known {
			t.Fatalf("%s is not known", name)
		}
		return r
	}
	tests := []struct {
		name    string
		r       reply.Reply
		rule    string
		verdict reply.Verdict
	}{
		{"the user's", reply.New(reply.Rcpt, 550, "5.7.1 ACMESHOP is busy"), "acme-busy", reply.RetryLane},
		{"at another stage", reply.New(reply.Mail, 550, "5.7.1 acme shop is busy"), "f-5xx-mail", reply.FailNoSuppress},
		{"of a relay", from("ses", reply.New(reply.Rcpt, 550, "no budget")), "ses-budget", reply.PauseAccount},
		{"of a provider by its other name", from("gmx", reply.New(reply.Rcpt, 550, "no budget")), "ses-budget", reply.PauseAccount},
		{"of another relay", from("mailgun", reply.New(reply.Rcpt, 550, "no budget")), "f-5xx", reply.FailNoSuppress},
		{"of no known provider", reply.New(reply.Rcpt, 550, "no budget"), "f-5xx", reply.FailNoSuppress},
		{"built-in", reply.New(reply.Rcpt, 550, "5.1.1 User unknown"), "g-unknown-enh", reply.SuppressHard},
		{"a rule that names the words means them", reply.New(reply.Rcpt, 550, "The mailbox was full for a year"), "gone", reply.SuppressHard},
		{"not of one recipient", reply.New(reply.Data, 550, "The mailbox was full for a year"), "gone", reply.FailNoSuppress},
		{"a code alone is not believed against the text", reply.New(reply.Rcpt, 571, "Mail loop"), "f-5xx", reply.FailNoSuppress},
		{"a code alone", reply.New(reply.Rcpt, 571, "no"), "bare-571", reply.FailNoSuppress},
	}
	for _, tt := range tests {
		d := rules.Classify(tt.r)
		if d.Rule != tt.rule || d.Verdict != tt.verdict {
			t.Errorf("%s: got %s by %s, want %s by %s", tt.name, d.Verdict, d.Rule, tt.verdict, tt.rule)
		}
	}
	if d := rules.Classify(reply.New(reply.Rcpt, 571, "no")); d.Confirm != 2 {
		t.Errorf("bare-571: got confirm %d, want 2", d.Confirm)
	}
}

// What the server accepted is accepted, and what is unknown stays so, whatever a
// user's rule matches.
func TestOwnRulesChangeNothingThatIsDecided(t *testing.T) {
	t.Parallel()
	rules := loadOwn(t, "version: 1\nrules:\n- {id: all, match: {}, verdict: retry_recipient}\n")
	tests := []struct {
		r    reply.Reply
		want reply.Verdict
	}{
		{reply.New(reply.Dot, 250, "queued"), reply.Accepted},
		{reply.New(reply.Dot, 354, "go ahead"), reply.Uncertain},
		{reply.Lost(reply.Dot, reply.EOF, ""), reply.Uncertain},
		{reply.Lost(reply.Connect, reply.TLSCert, ""), reply.PauseAccount},
		{reply.Lost(reply.Rcpt, reply.LocalAddress, ""), reply.FailNoSuppress},
		{reply.New(reply.Dot, 550, "5.1.1 User unknown"), reply.RetryRecipient},
	}
	for _, tt := range tests {
		if d := rules.Classify(tt.r); d.Verdict != tt.want {
			t.Errorf("%s %s: got %s by %s, want %s", tt.r.Stage, tt.r, d.Verdict, d.Rule, tt.want)
		}
	}

	event := loadOwn(t, "version: 1\nrules:\n- {id: away, match: {event: [conn_refused]}, verdict: pause_lane}\n")
	if d := event.Classify(reply.Lost(reply.Connect, reply.ConnRefused, "")); d.Rule != "away" {
		t.Errorf("a rule that names the event: got %s, want away", d.Rule)
	}
}

func TestNoOwnRules(t *testing.T) {
	t.Parallel()
	var none *reply.Rules
	r := reply.New(reply.Rcpt, 550, "5.1.1 User unknown")
	if diff := cmp.Diff(reply.Classify(r), none.Classify(r)); diff != "" {
		t.Errorf("(-built-in +no own rules):\n%s", diff)
	}
}

// All problems of a file come at once, each with its place and what was expected.
func TestLoadSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	const text = `version: 2
colour: red
rules:
- id: a b
  match: {stage: [rcpt, dott], code: ["5x", "600"], enhanced: ["5.7"], text: '(', macth: 1}
  verdict: acepted
- match: {event: [oef], transport: mx, provider: [gmial, tonline]}
  scope: world
  action: dance
  code: BS-NO
  confirm: none
  backoff: {base: soon, factor: 0, max: -1h}
  escalate: {count: 0, verdict: suppress_hard, window: 1h}
- just text
- id: twice
  verdict: retry_lane
- id: twice
  verdict: retry_lane
  match: {says: ['ok', '{nowhere}', 'x{1001}']}
`
	_, err := reply.Load("dir/my.yaml", []byte(text))
	problems, ok := errors.AsType[strictyaml.Problems](err)
	if !ok {
		t.Fatalf("got error %v, want problems", err)
	}
	var got []string
	for _, p := range problems {
		got = append(got, p.Error())
	}
	want := []string{
		`dir/my.yaml:1:10: version: found "2", expected 1`,
		`dir/my.yaml:2:1: colour: unknown key, expected one of version, words, rules`,
		`dir/my.yaml:4:7: rules[0].id: found "a b", expected 1 to 64 letters`,
		`dir/my.yaml:5:25: rules[0].match.stage[1]: found "dott", expected one of any, connect`,
		`dir/my.yaml:5:39: rules[0].match.code[0]: found "5x", expected a code such as "421", or "4xx"`,
		`dir/my.yaml:5:45: rules[0].match.code[1]: found "600"`,
		`dir/my.yaml:5:64: rules[0].match.enhanced[0]: found "5.7", expected an enhanced code such as`,
		`dir/my.yaml:5:78: rules[0].match.text: found "(", expected a regular expression (RE2): error parsing regexp: missing closing )`,
		`dir/my.yaml:5:83: rules[0].match.macth: unknown`,
		`dir/my.yaml:6:12: rules[0].verdict: found "acepted", expected accepted, retry_recipient, retry_lane`,
		`dir/my.yaml:7:3: rules[1].id: missing, expected a name`,
		`dir/my.yaml:7:3: rules[1].verdict: missing, expected what the reply means`,
		`dir/my.yaml:7:19: rules[1].match.event[0]: found "oef", expected one of any, dial_timeout`,
		`dir/my.yaml:7:36: rules[1].match.transport: found "mx", expected relay or direct`,
		`dir/my.yaml:7:51: rules[1].match.provider[0]: found "gmial", expected a mailbox provider or relay: did you mean gmail?`,
		`dir/my.yaml:7:58: rules[1].match.provider[1]: found tonline, whose recipients are not told apart here`,
		`dir/my.yaml:8:10: rules[1].scope: found "world", expected recipient`,
		`dir/my.yaml:9:11: rules[1].action: found "dance", expected reconnect`,
		`dir/my.yaml:10:9: rules[1].code: found "BS-NO", expected one of docs/codes.md`,
		`dir/my.yaml:11:12: rules[1].confirm: found "none", expected a number of replies from 1 to 100`,
		`dir/my.yaml:12:19: rules[1].backoff.base: found "soon", expected a duration`,
		`dir/my.yaml:12:33: rules[1].backoff.factor: found "0", expected a number from 1 to 100`,
		`dir/my.yaml:12:41: rules[1].backoff.max: found "-1h", expected a duration over 0`,
		`dir/my.yaml:13:21: rules[1].escalate.count: found "0", expected a number of matches from 1 to 500`,
		`dir/my.yaml:13:33: rules[1].escalate.verdict: found "suppress_hard", expected retry_lane, pause_lane or pause_account`,
		`dir/my.yaml:14:3: rules[2]: found "just text", expected a rule such as {id: busy`,
		`dir/my.yaml:17:7: rules[4].id: found "twice" a second time`,
		`dir/my.yaml:19:24: rules[4].match.says[1]: found "{nowhere}", expected a regular expression (RE2): unknown word {nowhere}`,
		`dir/my.yaml:19:37: rules[4].match.says[2]: found "x{1001}", expected a regular expression (RE2): error parsing regexp: invalid repeat count`,
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("problem %d: got\n%s\nwant\n%s", i, strings.Join(got[i:], "\n"), strings.Join(want[min(i, len(want)):], "\n"))
		}
	}
}

func TestLoadRefusesWhatCannotMatch(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, rule, want string }{
		{"event and code", `{id: a, match: {event: [eof], code: ["550"]}, verdict: retry_lane}`, "event: found event together with what a server says"},
		{"code in front of the text", `{id: a, match: {text: '^550 5\.1\.1'}, verdict: retry_lane}`, "put that into code"},
		{"behind the end", `{id: a, match: {text: 'a$b'}, verdict: retry_lane}`, "behind the end"},
		{"before the beginning", `{id: a, match: {text: 'a(b|^c)^d'}, verdict: retry_lane}`, "before the beginning"},
		{"no character", `{id: a, match: {text: '[^\x00-\x{10FFFF}]'}, verdict: retry_lane}`, "which cannot match"},
		{"a host in says", `{id: a, match: {says: 'refused by mx\.example\.com'}, verdict: retry_lane}`, "use text"},
		{"two lines", `{id: a, match: {text: "one\ntwo"}, verdict: retry_lane}`, "joined by blanks"},
		{"success before the dot", `{id: a, match: {stage: [rcpt], code: ["250"]}, verdict: retry_lane}`, "codes below 400"},
		{"success after the dot", `{id: a, match: {stage: [dot], code: ["2xx"]}, verdict: retry_recipient}`, "what the server accepted is accepted"},
		{"accepted against the server", `{id: a, match: {stage: [dot], code: ["550"]}, verdict: accepted}`, "what a server refused was not accepted"},
		{"uncertain before the dot", `{id: a, match: {stage: [rcpt], code: ["550"]}, verdict: uncertain}`, "before the final dot nothing has arrived"},
		{"lost after the dot", `{id: a, match: {stage: [dot], event: [eof]}, verdict: retry_recipient}`, "expected uncertain"},
		{"suppress for now", `{id: a, match: {code: ["450"]}, verdict: suppress_hard}`, "codes from 500 to 599"},
		{"provider that is not told apart", `{id: a, match: {provider: [qq]}, verdict: retry_lane}`, "cannot match"},
		{"the same as before", "{id: b, match: {code: [\"4xx\"], text: [a, b]}, verdict: retry_lane}\n- {id: a, match: {stage: [rcpt], code: [\"421\"], text: b, unless: c}, verdict: retry_lane}", "what rule b before it matches"},
		{"behind a rule for all", "{id: b, match: {}, verdict: retry_lane}\n- {id: a, match: {enhanced: [\"5.7.*\"]}, verdict: retry_lane}", "what rule b before it matches"},
		{"enhanced within another", "{id: b, match: {enhanced: [\"5.7.*\"]}, verdict: retry_lane}\n- {id: a, match: {enhanced: [\"5.7.10-5.7.20\"]}, verdict: retry_lane}", "what rule b before it matches"},
		{"example of another rule", "{id: b, match: {text: busy}, verdict: retry_lane}\n- {id: a, match: {code: [\"450\"]}, verdict: retry_lane, example: 450 busy}", "rule b before it matches at stage rcpt"},
		{"example that does not match", `{id: a, match: {code: ["450"]}, verdict: retry_lane, example: 451 busy}`, "that this rule does not match"},
		{"example that is no reply", `{id: a, match: {code: ["450"]}, verdict: retry_lane, example: busy}`, "expected a code from 200 to 599"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := reply.Load("my.yaml", []byte("version: 1\nrules:\n- "+tt.rule+"\n"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "my.yaml:") {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// What looks alike and can match is taken.
func TestLoadTakesWhatCanMatch(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		`{id: a, match: {text: '^(550 )?busy$|a\.b'}, verdict: retry_lane, example: 450 busy}`,
		`{id: a, match: {says: 'resolver\.adr|@'}, verdict: retry_lane}`,
		`{id: a, match: {text: 'busy.example.com'}, verdict: retry_lane, example: 450 busy.example.com}`,
		`{id: a, match: {stage: [dot], code: ["2xx"]}, verdict: accepted, example: 250 ok}`,
		`{id: a, match: {stage: [dot], event: [eof]}, verdict: uncertain}`,
		"{id: b, match: {code: [\"421\"]}, verdict: retry_lane}\n- {id: a, match: {code: [\"4xx\"]}, verdict: retry_lane}",
		"{id: b, match: {code: [\"550\"], unless: x}, verdict: retry_lane}\n- {id: a, match: {code: [\"550\"]}, verdict: retry_lane}",
		"{id: b, match: {code: [\"550\"], text: x}, verdict: retry_lane}\n- {id: a, match: {code: [\"550\"], text: [x, y]}, verdict: retry_lane}",
		"{id: b, match: {provider: [gmail]}, verdict: retry_lane}\n- {id: a, match: {}, verdict: retry_lane}",
		"{id: b, match: {}, verdict: retry_lane}\n- {id: a, match: {event: [eof]}, verdict: retry_lane}",
		"{id: b, match: {code: [\"550\"]}, verdict: suppress_hard}\n- {id: a, match: {code: [\"550\"]}, verdict: retry_lane, example: 550 mail loop}",
		`{id: a, match: {text: '\Qa|b\E'}, verdict: retry_lane, example: '450 a|b'}`,
		`{id: a, match: {text: '(?-i)A|B'}, verdict: retry_lane, example: '450 B'}`,
	} {
		text := "semantics: {text: RE2}\nguards: [one, two]\nversion: 1\nverdicts:\n  accepted: {attempt: true}\nrules:\n- " + rule + "\n"
		if _, err := reply.Load("my.yaml", []byte(text)); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
	if d := loadOwn(t, `{version: 1, rules: [{id: a, match: {text: '(?-i)A|B'}, verdict: retry_lane}]}`).Classify(reply.New(reply.Rcpt, 550, "b")); d.Rule == "a" {
		t.Error("a flag at the beginning of an expression holds for its first alternative only")
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(ownRules)
	f.Add("version: 1\nrules:\n- {id: a, match: {text: '^a$|[b', event: [any]}, verdict: retry_lane, example: '(x'}")
	f.Fuzz(func(t *testing.T, text string) {
		rules, err := reply.Load("my.yaml", []byte(text))
		if err != nil {
			if _, ok := errors.AsType[strictyaml.Problems](err); !ok {
				t.Errorf("got an error of type %T, want problems", err)
			}
			return
		}
		if d := rules.Classify(reply.New(reply.Dot, 250, "ok")); d.Verdict != reply.Accepted {
			t.Errorf("an accepted message is %s by %s", d.Verdict, d.Rule)
		}
		if d := rules.Classify(reply.New(reply.Mail, 550, "5.1.1 no")); d.Verdict == reply.SuppressHard {
			t.Errorf("a reply about no recipient suppresses by %s", d.Rule)
		}
	})
}
