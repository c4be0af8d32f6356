package letter

import (
	"fmt"
	"slices"
	"strings"

	"broadside/campaign"
	"broadside/campaign/audience"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/templates"
)

// A Gap says how many recipients read a sentence with a gap, because a value is blank
// and nothing stands in its place.
type Gap struct {
	Fields     []string `json:"fields"` // all of them are blank
	Recipients int64    `json:"people"`
	Of         int64    `json:"of"`
	Row        int64    `json:"row"`   // of the first of these recipients, from 1
	Sentence   string   `json:"reads"` // as they read it; empty when none could be found
}

// String returns the sentence that people are shown.
func (g Gap) String() string {
	verb := "is"
	if len(g.Fields) > 1 {
		verb = "are"
	}
	text := fmt.Sprintf("%s %s blank for %d of %d: row %d", strings.Join(g.Fields, " and "), verb, g.Recipients, g.Of, g.Row)
	if g.Sentence != "" {
		text += " reads '" + g.Sentence + "'"
	}
	return text
}

// Strict returns the gaps as problems of a campaign file whose content is strict, which
// allows none.
func Strict(def *campaign.Definition, gaps []Gap) error {
	if !def.Content.Strict || len(gaps) == 0 {
		return nil
	}
	var problems strictyaml.Problems
	for _, g := range gaps {
		problems = append(problems, def.Problem("content.strict", "%s; write {{default \"...\" .%s}}, or fill the column", g, g.Fields[0]))
	}
	return problems
}

// WarnPostal warns of a letter without the sender's postal address. A page without a
// layout is the author's own.
func WarnPostal(cfg *configs.Config, s campaign.Snapshot) strictyaml.Problems {
	if s.Postal != "" || s.Layout == templates.LayoutNone {
		return nil
	}
	return strictyaml.Problems{{
		File: cfg.FileName(), Key: "postal_address",
		Message: "not set: the footer does not say where the sender is, which the law of many countries requires",
	}}
}

// A GapCounter counts the gaps in the letters of an audience.
type GapCounter struct {
	snapshot   campaign.Snapshot
	gaps       []*countedGap
	recipients int64
}

type countedGap struct {
	fields     []string
	columns    []int // of the fields
	recipients int64
	row        int64    // number of the first recipient's row
	values     []string // of the first recipient
}

// NewGapCounter finds where a blank value can leave a gap. The snapshot must compile.
func NewGapCounter(s campaign.Snapshot) (*GapCounter, error) {
	gaps, err := templates.Gaps(s)
	if err != nil {
		return nil, err
	}

	c := &GapCounter{snapshot: s}
	for _, fields := range gaps {
		g := &countedGap{fields: fields}
		for _, field := range fields {
			g.columns = append(g.columns, slices.Index(s.Columns, field))
		}
		if !slices.Contains(g.columns, -1) {
			c.gaps = append(c.gaps, g)
		}
	}

	return c, nil
}

// Count counts one recipient; n is the number of the row.
func (c *GapCounter) Count(n int64, row *audience.Row) {
	c.recipients++
	for _, g := range c.gaps {
		if !g.isBlank(row.Values) {
			continue
		}
		g.recipients++
		if g.recipients == 1 {
			g.row = n
			g.values = slices.Clone(row.Values[:len(c.snapshot.Columns)])
		}
	}
}

func (g *countedGap) isBlank(values []string) bool {
	for _, i := range g.columns {
		if strings.TrimSpace(values[i]) != "" {
			return false
		}
	}
	return true
}

// Gaps returns the gaps that at least one recipient reads.
func (c *GapCounter) Gaps() ([]Gap, error) {
	var read []*countedGap
	for _, g := range c.gaps {
		if g.recipients > 0 {
			read = append(read, g)
		}
	}

	if len(read) == 0 {
		return nil, nil
	}

	t, err := templates.Compile(c.snapshot)
	if err != nil {
		return nil, err
	}

	var all []Gap
	for _, g := range read {
		all = append(all, Gap{Fields: g.fields, Recipients: g.recipients, Of: c.recipients, Row: g.row, Sentence: g.sentence(t)})
	}

	return all, nil
}

// gapMark stands in place of a blank value while its sentence is searched for. It is a
// character for private use, which no letter has.
const gapMark = "\ue000"

// sentence returns the sentence with the gap, as the first of its recipients reads it.
func (g *countedGap) sentence(t *templates.Template) string {
	plain, ok := renderText(t, g.values)
	if !ok {
		return ""
	}

	values := slices.Clone(g.values)
	values[g.columns[0]] = gapMark
	marked, ok := renderText(t, values)
	if !ok {
		return ""
	}

	for at := range len(marked) {
		if !strings.HasPrefix(marked[at:], gapMark) {
			continue
		}
		whole := withoutMarks(sentenceAt(marked, at, len(marked)))
		// A condition may hide the sentence, and a default may fill the gap.
		if whole != "" && hasSentence(plain, whole) {
			return withoutMarks(sentenceAt(marked, at, shownAround))
		}
	}

	return ""
}

func withoutMarks(sentence string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(sentence, gapMark, "")), " ")
}

// hasSentence reports whether a text has a sentence, or more than that from its
// beginning. The end of a longer sentence does not count.
func hasSentence(text, sentence string) bool {
	for from := 0; ; {
		i := strings.Index(text[from:], sentence)
		if i < 0 {
			return false
		}
		before := strings.TrimRight(text[:from+i], " ")
		if before == "" || strings.ContainsRune(".!?\n", rune(before[len(before)-1])) {
			return true
		}
		from += i + 1
	}
}

// renderText returns subject and text part, with each paragraph on a line of its own.
func renderText(t *templates.Template, values []string) (string, bool) {
	var l templates.Letter
	err := t.Render(&l, templates.Data{Values: values, Unsubscribe: "https://unsubscribe.invalid/"})
	if err != nil {
		return "", false
	}
	text := l.Subject
	for paragraph := range strings.SplitSeq(string(l.Text), "\n\n") {
		text += "\n" + strings.Join(strings.Fields(paragraph), " ")
	}
	return text, true
}

// shownAround is how many characters of a sentence are shown before and after a gap.
const shownAround = 60

// sentenceAt returns the text around a gap, up to the ends of its sentence, and at most
// so many characters on either side.
func sentenceAt(text string, gap, most int) string {
	start := strings.LastIndexByte(text[:gap], '\n') + 1
	for _, end := range []string{". ", "! ", "? "} {
		if i := strings.LastIndex(text[start:gap], end); i >= 0 {
			start += i + len(end)
		}
	}

	end := len(text)
	rest := gap + len(gapMark)
	if i := strings.IndexAny(text[rest:], ".!?\n"); i >= 0 {
		end = rest + i
		if text[end] != '\n' {
			end++
		}
	}

	before := []rune(text[start:gap])
	after := []rune(text[gap:end])
	before = before[max(0, len(before)-most):]
	after = after[:min(len(after), most)]
	return string(before) + string(after)
}
