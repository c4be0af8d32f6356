package audience_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"broadside/campaign/audience"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
)

// cells are the values of a worksheet by row.
type cells [][]any

// workbookOf returns a workbook with the rows in its first worksheet; change may do
// more to it.
func workbookOf(t testing.TB, rows cells, change func(f *excelize.File)) []byte {
	t.Helper()
	f := excelize.NewFile()
	defer f.Close()
	fillSheet(t, f, "Sheet1", rows)
	if change != nil {
		change(f)
	}

	var out bytes.Buffer
	if err := f.Write(&out); err != nil {
		t.Fatal(err)
	}

	return out.Bytes()
}

func fillSheet(t testing.TB, f *excelize.File, sheet string, rows cells) {
	t.Helper()
	for i, row := range rows {
		if err := f.SetSheetRow(sheet, fmt.Sprintf("A%d", i+1), &row); err != nil {
			t.Fatal(err)
		}
	}
}

func piped(data []byte) audience.Source {
	return audience.Source{Path: "-", Reader: bytes.NewReader(data)}
}

func TestReadWorkbook(t *testing.T) {
	t.Parallel()
	people := cells{{"E-Mail", "First Name"}, {"a@x.example", "Ann"}}
	tests := []struct {
		name   string
		rows   cells
		change func(f *excelize.File)
		opts   audience.Options
		want   result
	}{
		{"plain", people, nil, audience.Options{}, result{
			Columns: []string{"email", "first_name"}, Rows: []string{"2 a@x.example|Ann"},
		}},
		{"blank rows, missing and blank last cells", cells{{}, {"email", "name", "city"}, {"a@x.example"}, {}, {"b@x.example", "Bea", " ", "", " "}, {"", " "}}, nil, audience.Options{}, result{
			Columns: []string{"email", "name", "city"}, Rows: []string{"3 a@x.example||", "5 b@x.example|Bea|"},
		}},
		{"rejects", cells{{"email", "name"}, {"a@x.example", "Ann"}, {"no address", "Bob"}, {"c@x.example", "Cy", "more"}, {nil, "Dan"}, {"e@x.example\nBcc: f@x.example"}}, nil, audience.Options{}, result{
			Columns: []string{"email", "name"}, Rows: []string{"2 a@x.example|Ann"},
			Rejects: []string{`3 no @: no address`, "4 3 columns instead of 2: c@x.example, Cy, more", "5 no address: ", "6 control character: e@x.example\nBcc: f@x.example"},
		}},
		{"as displayed", cells{{"email", "since", "share", "price", "points", "member", "id", "exact", "text"}, {"a@x.example", nil, 0.25, 1234.5, 7, true, 123456789012, 0.1, "00123"}}, func(f *excelize.File) {
			set(t, f, "B2", time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), 14)
			style(t, f, "C2", &excelize.Style{NumFmt: 9})
			style(t, f, "D2", &excelize.Style{CustomNumFmt: text("#,##0.00 [$€-407]")})
			style(t, f, "E2", &excelize.Style{CustomNumFmt: text("000")})
		}, audience.Options{}, result{
			Columns: []string{"email", "since", "share", "price", "points", "member", "id", "exact", "text"},
			Rows:    []string{"2 a@x.example|2026-10-01|25%|1,234.50 €|007|TRUE|123456789012|0.1|00123"},
		}},
		{"a date as its own format shows it", cells{{"email", "since"}, {"a@x.example"}}, func(f *excelize.File) {
			if err := f.SetCellValue("Sheet1", "B2", time.Date(2026, 10, 1, 9, 5, 0, 0, time.UTC)); err != nil {
				t.Fatal(err)
			}
			style(t, f, "B2", &excelize.Style{CustomNumFmt: text("d mmmm yyyy")})
		}, audience.Options{}, result{Columns: []string{"email", "since"}, Rows: []string{"2 a@x.example|1 October 2026"}}},
		{"rich text, markup and emoji", cells{{"email", "name"}, {"a@x.example"}, {"b@x.example", "Tom & <Jerry> 🎉"}}, func(f *excelize.File) {
			if err := f.SetCellRichText("Sheet1", "B2", []excelize.RichTextRun{{Text: "An"}, {Text: "n", Font: &excelize.Font{Bold: true}}}); err != nil {
				t.Fatal(err)
			}
		}, audience.Options{}, result{Columns: []string{"email", "name"}, Rows: []string{"2 a@x.example|Ann", "3 b@x.example|Tom & <Jerry> 🎉"}}},
		{"the first worksheet that is shown", people, func(f *excelize.File) {
			addSheet(t, f, "People", cells{{"email"}, {"shown@x.example"}})
			f.SetActiveSheet(1)
			if err := f.SetSheetVisible("Sheet1", false); err != nil {
				t.Fatal(err)
			}
		}, audience.Options{}, result{Columns: []string{"email"}, Rows: []string{"2 shown@x.example"}}},
		{"a named worksheet", people, func(f *excelize.File) {
			addSheet(t, f, "Größen & Ärger", cells{{"email"}, {"named@x.example"}})
		}, audience.Options{Sheet: "größen & ärger"}, result{Columns: []string{"email"}, Rows: []string{"2 named@x.example"}}},
		{"columns by name", people, nil, audience.Options{Columns: map[string]string{"vorname": "First Name"}, Encoding: "windows-1252"}, result{
			Columns: []string{"email", "vorname"}, Rows: []string{"2 a@x.example|Ann"},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t.Context(), piped(workbookOf(t, tt.rows, tt.change)), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func text(s string) *string { return &s }

func style(t testing.TB, f *excelize.File, cell string, s *excelize.Style) {
	t.Helper()
	id, err := f.NewStyle(s)
	if err == nil {
		err = f.SetCellStyle("Sheet1", cell, cell, id)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func set(t testing.TB, f *excelize.File, cell string, value any, format int) {
	t.Helper()
	if err := f.SetCellValue("Sheet1", cell, value); err != nil {
		t.Fatal(err)
	}
	style(t, f, cell, &excelize.Style{NumFmt: format})
}

func addSheet(t testing.TB, f *excelize.File, name string, rows cells) {
	t.Helper()
	if _, err := f.NewSheet(name); err != nil {
		t.Fatal(err)
	}
	fillSheet(t, f, name, rows)
}

// A workbook is one by its content, from wherever it comes.
func TestReadWorkbookFromEverywhere(t *testing.T) {
	t.Parallel()
	book := workbookOf(t, cells{{"email"}, {"a@x.example"}}, nil)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(book); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}

	want := result{Columns: []string{"email"}, Rows: []string{"2 a@x.example"}}
	for name, data := range map[string][]byte{"people.xlsx": book, "PEOPLE.XLSX": book, "people": book, "people.csv": book, "people.xlsx.gz": packed.Bytes()} {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read(t.Context(), audience.Source{Path: file}, audience.Options{})
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

// rezip returns a workbook with changed parts; a part that becomes nil is left out.
func rezip(t testing.TB, book []byte, change map[string]func(string) []byte) []byte {
	t.Helper()
	in, err := zip.NewReader(bytes.NewReader(book), int64(len(book)))
	if err != nil {
		t.Fatal(err)
	}

	var out bytes.Buffer
	w := zip.NewWriter(&out)
	changed := 0
	for _, f := range in.File {
		data := partOf(t, f)
		if do, ok := change[f.Name]; ok {
			changed++
			data = do(string(data))
		}

		if data == nil {
			continue
		}
		part, err := w.Create(f.Name)
		if err == nil {
			_, err = part.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	if err := w.Close(); err != nil || changed != len(change) {
		t.Fatalf("%v; %d parts changed, want %d", err, changed, len(change))
	}

	return out.Bytes()
}

func partOf(t testing.TB, f *zip.File) []byte {
	t.Helper()
	r, err := f.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}

	return data
}

const sheetPart = "xl/worksheets/sheet1.xml"

// sheetWith replaces the rows of a worksheet.
func sheetWith(rows string) map[string]func(string) []byte {
	return map[string]func(string) []byte{sheetPart: func(xml string) []byte {
		before, _, _ := strings.Cut(xml, "<sheetData")
		return []byte(before + "<sheetData>" + rows + "</sheetData></worksheet>")
	}}
}

func inline(ref, text string) string {
	return `<c r="` + ref + `" t="inlineStr"><is><t>` + text + `</t></is></c>`
}

// Nothing of a workbook that is damaged, or made to harm, is read as if it were whole.
func TestWorkbookRefused(t *testing.T) {
	t.Parallel()
	good := workbookOf(t, cells{{"email", "name"}, {"a@x.example", "Ann"}, {"b@x.example", "Bea"}}, nil)
	header := `<row r="1">` + inline("A1", "email") + `</row>`
	person := `<row r="2">` + inline("A2", "a@x.example") + `</row>`
	flipped := bytes.Clone(good)
	zipped, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
	if err != nil {
		t.Fatal(err)
	}

	for _, f := range zipped.File {
		if at, err := f.DataOffset(); err == nil && f.Name == sheetPart {
			flipped[at+int64(f.CompressedSize64)/2] ^= 0x10
		}
	}

	tests := []struct {
		name string
		book []byte
		opts audience.Options
		want string
	}{
		{"a zip archive", zipOf(t, map[string]string{"letter.txt": "hello"}), audience.Options{}, "a zip archive that is not an .xlsx workbook; save a spreadsheet as .xlsx or CSV, unpack an archive"},
		{"an .xls", append([]byte{0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1}, make([]byte, 512)...), audience.Options{}, "an .xls file, or a workbook with a password; save it as .xlsx without a password, or as CSV"},
		{"cut off", good[:len(good)/2], audience.Options{}, "a damaged workbook: the zip archive: zip: not a valid zip file"},
		{"a flipped bit", flipped, audience.Options{}, "a damaged workbook: xl/worksheets/sheet1.xml"},
		{"no such worksheet", good, audience.Options{Sheet: "People"}, `no worksheet "People"; there are "Sheet1"`},
		{"only hidden worksheets", rezip(t, good, map[string]func(string) []byte{"xl/workbook.xml": func(s string) []byte {
			return []byte(strings.Replace(s, `<sheet name`, `<sheet state="hidden" name`, 1))
		}}), audience.Options{}, `all worksheets are hidden: "Sheet1"; name one with sheet: NAME`},
		{"empty", rezip(t, good, sheetWith("")), audience.Options{}, `the worksheet "Sheet1" is empty`},
		{"no address", rezip(t, good, sheetWith(header)), audience.Options{}, "no rows"},
		{"no header", rezip(t, good, sheetWith(strings.ReplaceAll(strings.ReplaceAll(person, `r="2"`, `r="1"`), "A2", "A1"))), audience.Options{}, "in:1: the first line has an address where the names of the columns should be"},
		{"a sheet that is cut off", rezip(t, good, map[string]func(string) []byte{sheetPart: func(s string) []byte {
			before, _, _ := strings.Cut(s, `<row r="3"`)
			return []byte(before)
		}}), audience.Options{}, "a damaged workbook: xl/worksheets/sheet1.xml: XML syntax error"},
		{"a missing sheet", rezip(t, good, map[string]func(string) []byte{sheetPart: func(string) []byte { return nil }}), audience.Options{}, "a damaged workbook: xl/worksheets/sheet1.xml: it is missing"},
		{"missing texts", rezip(t, good, map[string]func(string) []byte{"xl/sharedStrings.xml": func(string) []byte { return nil }}), audience.Options{}, "row 1 has a text that is not in the workbook"},
		{"a text too far", rezip(t, good, sheetWith(header+`<row r="2"><c r="A2" t="s"><v>6</v></c></row>`)), audience.Options{}, "row 2 has a text that is not in the workbook"},
		{"cells out of order", rezip(t, good, sheetWith(`<row r="1">`+inline("B1", "email")+inline("A1", "name")+`</row>`)), audience.Options{}, `cell "A1" follows column 2 of row 1`},
		{"a cell of another row", rezip(t, good, sheetWith(`<row r="1">`+inline("A2", "email")+`</row>`)), audience.Options{}, `cell "A2" follows column 0 of row 1`},
		{"rows out of order", rezip(t, good, sheetWith(`<row r="2"></row>`+header)), audience.Options{}, `row "1" follows row 2`},
		{"more rows than there are", rezip(t, good, sheetWith(header+`<row r="1048577">`+inline("A1048577", "a@x.example")+`</row>`)), audience.Options{}, "row 1048577, there are at most 1048576"},
		{"a cell beyond the last column", rezip(t, good, sheetWith(`<row r="1">`+inline("XFE1", "email")+`</row>`)), audience.Options{}, `cell "XFE1" follows`},
		{"too many columns", rezip(t, good, sheetWith(`<row r="1">`+inline("A1", "email")+inline("IW1", "x")+`</row>`)), audience.Options{}, "257 columns, at most 256 are read"},
		{"a NUL", rezip(t, good, sheetWith(header+`<row r="2">`+inline("A2", "a@x.example_x0000_")+`</row>`)), audience.Options{}, "in:2: a NUL character in a cell"},
		{"rows that nobody sees", rezip(t, good, sheetWith(header+person+`<row r="3" hidden="1">`+inline("A3", "b@x.example")+`</row>`)), audience.Options{}, `in:3: 1 rows of the worksheet "Sheet1" are hidden`},
		{"a document type", rezip(t, good, map[string]func(string) []byte{sheetPart: func(s string) []byte {
			return []byte(strings.Replace(s, "<worksheet", `<!DOCTYPE x [<!ENTITY a "aaaa">]><worksheet`, 1))
		}}), audience.Options{}, "it has a document type, as no workbook does"},
		{"elements without an end", rezip(t, good, sheetWith(strings.Repeat("<a>", 100))), audience.Options{}, "more than 64 nested elements"},
		{"a text without an end", rezip(t, good, sheetWith(header+`<row r="2">`+inline("A2", strings.Repeat("a", 2<<20))+`</row>`)), audience.Options{}, "a text or tag of more than 1 MiB"},
		{"a bomb of texts", rezip(t, good, map[string]func(string) []byte{"xl/sharedStrings.xml": func(string) []byte {
			return []byte("<sst>" + strings.Repeat("<si><t>aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa</t></si>", 2<<20) + "</sst>")
		}}), audience.Options{}, "of a workbook would become 96 MiB, at most 512 MiB are read, and 200 times its size"},
		{"a bomb of styles", rezip(t, good, map[string]func(string) []byte{"xl/styles.xml": func(string) []byte { return make([]byte, 17<<20) }}), audience.Options{}, "xl/styles.xml has 17 MiB, at most 16 MiB are read"},
		{"a bomb of blanks", rezip(t, good, sheetWith(header+strings.Repeat(`<row><c r="XFD"/></row>`, 1))), audience.Options{}, `cell "XFD" follows`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.File = "in"
			_, err := read(t.Context(), piped(tt.book), tt.opts)
			file, ok := errors.AsType[*audience.FileError](err)
			if !ok || !strings.Contains(file.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func zipOf(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for name, data := range parts {
		part, err := w.Create(name)
		if err == nil {
			_, err = io.WriteString(part, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return out.Bytes()
}

// The blanks before a cell count: a row of one cell can cost as much as one of 16,384.
func TestWorkbookOfBlanksIsRefused(t *testing.T) {
	t.Parallel()
	good := workbookOf(t, cells{{"email"}}, nil)
	var rows strings.Builder
	for i := 1; i <= 7000; i++ {
		fmt.Fprintf(&rows, `<row r="%d">%s</row>`, i, inline(fmt.Sprintf("XFD%d", i), "x"))
	}

	_, err := read(t.Context(), piped(rezip(t, good, sheetWith(rows.String()))), audience.Options{})
	if err == nil || !strings.Contains(err.Error(), "more than 104857600 cells up to row 6401, blanks included") {
		t.Errorf("got %v", err)
	}
}

// The library keeps a large table of texts in a file, and reads it in another way.
func TestReadWorkbookOfManyTexts(t *testing.T) {
	t.Parallel()
	const people = 700
	var rows, texts strings.Builder
	rows.WriteString(`<row>` + inline("A1", "email") + inline("B1", "letter") + `</row>`)
	var want []string
	for i := range people {
		letter := fmt.Sprintf("%d %s", i, strings.Repeat("blah ", 6<<10))
		fmt.Fprintf(&texts, "<si><t>p%d@x.example</t></si><si><t>%s</t></si>", i, letter)
		fmt.Fprintf(&rows, `<row><c t="s"><v>%d</v></c><c t="s"><v>%d</v></c></row>`, 2*i, 2*i+1)
		want = append(want, fmt.Sprintf("%d p%d@x.example|%s", i+2, i, letter))
	}

	change := sheetWith(rows.String())
	change["xl/sharedStrings.xml"] = func(string) []byte { return []byte("<sst>" + texts.String() + "</sst>") }
	got, err := read(t.Context(), piped(rezip(t, workbookOf(t, cells{{"email"}}, nil), change)), audience.Options{})
	if err != nil || len(got.Rejects) > 0 {
		t.Fatalf("%v, rejects %v", err, got.Rejects)
	}

	if !slices.Equal(got.Rows, want) {
		t.Errorf("%d rows, want %d, all the same", len(got.Rows), len(want))
	}
}

func TestReadWorkbookEndsWithTheContext(t *testing.T) {
	t.Parallel()
	book := workbookOf(t, cells{{"email"}, {"a@x.example"}, {"b@x.example"}}, nil)
	cause := errors.New("stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	r, err := audience.Open(ctx, piped(book), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel(cause)
	if err := r.Next(&audience.Row{}); !errors.Is(err, cause) {
		t.Errorf("Next: %v, want %v", err, cause)
	}
	if _, err := audience.Open(ctx, piped(book), audience.Options{}); !errors.Is(err, cause) {
		t.Errorf("Open: %v, want %v", err, cause)
	}
}

func TestOpenAddressesOfAWorkbook(t *testing.T) {
	t.Parallel()
	staff := cells{{"name", "mail"}, {"Ann", "a@x.example"}, {"boss: Bea <b@x.example>"}, {"nobody"}, {"Cy (c@x.example)", "d@x.example"}}
	tests := []struct {
		name   string
		rows   cells
		change func(f *excelize.File)
		opts   audience.Options
		want   []string
	}{
		{"with a header", staff, nil, audience.Options{}, []string{"2: a@x.example", "3: b@x.example", "4:", "5: d@x.example"}},
		{"without a header", cells{{"a@x.example"}, {}, {"b@x.example", "c@x.example"}}, nil, audience.Options{}, []string{"1: a@x.example", "3: b@x.example c@x.example"}},
		{"a first row that was to be an address", cells{{"*@x.example"}, {"b@x.example"}}, nil, audience.Options{}, []string{"1:", "2: b@x.example"}},
		{"further columns of addresses", cells{{"Email", "Email 2", "added by email"}, {"a@x.example", "b@x.example", "boss@x.example"}}, nil, audience.Options{}, []string{"2: a@x.example b@x.example"}},
		{"hidden rows count", cells{{"email"}, {"a@x.example"}}, func(f *excelize.File) {
			if err := f.SetRowVisible("Sheet1", 2, false); err != nil {
				t.Fatal(err)
			}
		}, audience.Options{}, []string{"2: a@x.example"}},
		{"the worksheet that is not blank", nil, func(f *excelize.File) {
			addSheet(t, f, "Staff", cells{{"a@x.example"}})
		}, audience.Options{}, []string{"1: a@x.example"}},
		{"a named one", staff, func(f *excelize.File) {
			addSheet(t, f, "Staff", cells{{"a@x.example"}})
		}, audience.Options{Sheet: "Staff"}, []string{"1: a@x.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := addressesOf(t, piped(workbookOf(t, tt.rows, tt.change)), tt.opts)
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		})
	}

	two := workbookOf(t, staff, func(f *excelize.File) {
		addSheet(t, f, "More", cells{{"z@x.example"}})
	})
	if _, err := addressesOf(t, piped(two), audience.Options{}); err == nil || !strings.Contains(err.Error(), `2 worksheets have rows: "Sheet1", "More"; say which has the addresses: sheet: NAME`) {
		t.Errorf("two worksheets: %v", err)
	}
}
