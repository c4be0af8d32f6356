package templates

import (
	"errors"
	"fmt"
	"html"
	htmltemplate "html/template"
	"maps"
	"slices"
	"strings"
	texttemplate "text/template"

	"broadside/campaign"
	"broadside/configs/strictyaml"
	"broadside/templates/message"
)

// MaxSource is how many bytes of one source are read.
const MaxSource = 1 << 20

// Limits of a template. Few servers refuse a mail of 2 MiB, but no reader wants
// one; Gmail shows the first 102 KB.
const (
	maxNesting = 100 // nested if and with
	maxOutput  = message.MaxBody

	maxProblems = 100 // how many are shown
)

// Names of functions that only our own actions call; authors cannot.
const (
	rawFunc      = "_raw"
	urlFunc      = "_url"
	urlPathFunc  = "_urlpath"
	urlQueryFunc = "_urlquery"
	oneLineFunc  = "_oneline"
)

// sources are the texts of a snapshot; absent ones are nil.
type sources struct {
	subject, preheader, body, text *source
	used                           map[string]bool
	follow                         *follower // nil: links stay as they are
}

// Fields returns the merge fields that a snapshot's templates use, sorted,
// without unsubscribe_url. Its error is Problems, as that of Compile, but an
// unknown field is not a problem here: Fields says which columns are needed.
func Fields(s campaign.Snapshot) ([]string, error) {
	src, problems := load(s, nil)
	if err := problems.err(); err != nil {
		return nil, err
	}
	delete(src.used, unsubscribeField)
	return slices.Sorted(maps.Keys(src.used)), nil
}

// load parses and checks all texts of a snapshot. If columns is nil, any field is
// allowed.
func load(s campaign.Snapshot, columns []string) (*sources, Problems) {
	return loadWith(s, columns, feedUses{body: feedFilled})
}

// loadWith is load of texts that may use a feed.
func loadWith(s campaign.Snapshot, columns []string, uses feedUses) (*sources, Problems) {
	src := &sources{used: map[string]bool{}}
	var problems Problems
	read := func(name, text string, feed feedUse) *source {
		one, ps := readSource(name, text)
		problems = append(problems, ps...)
		problems = append(problems, checkWith(one, columns, src.used, feed)...)
		problems = append(problems, oversized(one)...)
		return one
	}
	if strings.TrimSpace(s.Subject) == "" {
		problems = append(problems, Problem{File: "subject", Text: "there is no subject: write one in the campaign file"})
	}

	src.subject = read("subject", s.Subject, uses.line)
	if s.Preheader != "" {
		src.preheader = read("preheader", s.Preheader, uses.line)
	}

	src.body = read(s.BodyFile, s.Markdown+s.HTML, uses.body)
	if s.Markdown != "" {
		problems = append(problems, tooDense(src.body)...)
	}
	if s.Text != "" {
		src.text = read(s.TextFile, s.Text, uses.text)
	}

	problems = append(problems, checkLayout(s)...)
	if s.Single && src.used[unsubscribeField] {
		problems = append(problems, Problem{File: s.BodyFile, Text: "found {{.unsubscribe_url}}, expected none: a message to one address belongs to no list"})
	}
	if n := len(problems) - maxProblems; n > 0 {
		problems = append(problems[:maxProblems], Problem{File: s.BodyFile, Text: fmt.Sprintf("and %d more problems", n)})
	}

	return src, problems
}

// readSource parses a text, unless it is too large or nested too deeply.
func readSource(name, text string) (*source, Problems) {
	if len(text) > MaxSource {
		return &source{name: name}, Problems{{File: name, Text: fmt.Sprintf("%d bytes: at most %d are read; put images on a server and link to them", len(text), MaxSource)}}
	}

	s := &source{name: name, text: text, actions: scanActions(text)}
	depth := 0
	for _, a := range s.actions { // before the parser, which recurses
		depth += opened(s.text[a.start:a.end])
		if depth > maxNesting {
			return s, Problems{s.problem(a.start, fmt.Sprintf("more than %d nested if and with", maxNesting))}
		}
	}

	if p := s.parse(); p.Text != "" {
		return s, Problems{p}
	}

	return s, nil
}

// checkLayout checks that body and layout go together.
func checkLayout(s campaign.Snapshot) Problems {
	body := Problem{File: s.BodyFile}
	switch {
	case s.Markdown != "" && s.HTML != "":
		body.Text = "there is a Markdown and an HTML body: expected one"
	case strings.TrimSpace(s.Markdown+s.HTML) == "":
		body.Text = "the file is empty: write what readers should see"
	case s.Layout != LayoutConfirm && !slices.Contains(Layouts(), s.Layout):
		body.Text = fmt.Sprintf("unknown layout %q: there are %s", s.Layout, strings.Join(Layouts(), ", "))
		if near := strictyaml.Suggest(s.Layout, Layouts()); near != "" {
			body.Text = fmt.Sprintf("unknown layout %q, did you mean %s", s.Layout, near)
		}
	case s.Layout == LayoutNone && s.Markdown != "":
		body.Text = "layout none is only for HTML files: leave content.layout out, or use content.html"
	case s.Layout != LayoutNone && s.HTML != "" && wholePage.MatchString(s.HTML):
		body.Text = "this is a whole page and the layout " + s.Layout + " would be put around it: set content.layout to none, or keep only what is inside <body>"
	default:
		return nil
	}

	return Problems{body}
}

// Compile is CompileSealed for a letter that is looked at and not sent: links that are
// followed lead nowhere.
func Compile(s campaign.Snapshot) (*Template, error) { return CompileSealed(s, nil) }

// CompileSealed does everything that is the same for all recipients: it parses,
// checks, renders Markdown, lays out, inlines CSS, makes the text part, gives links
// that are followed the tokens that seal makes, and escapes. Its error is Problems:
// everything that is wrong, with places.
func CompileSealed(s campaign.Snapshot, seal Seal) (*Template, error) {
	columns := s.Columns
	if columns == nil {
		columns = []string{}
	}

	src, problems := load(s, columns)
	if err := problems.err(); err != nil {
		return nil, err
	}

	src.follow = newFollower(s, seal)
	page, err := assemble(s, src)
	if _, ok := errors.AsType[Problems](err); err != nil && !ok {
		err = Problems{{File: s.BodyFile, Text: err.Error()}} // of a tool that reads the author's page
	}
	if err != nil {
		return nil, err
	}

	own := texttemplate.FuncMap{urlFunc: wholeURL, urlPathFunc: urlPath, urlQueryFunc: urlQuery, oneLineFunc: oneLine}
	subject, err := parseFinal("subject", s.Subject, nil)
	if err != nil {
		return nil, err
	}

	text, err := parseFinal("text", page.text, own)
	if err != nil {
		return nil, err
	}

	raw := htmltemplate.FuncMap{rawFunc: func(s string) htmltemplate.HTML { return htmltemplate.HTML(s) }}
	body, err := htmltemplate.New("html").Funcs(funcs).Funcs(raw).Option("missingkey=error").Parse(page.html)
	if err != nil {
		return nil, fmt.Errorf("parse the laid-out page of %s: %w", s.BodyFile, err)
	}

	t := &Template{
		columns: slices.Clone(columns),
		follow:  src.follow,
		single:  s.Single,
		fields:  src.follow.appendFields(withUnsubscribe(columns)),
		subject: part{template: subject, name: "subject"},
		html:    part{template: body, name: "HTML"},
		text:    part{template: text, name: "text part", tidy: s.Text == ""},
		work:    workOf(append(src.follow.trees(), subject.Tree, body.Tree, text.Tree)...),
	}
	if t.work.of(usualValue) > maxWork {
		return nil, Problems{{File: s.BodyFile, Text: fmt.Sprintf("more than %d MiB of text would be handled for each recipient: remove conditions and functions", maxWork>>20)}}
	}

	if err := t.try(s, src, page); err != nil {
		return nil, err
	}

	t.subject.flat = flatten(subject.Tree, t.fields, t.subject.tidy)
	t.html.flat = flatten(body.Tree, t.fields, t.html.tidy) // escaped now, by try
	t.text.flat = flatten(text.Tree, t.fields, t.text.tidy)

	return t, nil
}

// withUnsubscribe returns the columns, and behind them the field that every letter has.
func withUnsubscribe(columns []string) []string {
	return append(slices.Clone(columns), unsubscribeField)
}

func parseFinal(name, text string, own texttemplate.FuncMap) (*texttemplate.Template, error) {
	t, err := texttemplate.New(name).Funcs(funcs).Funcs(own).Option("missingkey=error").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("parse the laid-out %s: %w", name, err)
	}
	return t, nil
}

// A page is what a snapshot has become, ready to be parsed.
type page struct {
	html, text string
	places     []place // of the tokens in html
}

// assemble does the steps that doc.go draws, up to the final parsing.
func assemble(s campaign.Snapshot, src *sources) (*page, error) {
	topic := s.TopicName
	if topic == "" {
		topic = s.Topic
	}

	ts := newTokens(s.Subject, s.Preheader, s.Markdown, s.HTML, topic, s.Postal, s.From, s.Logo)
	same := func(s string) string { return s }
	content := ts.tokenise(src.body, same)
	if s.Markdown != "" {
		var err error
		if content, err = markdown(content, ts); err != nil {
			return nil, err
		}
	}

	content, problems := ts.putItems(content)
	if err := problems.err(); err != nil {
		return nil, err
	}

	preheader := ""
	if src.preheader != nil {
		preheader = ts.tokenise(src.preheader, html.EscapeString)
	}

	full := addPreheader(content, preheader)
	if s.Layout != LayoutNone {
		unsubscribe := ""
		if !s.Single {
			link := "{{." + unsubscribeField + "}}"
			unsubscribe = ts.add(token{html: link, text: link})
		}
		var err error
		full, err = fillLayout(s.Layout, frame{
			Language: language(s), Masthead: ts.masthead(s, topic),
			Title: ts.tokenise(src.subject, html.EscapeString), Preheader: preheader, Content: content,
			Topic: ts.escapedText(topic), Postal: ts.escapedText(s.Postal), Unsubscribe: unsubscribe,
		})
		if err != nil {
			return nil, err
		}
	}

	protected, problems := protect(full, ts)
	if err := problems.err(); err != nil {
		return nil, err
	}

	inlined, doc, err := inlineCSS(protected, ts)
	if err != nil {
		return nil, err
	}

	p := &page{text: ownText(s, src, topic)}
	if s.Text == "" {
		p.text = plainText(doc, ts)
	}

	if src.follow != nil {
		inlined = src.follow.page(inlined, ts)
	}

	p.html, p.places = ts.restorePage(inlined)
	return p, nil
}

// ownText is the author's text part, with the layout's footer unless it has
// an unsubscribe link itself.
func ownText(s campaign.Snapshot, src *sources, topic string) string {
	if src.text == nil {
		return ""
	}

	text := strings.ReplaceAll(s.Text, "\r\n", "\n")
	used := map[string]bool{}
	check(src.text, nil, used)
	if used[unsubscribeField] || s.Single || s.Layout == LayoutNone || s.Layout == LayoutConfirm {
		return text
	}

	footer := "\n\n" + rule + "\nYou get this because you subscribed to " + literal(topic) + ".\nUnsubscribe <{{." + unsubscribeField + "}}>\n"
	if s.Postal != "" {
		footer += "\n" + literal(s.Postal) + "\n"
	}

	return strings.TrimRight(text, "\n") + footer
}

// try renders with all fields blank and with all of them filled. Only now does
// html/template find what it cannot escape; and both letters must show the
// unsubscribe link, unless they are single messages.
func (t *Template) try(s campaign.Snapshot, src *sources, p *page) error {
	const link = "https://unsubscribe.invalid/sample0link"
	const sampleReader = "sample0reader0token0of0the0right0length0"
	for _, value := range []string{"", "x"} {
		values := slices.Repeat([]string{value}, len(t.columns))
		var l Letter
		if err := t.Render(&l, Data{Values: values, Unsubscribe: link, Reader: sampleReader}); err != nil {
			return p.explain(s, err)
		}
		t.pageSize = max(t.pageSize, len(l.HTML))
		if strings.TrimSpace(l.Subject) == "" && value != "" {
			return Problems{{File: "subject", Text: "it renders as nothing: write a subject"}}
		}
		if s.Single {
			continue
		}
		if !showsLink(l.HTML, link) {
			return Problems{{File: s.BodyFile, Text: `no unsubscribe link for every reader: with layout none the page brings its own, as in <a href="{{.unsubscribe_url}}">Unsubscribe</a>, outside any if and with a text to click`}}
		}
		if !strings.Contains(string(l.Text), link) {
			name := s.TextFile
			if src.text == nil {
				name = s.BodyFile
			}
			return Problems{{File: name, Text: "no unsubscribe link in the text part for every reader: put {{.unsubscribe_url}} in it, outside of any if, where it is visible"}}
		}
	}

	return nil
}

// explain finds the place in the author's file that an error of html/template
// about the laid-out page refers to.
func (p *page) explain(s campaign.Snapshot, err error) error {
	var e *htmltemplate.Error
	if !errors.As(err, &e) {
		return Problems{{File: s.BodyFile, Text: err.Error()}}
	}

	offset := 0
	if e.Node != nil {
		offset = int(e.Node.Position())
	} else {
		for range e.Line {
			if i := strings.IndexByte(p.html[offset:], '\n'); i >= 0 {
				offset += i + 1
			}
		}
	}

	text := strings.ReplaceAll(e.Description, `in context {{"state"`, "here")
	for _, at := range slices.Backward(p.places) {
		if at.offset <= offset && at.token.src != nil {
			return Problems{at.token.src.problem(at.token.offset, "this action stands where a value cannot be made safe: "+text)}
		}
	}

	return Problems{{File: s.BodyFile, Text: "the HTML is broken: " + text}}
}
