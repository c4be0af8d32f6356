package templates

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	gmtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// markdown renders a tokenised Markdown text as HTML. Raw HTML in it is the
// author's own and stays.
func markdown(text string, ts *tokens) (string, error) {
	controls := &controlBlocks{ts}
	forms := &letterForms{ts}
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Linkify),
		goldmark.WithRendererOptions(html.WithUnsafe(), renderer.WithNodeRenderers(util.Prioritized(controls, 50), util.Prioritized(forms, 50))),
		goldmark.WithParserOptions(parser.WithBlockParsers(util.Prioritized(controls, 50)), parser.WithASTTransformers(util.Prioritized(forms, 500))),
	)
	var b bytes.Buffer
	if err := md.Convert([]byte(text), &b); err != nil {
		return "", fmt.Errorf("render Markdown: %w", err)
	}

	return b.String(), nil
}

// controlBlocks keeps a line that has only if, else, with, end and comments between
// the blocks around it. As text it would become a paragraph of its own, or the last
// words of the list item above it.
type controlBlocks struct{ ts *tokens }

var controlKind = ast.NewNodeKind("TemplateControl")

// A controlNode is such a line.
type controlNode struct {
	ast.BaseBlock
	words string
}

func (n *controlNode) Kind() ast.NodeKind { return controlKind }

func (n *controlNode) Dump(source []byte, level int) {
	ast.DumpHelper(n, source, level, map[string]string{"Words": n.words}, nil)
}

func (c *controlBlocks) Trigger() []byte { return []byte{c.ts.prefix[0]} }

func (c *controlBlocks) Open(_ ast.Node, reader gmtext.Reader, _ parser.Context) (ast.Node, parser.State) {
	line, _ := reader.PeekLine()
	words := strings.TrimSpace(string(line))
	rest := c.ts.match.ReplaceAllStringFunc(words, func(word string) string {
		if t := c.ts.get(word); t != nil && t.control {
			return ""
		}
		return word
	})
	if strings.TrimSpace(rest) != "" {
		return nil, parser.NoChildren
	}

	reader.AdvanceToEOL()
	return &controlNode{words: words}, parser.NoChildren
}

func (c *controlBlocks) Continue(ast.Node, gmtext.Reader, parser.Context) parser.State {
	return parser.Close
}

func (c *controlBlocks) Close(ast.Node, gmtext.Reader, parser.Context) {}

func (c *controlBlocks) CanInterruptParagraph() bool { return true }

func (c *controlBlocks) CanAcceptIndentedLine() bool { return false }

// RegisterFuncs makes goldmark print the line as it is.
func (c *controlBlocks) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(controlKind, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if line, ok := n.(*controlNode); ok && entering {
			_, _ = w.WriteString(line.words + "\n") // the writer keeps its error for Flush
		}
		return ast.WalkContinue, nil
	})
}
