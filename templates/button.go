package templates

import (
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// letterForms adds to Markdown two things that letters need: a bold link that is
// alone in a paragraph becomes a button, and the lines of a sign-off stay lines.
type letterForms struct{ ts *tokens }

var buttonKind = ast.NewNodeKind("Button")

// A buttonNode holds the link of a button.
type buttonNode struct{ ast.BaseBlock }

func (n *buttonNode) Kind() ast.NodeKind { return buttonKind }

func (n *buttonNode) Dump(source []byte, level int) { ast.DumpHelper(n, source, level, nil, nil) }

// Transform implements parser.ASTTransformer.
func (f *letterForms) Transform(doc *ast.Document, reader gmtext.Reader, _ parser.Context) {
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		link := onlyBoldLink(n)
		if link == nil {
			continue
		}
		button := &buttonNode{}
		doc.ReplaceChild(doc, n, button)
		button.AppendChild(button, link)
		n = button
	}

	if p := signOff(doc, reader.Source()); p != nil {
		f.keepLines(p, reader.Source())
	}
}

// onlyBoldLink returns the link of a paragraph that is **[text](url)** alone.
func onlyBoldLink(n ast.Node) ast.Node {
	if n.Kind() != ast.KindParagraph || n.ChildCount() != 1 {
		return nil
	}
	bold, ok := n.FirstChild().(*ast.Emphasis)
	if !ok || bold.Level != 2 || bold.ChildCount() != 1 || bold.FirstChild().Kind() != ast.KindLink {
		return nil
	}
	return bold.FirstChild()
}

// signOff returns the paragraph that ends a letter, before any postscript.
func signOff(doc *ast.Document, source []byte) ast.Node {
	for n := doc.LastChild(); n != nil; n = n.PreviousSibling() {
		switch {
		case n.Kind() == controlKind:
		case n.Kind() != ast.KindParagraph:
			return nil
		case !isPostscript(n, source):
			return n
		}
	}

	return nil
}

func isPostscript(n ast.Node, source []byte) bool {
	lines := n.Lines()
	if lines.Len() == 0 {
		return false
	}
	first := lines.At(0)
	words := strings.ToUpper(string(first.Value(source)))
	return strings.HasPrefix(strings.ReplaceAll(words, ".", ""), "PS")
}

// The lines of a sign-off are few and short, and the first one ends with a comma.
const (
	maxSignOffLines = 5
	maxSignOffLine  = 50 // characters
)

// keepLines makes the line breaks of a sign-off hard ones.
func (f *letterForms) keepLines(p ast.Node, source []byte) {
	lines := p.Lines()
	if lines.Len() < 2 || lines.Len() > maxSignOffLines {
		return
	}

	for i := range lines.Len() {
		at := lines.At(i)
		line := strings.TrimSpace(string(at.Value(source)))
		short := utf8.RuneCountInString(f.ts.match.ReplaceAllString(line, "")) <= maxSignOffLine
		if !short || i == 0 && !strings.HasSuffix(line, ",") && !strings.HasSuffix(line, "，") {
			return
		}
	}

	for c := p.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok && t.SoftLineBreak() {
			t.SetHardLineBreak(true)
		}
	}
}

// RegisterFuncs makes goldmark print a button as a table: Outlook supports padding
// on nothing else.
func (f *letterForms) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(buttonKind, func(w util.BufWriter, _ []byte, _ ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			_, _ = w.WriteString(`<table class="button" role="presentation" cellpadding="0" cellspacing="0" border="0"><tr><td>`)
		} else {
			_, _ = w.WriteString("</td></tr></table>\n") // the writer keeps its error for Flush
		}
		return ast.WalkContinue, nil
	})
}
