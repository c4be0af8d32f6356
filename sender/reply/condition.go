package reply

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A condition holds when all of its parts hold; a part that is absent does.
type condition struct {
	Stage     []Stage  `yaml:"stage"`
	Code      []string `yaml:"code"`
	Enhanced  []string `yaml:"enhanced"`
	Text      patterns `yaml:"text"`
	Says      patterns `yaml:"says"`
	Unless    patterns `yaml:"unless"`
	Event     []string `yaml:"event"`
	Transport string   `yaml:"transport"`

	text   anyOf
	says   anyOf
	unless anyOf
	codes  []codeSpan
	enh    []enhSpan
}

// Patterns are regular expressions of which one has to match. In the file they
// are one or a list; {word} stands for the word of that name.
type patterns []string

// UnmarshalYAML reads one pattern or a list of them.
func (p *patterns) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*p = patterns{node.Value}
		return nil
	}
	return node.Decode((*[]string)(p))
}

var wordForm = regexp.MustCompile(`\{([a-z_]+)\}`)

// spell puts words in place of their names. A word may be made of others.
func spell(text string, words map[string]string) (string, error) {
	for range 3 {
		for _, name := range wordForm.FindAllStringSubmatch(text, -1) {
			word, ok := words[name[1]]
			if !ok {
				return "", fmt.Errorf("unknown word {%s}: expected one that stands under words", name[1])
			}
			text = strings.ReplaceAll(text, name[0], "(?:"+word+")")
		}
	}
	if left := wordForm.FindString(text); left != "" {
		return "", fmt.Errorf("word %s: words are nested too deeply", left)
	}
	return text, nil
}

func (c *condition) compile(set *ruleSet) error {
	if slices.Equal(c.Stage, []Stage{"any"}) {
		c.Stage = nil
	}
	for _, s := range c.Stage {
		if !slices.Contains(Stages, s) {
			return fmt.Errorf("unknown stage %q", s)
		}
	}
	if slices.Equal(c.Event, []string{"any"}) {
		c.Event = events
	}
	for _, e := range c.Event {
		if !slices.Contains(events, e) {
			return fmt.Errorf("unknown event %q", e)
		}
	}
	if !slices.Contains([]string{"", "relay", "direct"}, c.Transport) {
		return fmt.Errorf("transport %q: expected relay or direct", c.Transport)
	}
	for _, s := range c.Code {
		span, err := parseCode(s)
		if err != nil {
			return err
		}
		c.codes = append(c.codes, span)
	}
	for _, s := range c.Enhanced {
		span, err := parseEnhSpan(s)
		if err != nil {
			return err
		}
		c.enh = append(c.enh, span)
	}
	return c.compilePatterns(set)
}

func (c *condition) compilePatterns(set *ruleSet) (err error) {
	if c.text, err = set.lexicon.add(c.Text, set.Words); err != nil {
		return fmt.Errorf("text: %w", err)
	}
	if c.says, err = set.lexicon.add(c.Says, set.Words); err != nil {
		return fmt.Errorf("says: %w", err)
	}
	if c.unless, err = set.lexicon.add(c.Unless, set.Words); err != nil {
		return fmt.Errorf("unless: %w", err)
	}
	return nil
}

// any reports whether the condition holds for every reply and event.
func (c *condition) any() bool {
	return len(c.Stage) == 0 && len(c.Event) == 0 && c.Transport == "" && !c.onWire()
}

// onWire reports whether the condition looks at what a server said.
func (c *condition) onWire() bool {
	return c.codes != nil || c.enh != nil || c.text != nil || c.says != nil || c.unless != nil
}

// matches reports whether the condition holds. One about code or text never
// holds for an event, whose text is ours and not the server's.
func (c *condition) matches(r *wording) bool {
	if c.Stage != nil && !slices.Contains(c.Stage, r.Stage) {
		return false
	}
	if c.Transport != "" && (c.Transport == "direct") != r.Direct {
		return false
	}
	if c.Event != nil {
		return slices.Contains(c.Event, r.Event)
	}
	if r.Event != "" {
		return !c.onWire()
	}
	if c.codes != nil && !slices.ContainsFunc(c.codes, func(s codeSpan) bool { return s.lo <= r.Code && r.Code <= s.hi }) {
		return false
	}
	if c.enh != nil {
		e, ok := parseEnh(r.Enhanced)
		if !ok || !slices.ContainsFunc(c.enh, func(s enhSpan) bool { return s.has(e) }) {
			return false
		}
	}
	return c.matchesText(r)
}

func (c *condition) matchesText(r *wording) bool {
	if c.text == nil && c.says == nil && c.unless == nil {
		return true
	}
	whole, said := r.words()
	if c.text != nil && !r.lexicon.matches(c.text, whole) {
		return false
	}
	if c.says != nil && !r.lexicon.matches(c.says, said) {
		return false
	}
	return !r.lexicon.matches(c.unless, said)
}
