package suppression

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"broadside/campaign/audience"
)

// ImportFormat merges a file that a service has exported into the list, as Import does
// with files of any form: of "ses" and "postmark" the JSON of their API, of "mailgun" and
// "sendgrid" also CSV. Everything is suppressed for all topics. A record without an
// address is a Reject; so is a SendGrid block, which is about a message and not about the
// address.
//
// A file that is broken as a whole gives an *audience.FileError; what was read before it
// may have been added.
func (s *Store) ImportFormat(ctx context.Context, service string, in io.Reader, opts audience.Options) (Imported, error) {
	f, ok := formats[service]
	if !ok {
		return Imported{}, fmt.Errorf("import suppressions: no format %q, expected one of %s", service, strings.Join(Formats(), ", "))
	}

	im := newImporter(s.now())
	text := bufio.NewReader(in)
	next, err := openRecords(ctx, text, &f, opts)
	if err != nil {
		return im.result, err
	}
	return s.merge(ctx, im, func() ([]Entry, error) {
		r, err := next()
		if err != nil {
			return nil, err
		}
		return im.entries(&f, service, r), nil
	})
}

// openRecords returns how to read one record after another, of JSON or CSV; io.EOF comes
// after the last.
func openRecords(ctx context.Context, in *bufio.Reader, f *format, opts audience.Options) (func() (*record, error), error) {
	start, _ := in.Peek(512) // an error comes again when it is read
	start = bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\ufeff")), " \t\r\n")
	if len(start) > 0 && (start[0] == '{' || start[0] == '[') {
		return newJSONRecords(in, f.address, opts.File).next, nil
	}

	opts.Email = f.address
	rows, err := audience.OpenAddresses(ctx, audience.Source{Path: "-", Reader: in}, opts)
	if err != nil {
		return nil, err
	}
	return func() (*record, error) {
		var row audience.AddressRow
		if err := rows.Next(&row); err != nil {
			return nil, errors.Join(err, rows.Close())
		}

		cells := map[string]string{}
		for _, name := range rows.Header() {
			name = strings.ToLower(strings.TrimSpace(name))
			cells[name] = row.Cell(name)
		}
		if cells[f.address] == "" { // a row that does not fit the header still has its people
			for _, a := range row.Addresses() {
				cells[f.address] += a.String() + "\n"
			}
		}
		return &record{line: row.Line, text: row.Excerpt(), cells: cells}, nil
	}, nil
}
