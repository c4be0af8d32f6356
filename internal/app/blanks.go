package app

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

// A Blank says how many recipients read a sentence with a gap, since nothing stands
// there in place of a blank value.
type Blank struct {
	Fields []string `json:"fields"` // all of them are blank
	People int64    `json:"people"`
	Of     int64    `json:"of"`
	Row    int64    `json:"row"`   // of the audience, from 1: the first of these people
	Reads  string   `json:"reads"` // a sentence of theirs; empty when none could be found
}

// String returns the sentence that people are shown.
func (b Blank) String() string {
	text := fmt.Sprintf("%s %s blank for %d of %d", strings.Join(b.Fields, " and "), isOrAre(b.Fields), b.People, b.Of)
	if b.Reads == "" {
		return text + fmt.Sprintf(": row %d", b.Row)
	}
	return text + fmt.Sprintf(": row %d reads '%s'", b.Row, b.Reads)
}

func isOrAre(fields []string) string {
	if len(fields) > 1 {
		return "are"
	}
	return "is"
}

// strictly returns the gaps as problems of the campaign file: with content.strict
// nobody may read one.
func strictly(def *campaign.Definition, found []Blank) error {
	var problems strictyaml.Problems
	for _, b := range found {
		problems = append(problems, def.Problem("content.strict", "%s; write {{default \"...\" .%s}}, or fill the column", b, b.Fields[0]))
	}
	if len(problems) == 0 {
		return nil
	}
	return problems
}

// noPostal warns of a letter without the sender's postal address. A page without a
// layout is the author's own.
func noPostal(cfg *configs.Config, s campaign.Snapshot) strictyaml.Problems {
	if s.Postal != "" || s.Layout == templates.LayoutNone {
		return nil
	}
	return strictyaml.Problems{{
		File: cfg.FileName(), Key: "postal_address",
		Message: "it is not set: the footer does not say where the sender is, which many countries' law wants",
	}}
}

// blanks count the gaps in the letters of an audience.
type blanks struct {
	snapshot campaign.Snapshot
	gaps     []*countedGap
	n        int64 // recipients
}

type countedGap struct {
	fields []string
	at     []int // the fields' places in a row
	people int64
	row    int64    // the first one's number
	values []string // and what it has
}

// newBlanks finds where a blank value can leave a gap. The templates are known to be
// right.
func newBlanks(s campaign.Snapshot) (*blanks, error) {
	gaps, err := templates.Gaps(s)
	if err != nil {
		return nil, err
	}
	b := &blanks{snapshot: s}
	for _, fields := range gaps {
		g := &countedGap{fields: fields}
		for _, field := range fields {
			g.at = append(g.at, slices.Index(s.Columns, field))
		}
		if !slices.Contains(g.at, -1) {
			b.gaps = append(b.gaps, g)
		}
	}
	return b, nil
}

// count takes one recipient; n is the number of the row.
func (b *blanks) count(n int64, row *audience.Row) {
	b.n++
	for _, g := range b.gaps {
		if !g.blank(row.Values) {
			continue
		}
		g.people++
		if g.people == 1 {
			g.row = n
			g.values = slices.Clone(row.Values[:len(b.snapshot.Columns)])
		}
	}
}

func (g *countedGap) blank(values []string) bool {
	for _, i := range g.at {
		if strings.TrimSpace(values[i]) != "" {
			return false
		}
	}
	return true
}

// found returns the gaps that somebody reads.
func (b *blanks) found() ([]Blank, error) {
	var all []Blank
	var letters *templates.Template
	for _, g := range b.gaps {
		if g.people == 0 {
			continue
		}
		if letters == nil {
			var err error
			if letters, err = templates.Compile(b.snapshot); err != nil {
				return nil, err
			}
		}
		all = append(all, Blank{Fields: g.fields, People: g.people, Of: b.n, Row: g.row, Reads: reads(letters, g)})
	}
	return all, nil
}

// gapMark stands in place of a blank value while its sentence is looked for. It is a
// character for private use: no letter has it.
const gapMark = "\ue000"

// reads returns the sentence with the gap, as the first of the people reads it.
func reads(letters *templates.Template, g *countedGap) string {
	plain, ok := renderText(letters, g.values)
	if !ok {
		return ""
	}
	marked := slices.Clone(g.values)
	marked[g.at[0]] = gapMark
	text, ok := renderText(letters, marked)
	if !ok {
		return ""
	}
	for i := range len(text) {
		if !strings.HasPrefix(text[i:], gapMark) {
			continue
		}
		whole := withoutMarks(sentenceAt(text, i, len(text)))
		if whole != "" && hasSentence(plain, whole) { // else a condition hides it, or a default stands there
			return withoutMarks(sentenceAt(text, i, shownAround))
		}
	}
	return ""
}

func withoutMarks(sentence string) string {
	return strings.Join(strings.Fields(strings.ReplaceAll(sentence, gapMark, "")), " ")
}

// hasSentence reports whether a sentence, or the start of one, stands in a text:
// not only its end.
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

// renderText returns subject and text part, each paragraph on a line of its own.
func renderText(letters *templates.Template, values []string) (string, bool) {
	var l templates.Letter
	err := letters.Render(&l, templates.Data{Values: values, Unsubscribe: "https://unsubscribe.invalid/"})
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

// sentenceAt returns what stands around a place of a text, up to the ends of the
// sentence or so many characters.
func sentenceAt(text string, at, most int) string {
	start := strings.LastIndexByte(text[:at], '\n') + 1
	for _, end := range []string{". ", "! ", "? "} {
		if i := strings.LastIndex(text[start:at], end); i >= 0 {
			start += i + len(end)
		}
	}
	end := at + len(gapMark)
	if i := strings.IndexAny(text[end:], ".!?\n"); i >= 0 {
		end += i
		if text[end] != '\n' {
			end++
		}
	} else {
		end = len(text)
	}
	before, after := []rune(text[start:at]), []rune(text[at:end])
	before = before[max(0, len(before)-most):]
	after = after[:min(len(after), most)]
	return string(before) + string(after)
}
