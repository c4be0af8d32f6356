package reply

import (
	"fmt"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/configs/strictyaml"
)

// condition reads what a rule matches.
func (f *fileReader) condition(m *strictyaml.Map, c *condition) {
	c.stages = readStages(m)
	c.events = readEvents(m)
	c.codes = spans(m, "code", `a code such as "421", or "4xx"`, parseCode)
	c.enhanced = spans(m, "enhanced", `an enhanced code such as "5.1.1", "5.7.*" or "5.7.606-5.7.649"`, parseEnhSpan)
	m.Choice("transport", &c.transport, "relay", "direct")
	c.origins = readOrigins(m)
	c.text = f.patterns(m, "text")
	c.says = f.patterns(m, "says")
	c.unless = f.patterns(m, "unless")
	f.checkPossible(m, c)
}

func readStages(m *strictyaml.Map) []Stage {
	known := []string{"any"}
	for _, s := range Stages {
		known = append(known, string(s))
	}

	var names []string
	m.Strings("stage", &names, "one of "+strings.Join(known, ", "), func(text string) bool { return slices.Contains(known, text) })
	if slices.Contains(names, "any") {
		return nil
	}
	var stages []Stage
	for _, name := range names {
		stages = append(stages, Stage(name))
	}
	return stages
}

func readEvents(m *strictyaml.Map) []string {
	var names []string
	m.Strings("event", &names, "one of any, "+strings.Join(events, ", "), func(text string) bool {
		return text == "any" || slices.Contains(events, text)
	})
	if slices.Contains(names, "any") {
		return events
	}
	return names
}

// readOrigins reads the mailbox providers and relays of which one has to be the
// origin of the reply.
func readOrigins(m *strictyaml.Map) []origin {
	var names []string
	m.Strings("provider", &names, "the name of a mailbox provider or relay", nil)

	var all []origin
	for i, name := range names {
		o, problem := readOrigin(name)
		if problem != "" {
			m.Problem(fmt.Sprintf("provider[%d]", i), "%s", problem)
			continue
		}
		all = append(all, o)
	}
	return all
}

func readOrigin(name string) (o origin, problem string) {
	o, known := originNamed(name)
	switch meant := MeantOrigin(name); {
	case !known && meant != "":
		return o, fmt.Sprintf("found %s, expected a mailbox provider or relay: did you mean %s?", strictyaml.Quote(name), meant)
	case !known:
		return o, fmt.Sprintf("found %s, expected a mailbox provider or relay: one of %s", strictyaml.Quote(name), strings.Join(Origins(), ", "))
	case o.provider == campaign.Other && name != string(campaign.Other):
		return o, fmt.Sprintf("found %s, whose recipients are not told apart here (they belong to other), so that the rule cannot match; leave provider out and match its text", name)
	}
	return o, ""
}

// spans reads a list of codes.
func spans[T any](m *strictyaml.Map, name, expected string, parse func(string) (T, error)) []T {
	var all []T
	m.Strings(name, new([]string), expected, func(text string) bool {
		span, err := parse(text)
		if err == nil {
			all = append(all, span)
		}
		return err == nil
	})
	return all
}

const patternForm = "a regular expression (RE2)"

// patterns reads regular expressions of which one has to match: one or a list.
// {name} in one stands for the word of that name.
func (f *fileReader) patterns(m *strictyaml.Map, name string) anyOf {
	var list []string
	if f.isList(m.Key(name)) {
		m.Strings(name, &list, patternForm, nil)
	} else {
		var one string
		m.Check(name, &one, patternForm+" or a list of them", anyText)
		if one != "" {
			list = []string{one}
		}
	}

	var all anyOf
	for i, pattern := range list {
		exprs, err := f.set.lexicon.add(pattern, f.set.words)
		if err != nil {
			m.Problem(f.itemOf(m, name, i), "found %s, expected %s: %v", strictyaml.Quote(pattern), patternForm, err)
			continue
		}
		if why := f.impossible(pattern, name != "text"); why != "" {
			m.Problem(f.itemOf(m, name, i), "found %s, which cannot match: %s", strictyaml.Quote(pattern), why)
		}
		all = append(all, exprs...)
	}
	return all
}

// itemOf returns the key of the nth item of a list; that of the value itself
// where there is no list.
func (f *fileReader) itemOf(m *strictyaml.Map, name string, n int) string {
	if f.isList(m.Key(name)) {
		return fmt.Sprintf("%s[%d]", name, n)
	}
	return name
}

// isList reports whether there is a list under a dotted key.
func (f *fileReader) isList(key string) bool {
	n := f.doc.Root()
	for part := range strings.SplitSeq(key, ".") {
		name, index, indexed := strings.Cut(strings.TrimSuffix(part, "]"), "[")
		n = n.Get(name)
		if !indexed || n == nil {
			continue
		}
		i := 0
		_, err := fmt.Sscanf(index, "%d", &i)
		if err != nil || i >= len(n.Items) {
			return false
		}
		n = n.Items[i]
	}
	return n != nil && n.Kind == strictyaml.List
}
