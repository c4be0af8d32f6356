package reply

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"broadside/campaign/codes"
)

//go:embed rules.yaml
var rulesYAML []byte

// builtin is the compiled rules.yaml. The file is part of the program and a
// test loads it, so that an error in it is a bug, not input.
var builtin = sync.OnceValue(func() *ruleSet {
	set, err := load(rulesYAML)
	if err != nil {
		panic(fmt.Sprintf("embedded reply rules: %v", err))
	}
	return set
})

// A ruleSet is a rules file.
type ruleSet struct {
	Version int               `yaml:"version"`
	Words   map[string]string `yaml:"words"`
	Living  []sign            `yaml:"living"`
	Rules   []rule            `yaml:"rules"`

	lexicon lexicon
	living  anyOf // the signs
}

// A sign is a kind of text that speaks of something that can befall an address
// in use: a reply that shows one suppresses no address, whatever its code.
type sign struct {
	Kind     string   `yaml:"kind"`
	Says     patterns `yaml:"says"`
	Examples []string `yaml:"examples"`
}

// A rule is one entry of rules.yaml; the head of that file describes the keys.
type rule struct {
	ID       string     `yaml:"id"`
	Match    condition  `yaml:"match"`
	Verdict  Verdict    `yaml:"verdict"`
	Scope    string     `yaml:"scope"`
	Code     codes.Code `yaml:"code"`
	Action   string     `yaml:"action"`
	Backoff  backoff    `yaml:"backoff"`
	Confirm  int        `yaml:"confirm"`
	Escalate escalate   `yaml:"escalate"`
	Example  string     `yaml:"example"`
	Note     string     `yaml:"note"`

	decision Decision
}

// A backoff is the pause after a match; Base may also be "none".
type backoff struct {
	Base   string        `yaml:"base"`
	Factor float64       `yaml:"factor"`
	Max    time.Duration `yaml:"max"`
}

// An escalate is checked when rules are loaded, and otherwise for the
// component that will count matches.
type escalate struct {
	Count   int           `yaml:"count"`
	Window  time.Duration `yaml:"window"`
	Verdict Verdict       `yaml:"verdict"`
	Pause   time.Duration `yaml:"pause"`
}

var (
	scopes  = []string{"", "recipient", "message", "campaign", "lane", "ip", "account", "sender"}
	actions = []string{
		"", "reconnect", "lower_conns", "lower_msgs_per_conn", "halve_rate", "split_rcpts",
		"require_tls", "next_host", "refresh_auth", "alert",
	}
)

// load decodes, checks and compiles a rules file; all problems come together.
func load(data []byte) (*ruleSet, error) {
	set := &ruleSet{}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(set); err != nil {
		return nil, fmt.Errorf("decode rules: %w", err)
	}
	if set.Version != 1 {
		return nil, fmt.Errorf("version %d: expected 1", set.Version)
	}
	if len(set.Rules) == 0 {
		return nil, errors.New("no rules")
	}
	set.lexicon.byHead = map[[minLiteral]byte][]literal{}
	errs := []error{set.compileSigns(), set.compileRules()}
	if m := set.Rules[len(set.Rules)-1].Match; !m.any() {
		errs = append(errs, errors.New("the last rule must match everything"))
	}
	return set, errors.Join(errs...)
}

func (s *ruleSet) compileRules() error {
	var errs []error
	seen := map[string]bool{}
	for i := range s.Rules {
		r := &s.Rules[i]
		if r.ID == "" || seen[r.ID] {
			errs = append(errs, fmt.Errorf("rule %d: id %q is empty or used twice", i+1, r.ID))
		}
		seen[r.ID] = true
		if err := r.compile(s); err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", r.ID, err))
		}
	}
	return errors.Join(errs...)
}

// compileSigns takes the expressions of all signs together.
func (s *ruleSet) compileSigns() error {
	for i, sign := range s.Living {
		if sign.Kind == "" || len(sign.Says) == 0 || len(sign.Examples) == 0 {
			return fmt.Errorf("living %d (%q): expected kind, says and examples", i+1, sign.Kind)
		}
		exprs, err := s.lexicon.add(sign.Says, s.Words)
		if err != nil {
			return fmt.Errorf("living %s: %w", sign.Kind, err)
		}
		s.living = append(s.living, exprs...)
	}
	return nil
}

// compile checks the rule and prepares its condition and decision.
func (r *rule) compile(set *ruleSet) error {
	if !slices.Contains(Verdicts, r.Verdict) {
		return fmt.Errorf("unknown verdict %q", r.Verdict)
	}
	if v := r.Escalate.Verdict; v != "" && !slices.Contains(Verdicts, v) {
		return fmt.Errorf("unknown verdict %q in escalate", v)
	}
	if !slices.Contains(scopes, r.Scope) || !slices.Contains(actions, r.Action) {
		return fmt.Errorf("unknown scope %q or action %q", r.Scope, r.Action)
	}
	if _, known := codes.Explain(string(r.Code)); r.Code != "" && !known {
		return fmt.Errorf("unknown code %q: expected one of docs/codes.md", r.Code)
	}
	if r.Example == "" {
		return errors.New("no example")
	}
	d := Decision{
		Rule: r.ID, Verdict: r.Verdict, Scope: r.Scope, Action: r.Action, Code: r.Code, Note: r.Note,
		Factor: r.Backoff.Factor, MaxBackoff: r.Backoff.Max,
	}
	switch r.Backoff.Base {
	case "":
	case "none":
		d.Manual = true
	default:
		base, err := time.ParseDuration(r.Backoff.Base)
		if err != nil || base < 0 {
			return fmt.Errorf("backoff base %q: expected a duration or none", r.Backoff.Base)
		}
		d.Backoff, d.AtOnce = base, base == 0
	}
	r.decision = d
	return r.Match.compile(set)
}
