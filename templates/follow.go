package templates

import (
	"html"
	"strconv"
	"strings"
	texttemplate "text/template"
	"text/template/parse"

	nethtml "golang.org/x/net/html"

	"broadside/campaign"
	linktoken "broadside/campaign/token"
)

// A Seal appends the token of a link to dst. It stands for the same link in the letters
// of all readers, as far as the link is the same.
type Seal func(dst []byte, l linktoken.Link) []byte

// MaxLinks is how many different links of a letter are followed; those behind stay as
// they are.
const MaxLinks = 250

// NoFollow is the attribute of a link that is not followed in any campaign.
const NoFollow = "data-no-track"

// Fields of followed letters, whose names no author can write by accident: the reader's
// token, and the whole URL of a link that is different for each reader.
const (
	readerField = "_reader_"
	linkField   = "_link_" // and its number
)

// A follower makes the links of a page such that clicks on them, and the opening of the
// page, can be counted. A page that is not followed never meets one.
//
// A link that is the same for all readers gets its token when the template is compiled:
// only the reader's token, which stands before it, is written for each. A link with merge
// values is rendered for each reader, and its token is made then.
type follower struct {
	tracking campaign.Tracking
	public   string // what URLs begin with
	seal     Seal
	fields   []string // what a link can be made of

	ts    *tokens
	links []followed // number n is links[n-1]
	known map[string]int
}

// A followed link is one target, however often the page links to it.
type followed struct {
	shown  string // for people: with the names of merge fields in brackets
	target string // empty: it is different for each reader
	part   *part  // that makes the target of one reader
	tree   *parse.Tree
	field  string // that has the URL of one reader
}

func newFollower(s campaign.Snapshot, seal Seal) *follower {
	if !s.Tracking.Any() {
		return nil
	}
	if seal == nil {
		seal = standIn
	}
	return &follower{
		tracking: s.Tracking, public: s.PublicURL, seal: seal, fields: withUnsubscribe(s.Columns), known: map[string]int{},
	}
}

// standIn makes tokens of the right length that open nothing, for letters that are only
// checked.
func standIn(dst []byte, l linktoken.Link) []byte {
	return append(dst, strings.Repeat("A", linktoken.LinkSize(len(l.Target)))...)
}

// A piece of a page is a token of HTML.
type piece struct {
	raw  string
	kind nethtml.TokenType
	tag  nethtml.Token // of a tag
	link int           // the number of a link that is followed; 0: it is not
}

// page returns a page with tokens, whose links are followed.
func (f *follower) page(page string, ts *tokens) string {
	f.ts = ts
	pieces := piecesOf(page)
	if f.tracking.Clicks {
		for i := range pieces {
			pieces[i].link = f.number(pieces, i)
		}
	}

	end := len(pieces)
	var out strings.Builder
	if f.tracking.Opens {
		for i, p := range pieces {
			if p.kind == nethtml.EndTagToken && p.tag.Data == "body" {
				end = i
			}
		}
	}
	for i, p := range pieces {
		if i == end {
			out.WriteString(f.picture())
		}
		switch {
		case p.link > 0:
			out.WriteString(f.anchor(p))
		case f.tracking.Clicks && isLink(p) && has(p.tag, NoFollow):
			out.WriteString(without(p.tag, NoFollow).String())
		default:
			out.WriteString(p.raw)
		}
	}
	if f.tracking.Opens && end == len(pieces) {
		out.WriteString(f.picture())
	}

	return out.String()
}

func piecesOf(page string) []piece {
	var all []piece
	z := nethtml.NewTokenizer(strings.NewReader(page))
	for {
		kind := z.Next()
		p := piece{raw: string(z.Raw()), kind: kind}
		switch kind {
		case nethtml.ErrorToken:
			return append(all, p) // what is left, if a tag does not end
		case nethtml.StartTagToken, nethtml.SelfClosingTagToken, nethtml.EndTagToken:
			p.tag = z.Token()
		}
		all = append(all, p)
	}
}

// isLink reports whether a piece begins a link.
func isLink(p piece) bool {
	opens := p.kind == nethtml.StartTagToken || p.kind == nethtml.SelfClosingTagToken
	return opens && (p.tag.Data == "a" || p.tag.Data == "area")
}

func has(tag nethtml.Token, key string) bool {
	for _, a := range tag.Attr {
		if a.Key == key {
			return true
		}
	}
	return false
}

func without(tag nethtml.Token, key string) nethtml.Token {
	var kept []nethtml.Attribute
	for _, a := range tag.Attr {
		if a.Key != key {
			kept = append(kept, a)
		}
	}
	tag.Attr = kept
	return tag
}

// hrefOf returns where a link leads, as a browser reads it: the first href counts.
func hrefOf(tag nethtml.Token) string {
	for _, a := range tag.Attr {
		if a.Key == "href" {
			return urlBlanks.Replace(strings.Trim(a.Val, " \t\r\n\f"))
		}
	}
	return ""
}

// number returns the number of the link that begins at a piece; 0 when it is not to be
// followed.
func (f *follower) number(pieces []piece, at int) int {
	p := pieces[at]
	if !isLink(p) || has(p.tag, NoFollow) {
		return 0
	}
	href := hrefOf(p.tag)
	if href == "" || p.tag.Data == "a" && saysURL(pieces[at+1:], href) {
		return 0
	}
	if n, ok := f.known[href]; ok {
		return n
	}
	if len(f.links) == MaxLinks {
		return 0
	}

	link, ok := f.follow(href)
	if !ok {
		f.known[href] = 0
		return 0
	}
	f.links = append(f.links, link)
	f.known[href] = len(f.links)
	return len(f.links)
}

// maxLinkPieces is how many tokens of HTML are looked at for the text of a link.
const maxLinkPieces = 50

// saysURL reports whether the text of a link is a web address. Readers who see one want
// to be led there, and mail programs warn of a link that leads elsewhere.
func saysURL(behind []piece, href string) bool {
	var words strings.Builder
	for _, p := range behind[:min(len(behind), maxLinkPieces)] {
		if isLink(p) || p.kind == nethtml.EndTagToken && p.tag.Data == "a" {
			break
		}
		if p.kind == nethtml.TextToken {
			words.WriteString(html.UnescapeString(p.raw))
		}
	}

	text := strings.ToLower(strings.TrimSpace(words.String()))
	for _, beginning := range []string{"http://", "https://", "www."} {
		if strings.HasPrefix(text, beginning) {
			return true
		}
	}
	return text != "" && text == bareURL(strings.ToLower(href))
}

// bareURL returns a URL without its scheme and a slash at the end.
func bareURL(url string) string {
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/")
}

// follow returns the link to a target, which may have tokens; false when it stays as it
// is.
func (f *follower) follow(href string) (followed, bool) {
	words := f.ts.match.FindAllString(href, -1)
	if words == nil {
		target := urlPath(href)
		return followed{shown: href, target: target}, linktoken.IsTarget(target)
	}

	for _, word := range words {
		if t := f.ts.get(word); t == nil || strings.Contains(t.html, unsubscribeField) {
			return followed{}, false
		}
	}

	w := textWriter{ts: f.ts}
	text := f.ts.restoreText(w.encoded(href))
	own := texttemplate.FuncMap{urlFunc: wholeURL, urlPathFunc: urlPath, urlQueryFunc: urlQuery}
	t, err := parseFinal("link", text, own)
	if err != nil {
		return followed{}, false // it is a part of what stands around it
	}
	program := flatten(t.Tree, f.fields, false)
	if program == nil {
		return followed{}, false
	}
	return followed{
		shown: Subject(f.ts.restoreText(href)), part: &part{flat: program, name: "link"}, tree: t.Tree, field: linkField + strconv.Itoa(len(f.links)+1),
	}, true
}

// anchor returns the tag of a link that is followed.
func (f *follower) anchor(p piece) string {
	l := f.links[p.link-1]
	url := f.action(l.field)
	if l.field == "" {
		sealed := f.seal(nil, linktoken.Link{Number: p.link, Of: len(f.links), Target: l.target})
		url = f.public + linktoken.ClickPath + f.action(readerField) + string(sealed)
	}

	tag := p.tag
	tag.Attr = append([]nethtml.Attribute(nil), p.tag.Attr...)
	for i := range tag.Attr {
		if tag.Attr[i].Key == "href" {
			tag.Attr[i].Val = url
			break
		}
	}
	return tag.String()
}

// picture returns the image whose request shows that the page was opened. It stands at
// the end: what stands at the beginning would be the first thing that an inbox shows.
func (f *follower) picture() string {
	src := html.EscapeString(f.public+linktoken.OpenPath) + f.action(readerField)
	return `<img src="` + src + `" width="1" height="1" alt="" style="display:block;width:1px;height:1px;border:0">`
}

// action returns a token for the action that prints a field, also inside of with.
func (f *follower) action(field string) string {
	text := "{{$." + field + "}}"
	return f.ts.add(token{html: text, text: text})
}

// trees returns what makes the links that are different for each reader.
func (f *follower) trees() (trees []*parse.Tree) {
	if f == nil {
		return nil
	}
	for _, l := range f.links {
		if l.tree != nil {
			trees = append(trees, l.tree)
		}
	}
	return trees
}

// appendFields appends the names of the fields that followed letters have, in the order of
// appendValues.
func (f *follower) appendFields(fields []string) []string {
	if f == nil {
		return fields
	}
	fields = append(fields, readerField)
	for _, l := range f.links {
		if l.field != "" {
			fields = append(fields, l.field)
		}
	}
	return fields
}

// appendValues appends the values of those fields: the reader's token, and the URLs that
// are made of the values before it.
func (f *follower) appendValues(values []string, r *Rendering, reader string) ([]string, error) {
	if f == nil {
		return values, nil
	}
	own := flatData{values: values}
	values = append(values, reader)
	for i, l := range f.links {
		if l.field == "" {
			continue
		}
		r.flat = own
		r.link = body{r, l.part}
		var err error
		if r.line, err = r.encoder.AppendText(r.line[:0], &r.link); err != nil {
			return nil, err
		}
		var url string
		r.line, url = f.url(r.line, i+1, string(r.line), reader)
		values = append(values, url)
	}
	return values, nil
}

// url returns the URL of a link that is different for each reader. What is no web address
// with the reader's values, or too long a one, stays as it is. buffer is used and returned.
func (f *follower) url(buffer []byte, number int, target, reader string) ([]byte, string) {
	if !linktoken.IsTarget(target) {
		return buffer, target
	}
	buffer = append(append(append(buffer[:0], f.public...), linktoken.ClickPath...), reader...)
	buffer = f.seal(buffer, linktoken.Link{Number: number, Of: len(f.links), Target: target})
	return buffer, string(buffer)
}

// Links returns the links of a letter that are followed, in the order of their numbers, for
// people: in place of merge values they have the names of the fields in brackets.
func Links(s campaign.Snapshot) ([]string, error) {
	t, err := Compile(s)
	if err != nil || t.follow == nil {
		return nil, err
	}
	var shown []string
	for _, l := range t.follow.links {
		shown = append(shown, l.shown)
	}
	return shown, nil
}
