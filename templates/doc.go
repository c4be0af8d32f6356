// Package templates renders the subject, the HTML and the text part of a message
// to one recipient.
//
// The promise: [Compile] finds everything that would go wrong while rendering
// before anything is sent, and says where in the author's file it is. What it
// accepts renders for every recipient, in bounded time, with the recipient's
// values shown as text: never as HTML, Markdown, template code or a header.
//
// A template is Go's html/template for the HTML and text/template for
// subject, preheader and text part, without what mail does not need:
//
//	{{.first_name}}                      a merge field: a column of the audience
//	{{.unsubscribe_url}}                 the recipient's own unsubscribe link
//	{{default "friend" .first_name}}     the first text if the field is blank
//	{{upper .x}} {{lower .x}}            letters
//	{{title .x}}                         the first letter of each word as a capital
//	{{trim .x}}                          without the blanks around it
//	{{if .x}}..{{else}}..{{end}}         also with, and, or, not, eq, ne, len, print
//
// Refused: range, define, template, block, variables and every other
// function. Without loops and recursion a template always ends, and because
// every field is text its types can be checked beforehand.
//
// The letter of a campaign with a feed may range over .feed.items. [CheckFeed] checks that,
// and [WithFeed] puts the items into the text, once for all recipients; what Compile sees has
// no loop any more.
//
// Where a campaign counts opens and clicks ([campaign.Tracking]), links of the HTML lead
// through the web process, and a picture stands at its end; see follower. The text part is
// the same with and without.
//
// Everything that is the same for all recipients happens once, in Compile:
//
//	source -> actions become tokens -> Markdown -> layout -> CSS inlined
//	       -> tokens become actions -> html/template -> escaped -> program
//	       \-> text part -> text/template -> program
//
// The template packages find values by reflection. Where a part needs no more
// than text, conditions and the escapers of text, attributes and links, a
// program of plain calls writes the same text instead. A part that has an action
// in a style, script or srcset, or len, print, or "or" as a value, is rendered by
// its package.
//
// [Template.Begin] prepares the letter to one recipient, and a program then
// writes it straight into the message: the text between two values was encoded
// for transport in Compile (message.Fixed). [Template.Render] returns the text
// itself, for people to look at.
//
// Markdown, HTML and CSS tools would mangle actions ({{ in a link target is
// percent-encoded, an if around a table row is moved out of the table). They see
// a token of letters and digits in place of each action, or a comment where it
// stands in text.
package templates
