// Package templates renders what a campaign says: subject, HTML and text of
// one recipient's message.
//
// The promise: [Compile] finds, before anything is sent, whatever would go
// wrong while rendering, and says where in the author's file it is. What it
// accepts renders for every recipient, in bounded time, with the recipient's
// values shown as text: never as HTML, Markdown, template code or a header.
//
// A template is Go's html/template for the HTML and text/template for
// subject, preheader and text part, less what mail does not need:
//
//	{{.first_name}}                      a merge field: a column of the audience
//	{{.unsubscribe_url}}                 the recipient's own unsubscribe link
//	{{default "friend" .first_name}}     the first text if the field is blank
//	{{upper .x}} {{lower .x}}            letters
//	{{title .x}}                         the first letter of each word as a capital
//	{{trim .x}}                          without blanks around it
//	{{if .x}}..{{else}}..{{end}}         also with, and, or, not, eq, ne, len, print
//
// Refused: range, define, template, block, variables and every other
// function. Without loops and recursion a template cannot run for ever, and
// with text as the only kind of field its types can be checked beforehand.
//
// Everything that is the same for all recipients happens once, in Compile:
//
//	source -> actions become tokens -> Markdown -> layout -> CSS inlined
//	       -> tokens become actions -> html/template -> escaped -> program
//	       \-> text part -> text/template -> program
//
// The template packages find values by reflection. A program of plain calls
// writes the same text instead, per part, where that part needs no more than
// text, conditions and the escapers of text, attributes and links. With an
// action in a style, script or srcset, or with len, print, or "or" as a value,
// the package renders the part.
//
// [Template.Begin] prepares the letter to one recipient, and a program then
// writes it straight into the message: what stands between two values was
// encoded for transport in Compile (message.Fixed). [Template.Render] gives
// the text itself, for whoever wants to look at it.
//
// Markdown, HTML and CSS tools would mangle actions ({{ in a link target is
// percent-encoded, an if around a table row is moved out of the table), so
// they see a token of letters and digits in its place, or a comment where
// text is.
package templates
