// Package backup writes the file of `backup` and reads it for `restore`: what an
// [Installation] has that cannot be made again from campaign files and
// configuration. [Writer] and [Reader] know the form of the file alone.
//
// It keeps the promise that a file is used as a whole or not at all: a [Reader]
// ends with io.EOF only behind a trailer that agrees with everything before it,
// so that a file which was cut off, changed or half written is found out before the
// first of it is used. Restoring changes and removes nothing that is there. Both
// sides keep a line in memory, not the file.
//
// The file is Zstandard (read it with zstd -dc) around lines of JSON, in this
// order. Suppressions come first, so that the lists and schedules after them cannot
// mail a suppressed address:
//
//	{"format":"broadside-backup","version":2,"namespace":"acme","created":"2026-10-01T07:00:00Z"}
//	{"suppression":{"address":"ada@example.org","reason":"bounce","at":1790838000123}}
//	{"suppression":{"sha256":"9f86...","reason":"imported","scope":"topic:news","at":1790838000123}}
//	{"topic":"news"}
//	{"text":{"version":"5b1c...","words":"..."}}       what readers agreed to
//	{"proof":{"sha256":"9f86...","list":"subscribers","topic":"news","text":"5b1c...",...}}
//	{"list":{"name":"subscribers","columns":["email","first_name"]}}
//	["grace@example.net","Grace"]                      the recipients of that list
//	{"schedule":{...}}                                 what the scheduler keeps
//	{"file":{"key":"content.markdown","size":1234,"sha256":"..."}}
//	{"data":"IyBIZWxsbw..."}                           the file's content, base64, in pieces
//	{"end":{"suppressions":2,"topics":1,"lists":1,"people":1,"schedules":1,"proofs":1,"sha256":"..."}}
//
// Times are Unix milliseconds, those of proofs as `person export` has them. Version 1 had no
// texts and proofs. The checksum of the trailer is SHA-256 over all
// lines before it.
package backup
