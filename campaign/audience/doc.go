// Package audience reads the recipients of a campaign: from a file, from a
// stream, or from a named list that is kept in Redis.
//
// Its promise: nothing is misread. Every row becomes a [Row] with an address
// that can be mailed, or a [Reject] with its line and the reason, so that the
// two add up to the rows of the file. Whatever puts the file as a whole in
// doubt (a broken character, a NUL byte, a truncated archive, a quote that is
// never closed) is a [FileError], which says where, what was found and what to
// do; a campaign with one sends nothing.
//
// Reading is streaming: memory does not grow with the file, but for workbooks.
//
//	r, err := audience.Open(ctx, audience.Source{Path: "subscribers.csv.gz"}, audience.Options{})
//	if err != nil {
//		return err // a *FileError, or the disk's error
//	}
//	defer r.Close()
//	for row := (audience.Row{}); ; {
//		switch err := r.Next(&row).(type) {
//		case nil:
//			use(row)
//		case *audience.Reject:
//			reject(err) // reading goes on
//		default:
//			return done(err) // io.EOF, or what Open may return
//		}
//	}
//
// [EncodeChunk] and [DecodeChunk] hold rows for storage, a thousand at a time
// in about twenty bytes each; [Seen] finds duplicates; [Lists] keeps named
// lists.
//
// # Files
//
// CSV is RFC 4180 with comma, semicolon or tab, as the header line shows. The
// header names the merge fields: "First Name" becomes first_name, and the
// column of the address is always the field email. Quotes are taken strictly,
// because a wrongly closed quote shifts every value behind it. Empty lines,
// and lines of separators alone (spreadsheets leave them behind), are no rows.
//
// Missing last values of a row are blank.
//
// JSONL has one flat object on a line; the columns are the keys of all of them,
// which is why it is read twice. Both may be compressed with gzip or Zstandard.
//
// A workbook (.xlsx) is known by its content. One of its worksheets is read, as a person
// sees it, and as CSV would be: lines are rows. It is checked as a whole first, and kept
// in memory, large parts in temporary files; see workbook.go for its limits.
//
// # Who must not be mailed
//
// [OpenAddresses] reads the other kind of file, in which a mistake has the opposite
// effect: a row that is not understood would let somebody be mailed. It takes an
// address wherever one can be found, and gives the rows without any to its caller.
package audience
