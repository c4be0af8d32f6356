package audience_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"broadside/campaign/address"
	"broadside/campaign/audience"

	"github.com/google/go-cmp/cmp"
)

// checkRow holds what every row must be, whatever the file has.
func checkRow(t *testing.T, columns []string, row *audience.Row, before int) {
	t.Helper()
	if len(row.Values) != len(columns) {
		t.Fatalf("%d values for %d columns", len(row.Values), len(columns))
	}
	if row.Line <= before {
		t.Fatalf("line %d after line %d", row.Line, before)
	}
	if a, err := address.Parse(row.Address.String()); err != nil || a != row.Address {
		t.Fatalf("address %q: %v", row.Address, err)
	}

	for i, c := range columns {
		if c == "email" && row.Values[i] != row.Address.String() {
			t.Fatalf("field email is %q, address %q", row.Values[i], row.Address)
		}
	}
}

// readAll reads a source whose content may be anything, and checks each row.
func readAll(t *testing.T, src audience.Source, opts audience.Options) (columns []string, rows []audience.Row, rejects int, err error) {
	r, err := audience.Open(t.Context(), src, opts)
	if err != nil {
		checkFileError(t, err)
		return nil, nil, 0, err
	}
	defer r.Close()
	for before := 0; ; {
		var row audience.Row
		err := r.Next(&row)
		var reject *audience.Reject
		switch {
		case err == io.EOF:
			return r.Columns(), rows, rejects, nil
		case errors.As(err, &reject):
			rejects++
			continue
		case err != nil:
			checkFileError(t, err)
			return r.Columns(), rows, rejects, err
		}

		checkRow(t, r.Columns(), &row, before)
		before = row.Line
		rows = append(rows, row)
	}
}

func checkFileError(t *testing.T, err error) {
	t.Helper()
	var file *audience.FileError
	if !errors.As(err, &file) || file.What == "" {
		t.Fatalf("%v is no *FileError that says what is wrong", err)
	}
}

// What is read must, written as CSV, read the same again. And where
// encoding/csv, the strict reader, accepts a file, ours must agree with it.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{
		"email,n\na@x.example,1\n", "\ufeffE-Mail;Name\r\na@x.example;\"x\r\n\"\"y\"\r\n", "email\tn\na@x.example\t\"\n", "sep=;\nemail;n\na@b.cd;1", "email,n\na@x.example,\"a\"b\n,\n\xff",
		"email,n\n\"a@x.example\",\"\"\n", "email\n\n\n a@BÜCHER.example \n", string(people(5)),
	} {
		f.Add(s, "")
	}

	f.Add("email,n\na@x.example,\xfc\x80\n", "windows-1252")
	f.Add("e\x00m\x00a\x00i\x00l\x00\n\x00", "utf-16le")
	f.Fuzz(func(t *testing.T, s, encoding string) {
		columns, rows, rejects, err := readAll(t, stdin(s), audience.Options{Encoding: encoding})
		if err != nil || len(rows) > audience.ChunkSize {
			return
		}

		var out bytes.Buffer
		w := csv.NewWriter(&out)
		w.Write(columns)
		for _, row := range rows {
			w.Write(row.Values)
		}

		w.Flush()
		again, rowsAgain, rejectsAgain, err := readAll(t, stdin(out.String()), audience.Options{Email: "email"})
		if err != nil || rejectsAgain != 0 {
			t.Fatalf("written again: %v, %d rejects\n%s", err, rejectsAgain, out.String())
		}

		if diff := cmp.Diff(again, columns); diff != "" {
			t.Fatalf("columns written again (-got +want):\n%s", diff)
		}

		for i := range rows {
			rows[i].Line = 0
			rowsAgain[i].Line = 0
			for j, v := range rows[i].Values { // CRLF becomes LF, as in any CSV
				rows[i].Values[j] = strings.ReplaceAll(v, "\r\n", "\n")
			}
		}

		if diff := cmp.Diff(rowsAgain, rows); diff != "" {
			t.Fatalf("rows written again (-got +want):\n%s", diff)
		}
		if rejects == 0 && encoding == "" {
			agreeWithEncodingCSV(t, s, rows)
		}
	})
}

// agreeWithEncodingCSV compares with the standard library's strict reader, for
// files with commas that both accept.
func agreeWithEncodingCSV(t *testing.T, s string, rows []audience.Row) {
	t.Helper()
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(s, "\ufeff")))
	all, err := r.ReadAll()
	if err != nil || len(all) == 0 || strings.ContainsAny(s, "{[;\t") {
		return
	}

	n := 0
	for _, record := range all[1:] {
		if strings.TrimSpace(strings.Join(record, "")) != "" {
			n++
		}
	}

	if n != len(rows) {
		t.Fatalf("%d rows, encoding/csv has %d", len(rows), n)
	}
}

// Where a line is a flat object to encoding/json, it must be the same to us.
func FuzzJSONL(f *testing.F) {
	for _, s := range []string{
		`{"email":"b@x.example","n":"1"}`, `{"email":"b@x.example","n":1.5e-3}`, `{"n":null,"email":"\u0062@x.example"}`, `{"email":"b@x.example","n":[1,"]"]}`,
		`{"email":"b@x.example","n":"\ud83d\ude00\n"}`, `{"email":"b@x.example",}`, `{"email":"b@x.example"}}`, ` { "email" : "b@x.example" , "n" : true } `, `{"email":"b@x.example","n":"` + "\x01" + `"}`,
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		if strings.ContainsAny(s, "\r\n\x00") || strings.TrimSpace(s) == "" {
			return
		}

		_, rows, rejects, err := readAll(t, stdin("{\"email\":\"a@x.example\",\"n\":0}\n"+s), audience.Options{})
		if err != nil {
			return
		}

		if len(rows)+rejects != 2 {
			t.Fatalf("%d rows and %d rejects of two lines", len(rows), rejects)
		}

		want, ok := flatObject(s)
		if got := len(rows) == 2; got && !ok || !got && ok && validAddress(want["email"]) {
			t.Fatalf("accepted: %v; encoding/json: %v %v", got, ok, want)
		}
		if len(rows) == 2 && rows[1].Values[1] != want["n"] {
			t.Fatalf("n is %q, encoding/json has %q", rows[1].Values[1], want["n"])
		}
	})
}

func validAddress(s string) bool {
	_, err := address.Parse(s)
	return err == nil
}

// flatObject reads an object of email and n with encoding/json.
func flatObject(s string) (map[string]string, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal([]byte(s), &members) != nil || members == nil {
		return nil, false
	}
	if strings.Count(s, ":") > len(members) && twice(s) {
		return nil, false
	}

	out := map[string]string{}
	for k, raw := range members {
		text := string(raw)
		switch {
		case k != "email" && k != "n", text[0] == '{', text[0] == '[':
			return nil, false
		case text[0] == '"':
			var v string
			if json.Unmarshal(raw, &v) != nil {
				return nil, false
			}
			text = v
		case text == "null":
			text = ""
		}

		out[k] = text
	}

	return out, true
}

// twice reports whether an object has a key twice.
func twice(s string) bool {
	d := json.NewDecoder(strings.NewReader(s))
	seen := map[string]bool{}
	d.Token()
	for d.More() {
		k, _ := d.Token()
		key, _ := k.(string)
		if seen[key] {
			return true
		}
		seen[key] = true
		var skip json.RawMessage
		if d.Decode(&skip) != nil {
			return false
		}
	}

	return false
}

// A chunk that decodes holds rows that encode and decode to the same; what
// does not is an error, never a panic.
func FuzzDecodeChunk(f *testing.F) {
	rows := rowsOf(f, string(people(30)))
	f.Add(audience.EncodeChunk(nil, rows), false)
	f.Add([]byte("\x01\x01\x01\x02\x01a\x03b.c\x01"), true)
	f.Add([]byte("\x02\x01\x01\x02\x01a\x03b.c\x01\x01\x04\x11"), true)
	f.Add([]byte("\x01\x02\x01\x02\x02\x01\x02aab\x03\x03b.cb.c\x00\x01\x01xy"), true)
	f.Fuzz(func(t *testing.T, data []byte, pack bool) {
		if pack {
			data = []byte(packZstd(t, data))
		}

		c, err := audience.DecodeChunk(data)
		if err != nil {
			return
		}

		var rows []audience.Row
		for i := range c.Len() {
			rows = append(rows, c.Row(i))
			if !validAddress(c.Row(i).Address.String()) {
				t.Fatalf("row %d has no address: %q", i, c.Row(i).Address)
			}
		}

		if diff := cmp.Diff(decoded(t, audience.EncodeChunk(nil, rows)), rows); diff != "" {
			t.Fatalf("encoded again (-got +want):\n%s", diff)
		}
	})
}

// FuzzWorkbook has the fuzzer write a worksheet, its texts and its styles, since it
// would hardly ever get past the checksums of an archive.
func FuzzWorkbook(f *testing.F) {
	book := workbookOf(f, cells{{"email", "name", "n"}, {"a@x.example", "Ann", 1.5}, {"no address", "", true}}, nil)
	parts := map[string]string{}
	z, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		f.Fatal(err)
	}

	for _, part := range z.File {
		parts[part.Name] = string(partOf(f, part))
	}

	const texts, styles = "xl/sharedStrings.xml", "xl/styles.xml"
	f.Add(`<worksheet><sheetData><row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row><row r="2"><c r="A2" t="s"><v>2</v></c><c r="B2" s="0"><v>0.25</v></c></row></sheetData></worksheet>`,
		`<sst><si><t>email</t></si><si><t>share</t></si><si><t>a@x.example</t></si></sst>`,
		`<styleSheet><cellXfs><xf numFmtId="9"/></cellXfs></styleSheet>`)
	f.Add(`<worksheet><sheetData><row><c t="inlineStr"><is><t>email</t></is></c></row><row r="7" hidden="1"><c t="str"><v>a@x.example</v></c></row></sheetData></worksheet>`, "", "")
	f.Add(`<worksheet><sheetData><row><c t="s"><v>0</v></c></row><row><c s="1"><v>45000.5</v></c><c t="d"><v>2026-10-01T09:00:00Z</v></c></row></sheetData></worksheet>`,
		`<sst><si><r><t>ema</t></r><r><t>il</t></r></si></sst>`,
		`<styleSheet><numFmts><numFmt numFmtId="170" formatCode="[$-407]dddd, d. mmmm yyyy;@"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="170"/></cellXfs></styleSheet>`)
	f.Fuzz(func(t *testing.T, sheet, sharedTexts, styleSheet string) {
		if len(sheet)+len(sharedTexts)+len(styleSheet) > 64<<10 {
			return // too long to try many
		}

		parts := maps.Clone(parts)
		parts[sheetPart] = sheet
		parts[texts] = sharedTexts
		parts[styles] = styleSheet
		data := zipOf(t, parts)
		began := time.Now()
		got, err := read(t.Context(), piped(data), audience.Options{})
		if err != nil {
			if _, ok := errors.AsType[*audience.FileError](err); !ok {
				t.Errorf("%v is no error of the file", err)
			}
		}

		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%v for %d bytes", took, len(data))
		}

		for _, row := range got.Rows {
			if strings.ContainsRune(row, 0) || !utf8.ValidString(row) {
				t.Errorf("a row that is no text: %q", row)
			}
		}

		if _, err := addressesOf(t, piped(data), audience.Options{}); err != nil {
			if _, ok := errors.AsType[*audience.FileError](err); !ok {
				t.Errorf("addresses: %v is no error of the file", err)
			}
		}
	})
}
