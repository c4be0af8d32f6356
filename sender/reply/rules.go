package reply

import (
	_ "embed"
	"fmt"
	"sync"
)

//go:embed rules.yaml
var rulesYAML []byte

// builtin is the compiled rules.yaml. The file is part of the program and a
// test loads it, so that an error in it is a bug, not input.
var builtin = sync.OnceValue(func() *ruleSet {
	set, err := read("rules.yaml", rulesYAML, nil)
	if err != nil {
		panic(fmt.Sprintf("embedded reply rules: %v", err))
	}
	return set
})

// A ruleSet is a rules file.
type ruleSet struct {
	words map[string]string
	signs []sign
	rules []rule

	lexicon lexicon
	living  anyOf    // the signs
	behind  *ruleSet // the built-in rules, behind those of a user; nil: these are they
}

func newRuleSet() *ruleSet {
	return &ruleSet{lexicon: lexicon{byHead: map[[minLiteral]byte][]literal{}}}
}

// A sign is a kind of text that speaks of something that can befall an address
// in use: a reply that shows one suppresses no address, whatever its code.
type sign struct {
	kind     string
	examples []string
}

// A rule is one entry of a rules file; the head of rules.yaml describes the keys.
type rule struct {
	match    condition
	decision Decision // Verdict and Confirm as in the file
	example  string
}

func (r *rule) id() string { return r.decision.Rule }

// suppresses reports whether the rule takes the recipient for dead.
func (r *rule) suppresses() bool { return r.decision.Verdict == SuppressHard }

// find returns the first rule that matches; nil when none does.
func (s *ruleSet) find(r Reply) *rule {
	w := &wording{Reply: r, lexicon: &s.lexicon}
	for i := range s.rules {
		rule := &s.rules[i]
		if s.asks(rule, w) && rule.match.matches(w) && !s.spares(rule, w) {
			return rule
		}
	}
	return nil
}

// own reports whether the rules are those of a user.
func (s *ruleSet) own() bool { return s.behind != nil }

// asks reports whether the rule is for replies of this kind at all. What did not
// come from a server is a matter of a user's rule only when it names the event.
func (s *ruleSet) asks(rule *rule, w *wording) bool {
	return !s.own() || w.Event == "" || rule.match.events != nil
}

// spares reports whether the rule would suppress and the reply is not for good, or
// its text shows a sign of life. Users who name the words mean them.
func (s *ruleSet) spares(rule *rule, w *wording) bool {
	if !rule.suppresses() || w.Event != "" {
		return false
	}
	if w.Code < 500 {
		return true
	}
	if !s.own() {
		return w.showsLife(s.living)
	}
	if rule.match.namesWords() {
		return false
	}
	other := &wording{Reply: w.Reply, lexicon: &s.behind.lexicon}
	return other.showsLife(s.behind.living)
}

// decide returns what the rule makes of the reply.
func (r *rule) decide(to Reply) Decision {
	d := r.decision
	d.Confirm = 0
	switch {
	case !r.suppresses():
	case !to.ofOneRecipient():
		d.Verdict = FailNoSuppress
	case r.decision.Confirm > 1:
		d.Verdict = FailNoSuppress
		d.Confirm = r.decision.Confirm
	}
	return d
}
