package reply

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign/codes"
	"broadside/configs/strictyaml"
	"broadside/configs/units"
)

// A fileReader reads a rules file. Whatever is wrong goes to the document.
type fileReader struct {
	doc  *strictyaml.Doc
	set  *ruleSet
	seen map[string]bool // ids
}

// read decodes, checks and compiles a rules file; all problems come together.
// behind are the built-in rules when the file is a user's; nil for these
// themselves, which are complete: each has an example, and the last matches all.
func read(file string, data []byte, behind *ruleSet) (*ruleSet, error) {
	doc, err := strictyaml.Parse(file, data)
	if err != nil {
		return nil, err
	}

	f := &fileReader{doc: doc, set: newRuleSet(), seen: map[string]bool{}}
	f.set.behind = behind
	f.leaveOutDescriptions()
	doc.Read(f.top)
	if err := doc.Err(); err != nil {
		return nil, err
	}

	f.checkTogether() // on rules that are good one by one
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return f.set, nil
}

// descriptions are parts of a rules file that people read and programs do not.
var descriptions = []string{"semantics", "verdicts", "guards", "sources"}

func (f *fileReader) leaveOutDescriptions() {
	if !f.set.own() {
		return
	}
	root := f.doc.Root()
	root.Fields = slices.DeleteFunc(root.Fields, func(field strictyaml.Field) bool {
		return slices.Contains(descriptions, field.Name)
	})
}

func (f *fileReader) top(m *strictyaml.Map) {
	var version string
	m.Require("version", "1")
	m.Choice("version", &version, "1")
	m.StringMap("words", &f.set.words, "names of lower-case letters and _ with regular expressions", func(name, _ string) bool {
		return wordForm.MatchString("{" + name + "}")
	})
	if !f.set.own() {
		m.Items("living", "kind, says and examples", noText, f.sign)
	}

	m.Require("rules", "a list of rules")
	m.Items("rules", "a rule such as {id: busy, match: {code: [\"450\"], text: 'try again'}, verdict: retry_lane}", noText, f.rule)
}

// noText refuses text in place of keys and values.
func noText(string) bool { return false }

// sign reads one kind of living text.
func (f *fileReader) sign(m *strictyaml.Map) {
	var s sign
	m.Require("kind", "a word")
	m.Line("kind", &s.kind)
	m.Require("says", "a regular expression or a list of them")
	f.set.living = append(f.set.living, f.patterns(m, "says")...)
	m.Require("examples", "a list of texts")
	m.Strings("examples", &s.examples, "a text", nil)
	f.set.signs = append(f.set.signs, s)
}

const idForm = "1 to 64 letters, digits, - and _"

func isID(text string) bool {
	if len(text) > 64 {
		return false
	}
	return !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}

// rule reads one rule.
func (f *fileReader) rule(m *strictyaml.Map) {
	var r rule
	d := &r.decision
	m.Require("id", "a name such as busy, which reports and logs show")
	m.Check("id", &d.Rule, idForm, isID)
	if d.Rule != "" && f.seen[d.Rule] {
		m.Problem("id", "found %q a second time, expected a name of its own", d.Rule)
	}
	f.seen[d.Rule] = true

	m.Map("match", func(m *strictyaml.Map) { f.condition(m, &r.match) })
	m.Require("verdict", "what the reply means, such as retry_lane or fail_no_suppress")
	choice(m, "verdict", &d.Verdict, Verdicts)
	m.Choice("scope", &d.Scope, scopes...)
	m.Choice("action", &d.Action, actions...)
	m.Check("code", (*string)(&d.Code), "one of docs/codes.md", func(text string) bool {
		_, known := codes.Explain(text)
		return known
	})
	m.Map("backoff", func(m *strictyaml.Map) { readBackoff(m, d) })
	strictyaml.Int(m, "confirm", &d.Confirm, 1, 100, "a number of replies")
	m.Map("escalate", func(m *strictyaml.Map) { readEscalate(m, &d.Escalate) })
	m.Check("example", &r.example, "a reply", anyText)
	m.Check("note", &d.Note, "text", anyText)
	if !f.set.own() {
		m.Require("example", "a reply that comes to this rule")
	}
	f.set.rules = append(f.set.rules, r)
}

func anyText(string) bool { return true }

var (
	scopes  = []string{"recipient", "message", "campaign", "lane", "ip", "account", "sender"}
	actions = []string{
		"reconnect", "lower_conns", "lower_msgs_per_conn", "halve_rate", "split_rcpts",
		"require_tls", "next_host", "refresh_auth", "alert",
	}
)

// choice reads one of the words of a type.
func choice[T ~string](m *strictyaml.Map, name string, dst *T, options []T) {
	words := make([]string, len(options))
	for i, option := range options {
		words[i] = string(option)
	}
	word := string(*dst)
	m.Choice(name, &word, words...)
	*dst = T(word)
}

// readBackoff reads the pause after a match.
func readBackoff(m *strictyaml.Map, d *Decision) {
	m.Value("base", `a duration such as 5m, or "none"`, func(text string) string {
		if text == "none" {
			d.Manual = true
			return ""
		}
		problem := readDuration(text, &d.Backoff, `a duration such as 5m, 0s for at once on a new connection, or "none" until somebody looks`)
		d.AtOnce = problem == "" && d.Backoff == 0
		return problem
	})
	m.Value("factor", "a number from 1 to 100", func(text string) string {
		factor, err := strconv.ParseFloat(text, 64)
		if err != nil || !(factor >= 1 && factor <= 100) {
			return fmt.Sprintf("found %s, expected a number from 1 to 100", strictyaml.Quote(text))
		}
		d.Factor = factor
		return ""
	})
	duration(m, "max", &d.MaxBackoff)
}

// readEscalate reads what applies after many matches.
func readEscalate(m *strictyaml.Map, e *Escalate) {
	strictyaml.Int(m, "count", &e.Count, 1, 500, "a number of matches")
	duration(m, "window", &e.Window)
	choice(m, "verdict", &e.Verdict, []Verdict{RetryLane, PauseLane, PauseAccount})
	duration(m, "pause", &e.Pause)
	if m.Has("count") || m.Has("window") || m.Has("verdict") || m.Has("pause") {
		m.Require("count", "the number of matches after which the other verdict applies")
		m.Require("window", "the time within which the matches come, such as 10m")
		m.Require("verdict", "retry_lane, pause_lane or pause_account")
	}
}

func duration(m *strictyaml.Map, name string, dst *time.Duration) {
	const expected = "a duration over 0 and up to 30d, such as 90s, 5m or 2h"
	m.Value(name, expected, func(text string) string {
		var d time.Duration
		problem := readDuration(text, &d, expected)
		if problem == "" && d == 0 {
			problem = fmt.Sprintf("found %q, expected %s", text, expected)
		}
		if problem == "" {
			*dst = d
		}
		return problem
	})
}

const maxDuration = 30 * 24 * time.Hour

func readDuration(text string, dst *time.Duration, expected string) (problem string) {
	d, err := units.ParseDuration(text)
	if err != nil || d < 0 || d > maxDuration {
		return fmt.Sprintf("found %s, expected %s", strictyaml.Quote(text), expected)
	}
	*dst = d
	return ""
}
