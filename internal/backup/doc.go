// Package backup is the file that `backup` writes and `restore` reads: what
// cannot be made again from campaign files and configuration. It knows the
// form, not where the content comes from or goes to.
//
// It keeps the promise that a file is used as a whole or not at all: a [Reader]
// ends with io.EOF only behind a trailer that agrees with everything before it,
// so that a file which was cut off, changed or written to its half is found
// out before the first of it is used. Both sides keep a line in memory, not
// the file.
//
// The file is Zstandard (read it with zstd -dc) around lines of JSON, in this
// order; suppressions come first, so that nobody on them can be mailed from
// lists and schedules that come later:
//
//	{"format":"broadside-backup","version":1,"namespace":"acme","created":"2026-10-01T07:00:00Z"}
//	{"suppression":{"address":"ada@example.org","reason":"bounce","at":1790838000123}}
//	{"suppression":{"sha256":"9f86...","reason":"imported","scope":"topic:news","at":1790838000123}}
//	{"topic":"news"}
//	{"list":{"name":"subscribers","columns":["email","first_name"]}}
//	["grace@example.net","Grace"]                      the people of that list
//	{"schedule":{...}}                                 what the scheduler keeps
//	{"file":{"key":"content.markdown","size":1234,"sha256":"..."}}
//	{"data":"IyBIZWxsbw..."}                           the file's content, base64, in pieces
//	{"end":{"suppressions":2,"topics":1,"lists":1,"people":1,"schedules":1,"sha256":"..."}}
//
// Times are Unix milliseconds. The checksum of the trailer is SHA-256 over all
// lines before it.
package backup
