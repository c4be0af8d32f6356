package templates

import (
	"slices"
	"strings"
	"text/template/parse"

	"broadside/campaign"
	"broadside/configs/strictyaml"
)

// A campaign with a feed has .feed.items in its templates. They are the same for all
// recipients, so they are put into the texts before anything else happens (see WithFeed),
// and what is stored, compiled and sent is a template without loops, like any other. Only
// the author's own texts are checked for them.

// MaxFeedItems is how many items of a feed a letter has at most.
const MaxFeedItems = 100

// feedField is the field that has the items of a feed.
const feedField = "feed"

// itemFields are the fields of an item.
var itemFields = []string{"title", "link", "published", "summary", "content"}

// A feedUse says what a source may use of a feed.
type feedUse int

const (
	noFeed     feedUse = iota // .feed is a field like any other
	feedFilled                // the items are in it already, and so may their HTML be
	feedText                  // all but the HTML of items
	feedHTML                  // all
)

// has reports whether there is a feed to use.
func (u feedUse) has() bool { return u == feedText || u == feedHTML }

// feedUses are those of the texts of a snapshot: the subject and the preheader, the body,
// and the text part.
type feedUses struct{ line, body, text feedUse }

// CheckFeed checks the texts of a campaign with a feed, before its items are put in. Its
// error is Problems, as that of Compile.
func CheckFeed(s campaign.Snapshot) error {
	src, problems := loadWith(s, s.Columns, feedUses{line: feedText, body: feedHTML, text: feedHTML})
	if len(problems) == 0 && !src.used[feedField] {
		problems = Problems{{File: s.BodyFile, Text: "the campaign has a feed (content.feed) that no text shows: write {{range .feed.items}} ... {{end}}"}}
	}
	return problems.err()
}

// loop checks a range, which goes over the items of the feed alone.
func (c *checker) loop(n *parse.RangeNode, dot kind) {
	switch {
	case !c.feed.has():
		c.refuse(n, "range is refused: a field is one text, and a loop may never end")
		return
	case c.inRange:
		c.refuse(n, "range inside range is refused: write it once")
		return
	case len(n.Pipe.Decl) > 0:
		c.refuse(n, "variables are refused: write {{range .feed.items}}, and .title for a field of an item")
		return
	}
	if k := c.pipe(n.Pipe, dot); k != kindItems {
		if k != kindBad {
			c.refuse(n, "range of %s: it goes over the items of the feed alone, as in {{range .feed.items}}", k)
		}
		return
	}

	c.inRange = true
	c.block(n.List, kindItem)
	c.inRange = false
	c.block(n.ElseList, dot)
}

// feedField checks a field that begins with .feed.
func (c *checker) feedField(n parse.Node, ident []string) kind {
	c.used[feedField] = true
	if len(ident) == 2 && ident[1] == "items" {
		return kindItems
	}
	return c.refuse(n, "%s: found another field than .feed.items, which are the items of the feed", n)
}

// itemField checks the name of a field of an item.
func (c *checker) itemField(n parse.Node, ident []string) kind {
	name := ident[0]
	switch {
	case name == feedField && len(ident) == 2:
		return c.refuse(n, "%s inside range: write $%s", n, n)
	case len(ident) > 1:
		return c.refuse(n, "%s: .%s is one text and has no field .%s", n, name, ident[1])
	case name == "content" && c.feed != feedHTML:
		return c.refuse(n, ".content is HTML, which cannot stand here: use .summary")
	case name == "content":
		return kindHTML
	case slices.Contains(itemFields, name):
		return kindText
	}

	if near := strictyaml.Suggest(name, itemFields); near != "" {
		return c.refuse(n, "an item of the feed has no .%s, did you mean .%s", name, near)
	}
	if name == unsubscribeField || slices.Contains(c.columns, name) {
		return c.refuse(n, "an item of the feed has no .%s: write $.%s for the recipient's own field", name, name)
	}
	return c.refuse(n, "an item of the feed has no .%s: there are %s", name, strings.Join(itemFields, ", "))
}

// numberedItem checks a field of one item, (index .feed.items 0).title.
func (c *checker) numberedItem(n *parse.ChainNode, dot kind) kind {
	args := indexArgs(n)
	if args == nil {
		return c.refuse(n, "%s cannot be used here: expected a field, a text in quotes, a function in parentheses, or (index .feed.items 0).title", n)
	}
	if k := c.value(args[0], dot); k != kindItems {
		return c.refuse(n, "index of %s: expected .feed.items", k)
	}
	number, ok := args[1].(*parse.NumberNode)
	if !ok || !number.IsInt || number.Int64 < 0 || number.Int64 >= MaxFeedItems {
		return c.refuse(n, "item %s of the feed: expected a number from 0, the newest one, to %d", args[1], MaxFeedItems-1)
	}
	return c.itemField(n, n.Field)
}

// indexArgs returns the two arguments of (index A B).field; nil when the node is something
// else.
func indexArgs(n *parse.ChainNode) []parse.Node {
	pipe, ok := n.Node.(*parse.PipeNode)
	if !ok || len(pipe.Decl) > 0 || len(pipe.Cmds) != 1 || len(pipe.Cmds[0].Args) != 3 || called(pipe.Cmds[0]) != "index" {
		return nil
	}
	return pipe.Cmds[0].Args[1:]
}
