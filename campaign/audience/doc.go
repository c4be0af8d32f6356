// Package audience reads the recipients of a campaign: from a file, from a
// stream, or from a named list that is kept in Redis.
//
// Its promise: nothing is misread. Every row becomes a [Row] with an address
// that can be mailed, or a [Reject] with its line and the reason, so that the
// two add up to the rows of the file. Anything that puts the whole file in doubt
// (a broken character, a NUL byte, a truncated archive, a quote that is never
// closed) is a [FileError], which says where it is, what was found and what to
// do; a campaign with such a file sends nothing.
//
// Files are read as streams: memory does not grow with the file, except for
// workbooks.
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
// because a wrongly closed quote shifts every value behind it. Empty lines, and
// lines that have only separators (spreadsheets leave them behind), do not count as
// rows. If the last values of a row are missing, they are blank.
//
// JSONL has one flat object per line. The columns are the keys of all objects, which
// is why the file is read twice. Both may be compressed with gzip or Zstandard.
//
// A workbook (.xlsx) is recognised by its content. One of its worksheets is read as a
// person sees it, and in the same way as CSV: a line is a row. The workbook is checked
// as a whole first, and kept in memory, with large parts in temporary files;
// workbook.go has its limits.
//
// # Who must not be mailed
//
// [OpenAddresses] reads the other kind of file, in which a mistake has the opposite
// effect: a row that is not understood would let a person be mailed. It takes an
// address wherever it can find one, and leaves rows without any to its caller.
package audience
