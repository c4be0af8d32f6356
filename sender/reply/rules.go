package reply

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"go.yaml.in/yaml/v3"

	"broadside/campaign"
)

//go:embed rules.yaml
var rulesYAML []byte

// rules is the compiled rules.yaml. The file is part of the program and a test
// loads it, so that an error in it is a bug, not input.
var rules = sync.OnceValue(func() []rule {
	list, err := load(rulesYAML)
	if err != nil {
		panic(fmt.Sprintf("embedded reply rules: %v", err))
	}
	return list
})

// A rule is one entry of rules.yaml; the head of that file describes the keys.
type rule struct {
	ID       string        `yaml:"id"`
	Match    condition     `yaml:"match"`
	Verdict  Verdict       `yaml:"verdict"`
	Scope    string        `yaml:"scope"`
	Code     campaign.Code `yaml:"code"`
	Action   string        `yaml:"action"`
	Backoff  backoff       `yaml:"backoff"`
	Confirm  int           `yaml:"confirm"`
	Escalate escalate      `yaml:"escalate"`
	Example  string        `yaml:"example"`
	Note     string        `yaml:"note"`

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

// A condition holds when all of its parts hold; a part that is absent does.
type condition struct {
	Stage     []Stage  `yaml:"stage"`
	Code      []string `yaml:"code"`
	Enhanced  []string `yaml:"enhanced"`
	Text      string   `yaml:"text"`
	Event     []string `yaml:"event"`
	Transport string   `yaml:"transport"`

	text  *regexp.Regexp
	codes []codeSpan
	enh   []enhSpan
}

type codeSpan struct{ lo, hi int }

// An enhSpan is an inclusive range of enhanced codes, in numeric order.
type enhSpan struct{ lo, hi [3]int }

var (
	scopes  = []string{"", "recipient", "message", "campaign", "lane", "ip", "account", "sender"}
	actions = []string{
		"", "reconnect", "lower_conns", "lower_msgs_per_conn", "halve_rate", "split_rcpts",
		"require_tls", "next_host", "refresh_auth", "alert",
	}
)

// load decodes, checks and compiles a rules file; all problems come together.
func load(data []byte) ([]rule, error) {
	var file struct {
		Version int    `yaml:"version"`
		Rules   []rule `yaml:"rules"`
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&file); err != nil {
		return nil, fmt.Errorf("decode rules: %w", err)
	}
	if file.Version != 1 {
		return nil, fmt.Errorf("version %d: expected 1", file.Version)
	}
	if len(file.Rules) == 0 {
		return nil, errors.New("no rules")
	}
	var errs []error
	seen := map[string]bool{}
	for i := range file.Rules {
		r := &file.Rules[i]
		if r.ID == "" || seen[r.ID] {
			errs = append(errs, fmt.Errorf("rule %d: id %q is empty or used twice", i+1, r.ID))
		}
		seen[r.ID] = true
		if err := r.compile(); err != nil {
			errs = append(errs, fmt.Errorf("rule %s: %w", r.ID, err))
		}
	}
	if m := file.Rules[len(file.Rules)-1].Match; !m.any() {
		errs = append(errs, errors.New("the last rule must match everything"))
	}
	return file.Rules, errors.Join(errs...)
}

// compile checks the rule and prepares its condition and decision.
func (r *rule) compile() error {
	if !slices.Contains(Verdicts, r.Verdict) {
		return fmt.Errorf("unknown verdict %q", r.Verdict)
	}
	if v := r.Escalate.Verdict; v != "" && !slices.Contains(Verdicts, v) {
		return fmt.Errorf("unknown verdict %q in escalate", v)
	}
	if !slices.Contains(scopes, r.Scope) || !slices.Contains(actions, r.Action) {
		return fmt.Errorf("unknown scope %q or action %q", r.Scope, r.Action)
	}
	if _, known := campaign.Explain(string(r.Code)); r.Code != "" && !known {
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
	return r.Match.compile()
}

func (c *condition) compile() (err error) {
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
	if c.Text != "" {
		if c.text, err = regexp.Compile("(?i)" + c.Text); err != nil {
			return fmt.Errorf("text: %w", err)
		}
	}
	return nil
}

// any reports whether the condition holds for every reply and event.
func (c *condition) any() bool {
	return len(c.Stage) == 0 && len(c.Event) == 0 && c.Transport == "" && !c.onWire()
}

// onWire reports whether the condition looks at what a server said.
func (c *condition) onWire() bool { return c.codes != nil || c.enh != nil || c.text != nil }

// matches reports whether the condition holds. One about code or text never
// holds for an event, whose text is ours and not the server's.
func (c *condition) matches(r Reply) bool {
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
	return c.text == nil || c.text.MatchString(r.Text)
}

// parseCode reads "421" or "4xx".
func parseCode(s string) (codeSpan, error) {
	if len(s) == 3 && s[0] >= '1' && s[0] <= '5' && s[1:] == "xx" {
		lo := int(s[0]-'0') * 100
		return codeSpan{lo, lo + 99}, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return codeSpan{}, fmt.Errorf("code %q: expected a number such as 421, or 4xx", s)
	}
	return codeSpan{n, n}, nil
}

// parseEnhSpan reads "5.1.1", "5.7.*" or "5.7.606-5.7.649".
func parseEnhSpan(s string) (enhSpan, error) {
	lo, hi, isRange := strings.Cut(s, "-")
	if !isRange {
		hi = lo
	}
	if head, ok := strings.CutSuffix(s, ".*"); ok {
		lo, hi = head+".0", head+".999"
	}
	l, ok1 := parseEnh(lo)
	h, ok2 := parseEnh(hi)
	if !ok1 || !ok2 || slices.Compare(l[:], h[:]) > 0 {
		return enhSpan{}, fmt.Errorf("enhanced code %q: expected 5.1.1, 5.7.* or 5.7.606-5.7.649", s)
	}
	return enhSpan{l, h}, nil
}

func (s enhSpan) has(e [3]int) bool {
	return slices.Compare(s.lo[:], e[:]) <= 0 && slices.Compare(e[:], s.hi[:]) <= 0
}

// parseEnh reads the three numbers of an enhanced code.
func parseEnh(s string) (e [3]int, ok bool) {
	if n := enhancedLen(s); n == 0 || n != len(s) {
		return e, false
	}
	for i, part := range strings.SplitN(s, ".", 3) {
		e[i], _ = strconv.Atoi(part) // enhancedLen has seen the digits
	}
	return e, true
}
