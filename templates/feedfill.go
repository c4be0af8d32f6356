package templates

import (
	"regexp"
	"strconv"
	"strings"
	"text/template/parse"

	nethtml "golang.org/x/net/html"

	"broadside/campaign"
)

// WithFeed returns a snapshot whose texts, which CheckFeed has accepted, have the items of
// a feed in place of .feed.items, at most MaxFeedItems of them: what is in a range stands
// there once for each. A field of an item becomes a text in quotes, {{"like this"}}, so
// that it is escaped by where it stands, as every value is.
func WithFeed(s campaign.Snapshot, items []campaign.FeedItem) campaign.Snapshot {
	items = items[:min(len(items), MaxFeedItems)]
	text := make([]map[string]string, len(items))
	for i, item := range items {
		text[i] = map[string]string{
			"title": item.Title, "link": item.Link, "published": item.Published, "summary": item.Summary, "content": item.Content,
		}
	}

	s.Subject = fillFeed(s.Subject, filler{items: text})
	s.Preheader = fillFeed(s.Preheader, filler{items: text})
	s.Markdown = fillFeed(s.Markdown, filler{items: text, html: true, markdown: true})
	s.HTML = fillFeed(s.HTML, filler{items: text, html: true})
	s.Text = fillFeed(s.Text, filler{items: text})
	return s
}

// A filler puts items into one text.
type filler struct {
	items    []map[string]string // by field
	html     bool                // the text is that of the page, and has the HTML of items
	markdown bool

	src   *source
	loops map[int]*parse.RangeNode // by the number of the action that begins it
	out   strings.Builder
}

func fillFeed(text string, f filler) string {
	src, problems := readSource("", text)
	if len(problems) > 0 {
		return text // Compile says what is wrong
	}
	f.src = src
	f.loops = map[int]*parse.RangeNode{}
	edits := map[int]string{}
	f.edit(src.tree.Root, nil, edits)
	f.write(0, len(text), edits)
	return f.out.String()
}

// edit notes what becomes of the actions of a list, by their numbers, and the loops. item
// is that of the loop around them; nil outside of one.
func (f *filler) edit(list *parse.ListNode, item map[string]string, edits map[int]string) {
	if list == nil {
		return
	}
	for _, n := range list.Nodes {
		switch n := n.(type) {
		case *parse.ActionNode:
			f.editAction("", n.Pipe, item, edits)
		case *parse.IfNode:
			f.editAction("if ", n.Pipe, item, edits)
			f.edit(n.List, item, edits)
			f.edit(n.ElseList, item, edits)
		case *parse.WithNode:
			f.editAction("with ", n.Pipe, item, edits)
			f.edit(n.List, item, edits)
			f.edit(n.ElseList, item, edits)
		case *parse.RangeNode:
			f.loops[f.src.actionAt(n.Pipe.Position())] = n
			f.edit(n.ElseList, item, edits)
		}
	}
}

// editAction notes an action that uses the feed. Any other stays as it was written.
func (f *filler) editAction(word string, p *parse.PipeNode, item map[string]string, edits map[int]string) {
	now := f.pipe(p, item)
	if now == p.String() {
		return
	}
	if word == "" && len(p.Cmds) == 1 && isLength(p.Cmds[0]) {
		now = quoted(now) // texts are written by plain calls, numbers are not (see flatten)
	}
	number := f.src.actionAt(p.Position())
	a := f.src.actions[number]
	was := f.src.text[a.start:a.end]
	if keyword(was) == "else" {
		word = "else " + word
	}
	left, right := trims(was)
	edits[number] = delimited(word+now, left, right)

	// What prints a text of an item is that text where nothing escapes it: people see
	// subjects in plans.
	text, err := strconv.Unquote(now)
	if word == "" && err == nil && !f.html && !left && !right && !strings.ContainsAny(text, "{}") {
		edits[number] = text
	}
}

// actionAt returns the number of the action that an offset is in.
func (s *source) actionAt(offset parse.Pos) int {
	for i, a := range s.actions {
		if int(offset) < a.end {
			return i
		}
	}
	return len(s.actions) - 1
}

// trims reports whether an action removes the white space before and after it.
func trims(action string) (left, right bool) {
	return leftTrim.MatchString(action), rightTrim.MatchString(action)
}

var leftTrim = regexp.MustCompile(`^\{\{-\s`)

func delimited(inner string, left, right bool) string {
	open := "{{"
	if left {
		open = "{{- "
	}
	end := "}}"
	if right {
		end = " -}}"
	}
	return open + inner + end
}

// pipe returns a pipeline with the values of the feed in it.
func (f *filler) pipe(p *parse.PipeNode, item map[string]string) string {
	if len(p.Cmds) == 1 && len(p.Cmds[0].Args) == 1 {
		if html, ok := f.content(p.Cmds[0].Args[0], item); ok && f.html {
			return htmlFunc + " " + quoted(html)
		}
	}

	var commands []string
	for _, cmd := range p.Cmds {
		var args []string
		for _, a := range cmd.Args {
			args = append(args, f.value(a, item))
		}
		text := strings.Join(args, " ")
		if isLength(cmd) {
			text = strconv.Itoa(len(f.items))
		}
		commands = append(commands, text)
	}
	return strings.Join(commands, " | ")
}

// value returns an argument as it is written.
func (f *filler) value(n parse.Node, item map[string]string) string {
	if isItems(n) { // of an if
		return quoted(strings.Repeat("x", min(len(f.items), 1)))
	}
	if html, ok := f.content(n, item); ok {
		return quoted(htmlText(html))
	}
	switch n := n.(type) {
	case *parse.FieldNode:
		if item != nil {
			return quoted(item[n.Ident[0]])
		}
	case *parse.ChainNode:
		if of := f.numbered(n); of != nil {
			return quoted(of[n.Field[0]])
		}
	case *parse.PipeNode:
		return "(" + f.pipe(n, item) + ")"
	}
	return n.String()
}

// content returns the HTML that a node stands for, if it does.
func (f *filler) content(n parse.Node, item map[string]string) (string, bool) {
	switch n := n.(type) {
	case *parse.FieldNode:
		return item["content"], item != nil && n.Ident[0] == "content"
	case *parse.ChainNode:
		of := f.numbered(n)
		return of["content"], of != nil && n.Field[0] == "content"
	}
	return "", false
}

// numbered returns the item that (index .feed.items N).field is about; one without values
// when there are fewer, and nil when it is something else.
func (f *filler) numbered(n *parse.ChainNode) map[string]string {
	args := indexArgs(n)
	if args == nil {
		return nil
	}
	number, ok := args[1].(*parse.NumberNode)
	if !ok {
		return nil
	}
	if number.Int64 < int64(len(f.items)) {
		return f.items[number.Int64]
	}
	return map[string]string{}
}

// isLength reports whether a command is len .feed.items.
func isLength(cmd *parse.CommandNode) bool {
	return called(cmd) == "len" && len(cmd.Args) == 2 && isItems(cmd.Args[1])
}

// isItems reports whether a node is .feed.items.
func isItems(n parse.Node) bool {
	switch n := n.(type) {
	case *parse.FieldNode:
		return len(n.Ident) == 2 && n.Ident[0] == feedField
	case *parse.VariableNode:
		return len(n.Ident) == 3 && n.Ident[0] == "$" && n.Ident[1] == feedField
	}
	return false
}

// write writes a part of the text, with what became of its actions.
func (f *filler) write(from, to int, edits map[int]string) {
	at := from
	for i, a := range f.src.actions {
		if a.start < at || a.start >= to {
			continue
		}
		if f.loops[i] != nil {
			at = f.writeLoop(i, at, edits)
			continue
		}
		f.out.WriteString(f.src.text[at:a.start])
		text, ok := edits[i]
		if !ok {
			text = f.src.text[a.start:a.end]
		}
		f.out.WriteString(text)
		at = a.end
	}
	f.out.WriteString(f.src.text[at:to])
}

// writeLoop writes the text from an offset up to a loop, and the loop. It returns where the
// text goes on.
func (f *filler) writeLoop(number, at int, edits map[int]string) int {
	l := f.src.loop(number)
	if f.markdown && l.ownLines() {
		return f.writeLines(number, at, l, edits)
	}

	text := f.src.text
	f.out.WriteString(text[at:l.begin.start])
	left, right := trims(text[l.begin.start:l.begin.end])
	if len(f.items) == 0 {
		f.space(left, false)
		if l.other != nil {
			_, after := trims(text[l.other.start:l.other.end])
			before, _ := trims(text[l.end.start:l.end.end])
			f.space(false, after)
			f.write(l.other.end, l.end.start, edits)
			f.space(before, false)
		}
	}
	last := l.last()
	before, _ := trims(text[last.start:last.end])
	for i, item := range f.items {
		f.space(left && i == 0, right)
		f.writeItem(number, l.begin.end, last.start, item)
		f.space(before, false)
	}
	_, after := trims(text[l.end.start:l.end.end])
	f.space(false, after)
	return l.end.end
}

// writeItem writes the text in a loop for one item.
func (f *filler) writeItem(number, from, to int, item map[string]string) {
	edits := map[int]string{}
	f.edit(f.loops[number].List, item, edits)
	f.write(from, to, edits)
}

// space writes what removes white space as the actions of a loop did.
func (f *filler) space(left, right bool) {
	if left || right {
		f.out.WriteString(delimited("/* */", left, right))
	}
}

// tightLine begins a line that belongs to the one above it: of a list or a table.
var tightLine = regexp.MustCompile(`^\s*(?:[-*+]\s|\d{1,9}[.)]\s|\|)`)

// writeLines writes a loop of Markdown whose actions are alone on their lines, which
// disappear: items of a list, and rows of a table, follow each other without a gap, and
// everything else is set apart.
func (f *filler) writeLines(number, at int, l loop, edits map[int]string) int {
	text := f.src.text
	f.out.WriteString(text[at:lineStart(text, l.begin.start)])
	if len(f.items) == 0 && l.other != nil {
		f.write(lineEnd(text, l.other.end), lineStart(text, l.end.start), edits)
	}

	from := lineEnd(text, l.begin.end)
	to := lineStart(text, l.last().start)
	gap := "\n"
	if tightLine.MatchString(strings.TrimLeft(text[from:to], "\r\n")) {
		gap = ""
	}
	for _, item := range f.items {
		f.out.WriteString(gap)
		f.writeItem(number, from, to, item)
	}
	f.out.WriteString("\n")
	return lineEnd(text, l.end.end)
}

func lineStart(text string, at int) int { return strings.LastIndexByte(text[:at], '\n') + 1 }

// lineEnd returns where the next line begins.
func lineEnd(text string, at int) int {
	if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(text)
}

// A loop is where the actions of a range are.
type loop struct {
	src        *source
	begin, end action
	other      *action // its else; nil: none
}

// last is the action that ends what is repeated.
func (l loop) last() action {
	if l.other != nil {
		return *l.other
	}
	return l.end
}

// loop returns the loop that an action begins.
func (s *source) loop(number int) loop {
	l := loop{src: s, begin: s.actions[number]}
	depth := 0
	for i := number + 1; i < len(s.actions); i++ {
		switch a := s.actions[i]; {
		case opened(s.text[a.start:a.end]) > 0:
			depth++
		case s.keyword(a) == "else" && depth == 0:
			l.other = &s.actions[i]
		case s.keyword(a) == "end" && depth == 0:
			l.end = a
			return l
		case s.keyword(a) == "end":
			depth--
		}
	}
	l.end = action{start: len(s.text), end: len(s.text)} // the parser has found one
	return l
}

// ownLines reports whether each action of the loop is alone on its line.
func (l loop) ownLines() bool {
	return l.src.alone(l.begin) && l.src.alone(l.end) && (l.other == nil || l.src.alone(*l.other))
}

func (s *source) alone(a action) bool {
	line := s.text[lineStart(s.text, a.start):a.start] + s.text[a.end:lineEnd(s.text, a.end)]
	return strings.TrimSpace(line) == ""
}

// hiddenInQuotes are the characters of a text in quotes that mean something to what reads the text
// of a letter without knowing actions.
var hiddenInQuotes = strings.NewReplacer("[", `\x5b`, "]", `\x5d`, "|", `\x7c`, "<", `\x3c`, ">", `\x3e`, "{", `\x7b`, "}", `\x7d`)

// quoted returns a text as it is written in an action.
func quoted(text string) string { return hiddenInQuotes.Replace(strconv.Quote(text)) }

// htmlText returns the text of the HTML of an item.
func htmlText(html string) string {
	doc, err := parsePage(html)
	if err != nil {
		return ""
	}
	w := &textWriter{ts: noTokens, tables: map[*nethtml.Node]bool{}}
	w.node(doc)
	return strings.TrimRight(w.out.String(), " \n")
}
