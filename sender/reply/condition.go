package reply

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// A condition holds when all of its parts hold; a part that is absent does.
type condition struct {
	stages    []Stage
	events    []string
	transport string // relay or direct
	origins   []origin
	codes     []codeSpan
	enhanced  []enhSpan
	text      anyOf
	says      anyOf
	unless    anyOf
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

// any reports whether the condition holds for every reply and event.
func (c *condition) any() bool {
	return c.stages == nil && c.events == nil && c.transport == "" && c.origins == nil && !c.onWire()
}

// onWire reports whether the condition looks at what a server said.
func (c *condition) onWire() bool {
	return c.codes != nil || c.enhanced != nil || c.onText()
}

// onText reports whether the condition looks at the words of a server.
func (c *condition) onText() bool {
	return c.text != nil || c.says != nil || c.unless != nil
}

// namesWords reports whether the condition wants words of a server.
func (c *condition) namesWords() bool { return c.text != nil || c.says != nil }

// matches reports whether the condition holds. One about code or text never
// holds for an event, whose text is ours and not the server's. What is cheap to
// look at comes first.
func (c *condition) matches(r *wording) bool {
	if c.stages != nil && !slices.Contains(c.stages, r.Stage) {
		return false
	}
	if c.codes != nil && !slices.ContainsFunc(c.codes, func(s codeSpan) bool { return s.lo <= r.Code && r.Code <= s.hi }) {
		return false
	}
	if c.transport != "" && (c.transport == "direct") != r.Direct {
		return false
	}
	if c.origins != nil && !slices.ContainsFunc(c.origins, func(o origin) bool { return o.has(&r.Reply) }) {
		return false
	}
	if c.events != nil {
		return slices.Contains(c.events, r.Event)
	}
	if r.Event != "" {
		return !c.onWire()
	}
	if c.enhanced != nil {
		e, ok := parseEnh(r.Enhanced)
		if !ok || !slices.ContainsFunc(c.enhanced, func(s enhSpan) bool { return s.has(e) }) {
			return false
		}
	}
	return c.matchesText(r)
}

func (c *condition) matchesText(r *wording) bool {
	if !c.onText() {
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
