// Package report is what people are told of a run: the JSON document of the
// command line, the text of `run show`, and the pages that are forwarded
// (HTML, CSV, Markdown).
//
// It promises that a report hides nothing and names no recipient. The counts are
// shown so that they can be added up, and where they do not add up the report
// says so; a share is never rounded to 0 % or 100 %; replies of servers, the
// only foreign text in it, lose whatever looks like a recipient's address.
//
// The package is pure: who reads the ledger fills a [Run], and the same Run
// always gives the same bytes.
//
//	err := report.HTML(file, october, november) // compared side by side
package report
