package audience_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"broadside/campaign/address"
	"broadside/campaign/audience"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

// result is all that a source gave.
type result struct {
	Columns []string
	Rows    []string // LINE VALUE|VALUE...
	Rejects []string // LINE REASON: VALUE
}

// read reads a source to its end.
func read(ctx context.Context, src audience.Source, opts audience.Options) (result, error) {
	r, err := audience.Open(ctx, src, opts)
	if err != nil {
		return result{}, err
	}
	defer r.Close()
	return drain(r)
}

func drain(r *audience.Reader) (result, error) {
	res := result{Columns: r.Columns()}
	var row audience.Row
	for {
		err := r.Next(&row)
		if err == io.EOF {
			return res, nil
		}

		var reject *audience.Reject
		switch {
		case errors.As(err, &reject):
			res.Rejects = append(res.Rejects, fmt.Sprintf("%d %s: %s", reject.Line, reject.Reason, reject.Value))
		case err != nil:
			return res, err
		default:
			res.Rows = append(res.Rows, fmt.Sprintf("%d %s", row.Line, strings.Join(row.Values, "|")))
		}
	}
}

func stdin(text string) audience.Source {
	return audience.Source{Path: "-", Reader: strings.NewReader(text)}
}

func TestRead(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		in   string
		opts audience.Options
		want result
	}{
		{"plain", "email,first_name\na@x.example,Ann\nb@x.example,\n", audience.Options{}, result{
			Columns: []string{"email", "first_name"}, Rows: []string{"2 a@x.example|Ann", "3 b@x.example|"},
		}},
		{"address alone", "email\na@x.example\n\n\nb@x.example", audience.Options{}, result{
			Columns: []string{"email"}, Rows: []string{"2 a@x.example", "5 b@x.example"},
		}},
		{"BOM, CRLF, semicolons", "\ufeffE-Mail-Adresse;Vorname;Nachname\r\na@x.example;Ann;O'Neil, Jr\r\n", audience.Options{}, result{
			Columns: []string{"email", "vorname", "nachname"}, Rows: []string{"2 a@x.example|Ann|O'Neil, Jr"},
		}},
		{"tabs", "Name\tEmail Address\nAnn\ta@x.example\n", audience.Options{}, result{
			Columns: []string{"name", "email"}, Rows: []string{"2 Ann|a@x.example"},
		}},
		{"separator within quotes of the header", "\"a,b,c,d\";email\n1;a@x.example\n", audience.Options{}, result{
			Columns: []string{"a_b_c_d", "email"}, Rows: []string{"2 1|a@x.example"},
		}},
		{"spreadsheet's hint", "sep=;\nemail;name\na@x.example;Ann\n", audience.Options{}, result{
			Columns: []string{"email", "name"}, Rows: []string{"3 a@x.example|Ann"},
		}},
		{"quotes", "email,note\na@x.example,\"say \"\"hi\"\"\nand, bye\"\nb@x.example,\"\"\n\"c@x.example\",x\n", audience.Options{}, result{
			Columns: []string{"email", "note"}, Rows: []string{"2 a@x.example|say \"hi\"\nand, bye", "4 b@x.example|", "5 c@x.example|x"},
		}},
		{"CRLF within quotes", "email,note\r\na@x.example,\"1\r\n\r\n2\"\r\nb@x.example,3\r\n", audience.Options{}, result{
			Columns: []string{"email", "note"}, Rows: []string{"2 a@x.example|1\n\n2", "5 b@x.example|3"},
		}},
		{"quoted header over two lines", "email,\"First\nName\"\na@x.example,Ann\n", audience.Options{}, result{
			Columns: []string{"email", "first_name"}, Rows: []string{"3 a@x.example|Ann"},
		}},
		{"headers to fields", "E-Mail,First Name,lastName,2nd city,Straße,USER ID,,#\na@x.example,1,2,3,4,5,6,7\n", audience.Options{}, result{
			Columns: []string{"email", "first_name", "last_name", "_2nd_city", "straße", "user_id", "column_8"},
			Rows:    []string{"2 a@x.example|1|2|3|4|5|7"},
		}},
		{"named columns", "Kontakt,E-Mail,Vorname\na@x.example,zz,Ann\n", audience.Options{Email: "kontakt", Columns: map[string]string{"first_name": "Vorname", "contact": "Kontakt"}}, result{
			Columns: []string{"contact", "email", "e_mail", "first_name"}, Rows: []string{"2 a@x.example|a@x.example|zz|Ann"},
		}},
		{"columns name the address", "Mail,E-Mail\nx,a@x.example\n", audience.Options{Columns: map[string]string{"email": "E-Mail"}}, result{
			Columns: []string{"mail", "email"}, Rows: []string{"2 x|a@x.example"},
		}},
		{"address is normalised in its field", "email,n\n Ann@BÜCHER.example ,1\n", audience.Options{}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 Ann@xn--bcher-kva.example|1"},
		}},
		{"bad rows", "email,n\nnobody,1\na@x.example\na@x.example,1,2\n,7\n,\nb@x.example,\"x\"y\nc@x.example,5\" disk\n\"d@x.example\n\",1\nok@x.example,1\n", audience.Options{}, result{
			Columns: []string{"email", "n"},
			Rows:    []string{"3 a@x.example|", "11 ok@x.example|1"},
			Rejects: []string{
				"2 no @: nobody", "4 3 columns instead of 2: a@x.example,1,2", "5 no address: ",
				"7 text after a closing quote: x\"y", "8 quote inside a value that is not quoted: 5\" disk", "9 control character: d@x.example\n",
			},
		}},
		{"value too long", "email,n\na@x.example," + strings.Repeat("x", 70_000) + "\nb@x.example,1\n", audience.Options{}, result{
			Columns: []string{"email", "n"}, Rows: []string{"3 b@x.example|1"}, Rejects: []string{"2 values of more than 64 KiB: a@x.example"},
		}},
		{"windows-1252", "email,n\na@x.example,M\xfcller \x80\n", audience.Options{Encoding: "windows-1252"}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|Müller €"},
		}},
		{"latin letters that happen to be UTF-8", "email,n\na@x.example,MEN\xdc\xae\n", audience.Options{Encoding: "latin1"}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|MENÜ®"},
		}},
		{"shift_jis", "email,n\na@x.example,\x93\xfa\x96\x7b\n", audience.Options{Encoding: "Shift_JIS"}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|日本"},
		}},
		{"IANA name that browsers do not have", "email,n\na@x.example,\x81\n", audience.Options{Encoding: "IBM850"}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|ü"},
		}},
		{"utf-16 with a mark", "\xfe\xff" + utf16be("email,n\na@x.example,ü\n"), audience.Options{Encoding: "utf-16"}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|ü"},
		}},
		{"utf-8 said aloud", "\ufeffemail,n\na@x.example,ü\n", audience.Options{Encoding: "UTF-8"}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|ü"},
		}},
		{"JSON lines", "{\"email\": \"a@x.example\", \"Name\": \"Ann \\u00e9\\n\\\"x\\\"\", \"n\": 1.50, \"vip\": true, \"x\": null}\n\n {\"n\":2,\"email\":\"b@x.example\"}\r\n", audience.Options{}, result{
			Columns: []string{"email", "name", "n", "vip", "x"}, Rows: []string{"1 a@x.example|Ann é\n\"x\"|1.50|true|", "3 b@x.example||2||"},
		}},
		{"JSON lines, keys in any row", "\n{\"email\":\"a@x.example\"}\n{\"name\":\"B\",\"email\":\"b@x.example\"}\n{\"email\":\"c@x.example\",\"age\":3,\"name\":null}\n", audience.Options{}, result{
			Columns: []string{"email", "name", "age"}, Rows: []string{"2 a@x.example||", "3 b@x.example|B|", "4 c@x.example||3"},
		}},
		{"empty last cells left out", "n,email,city,,\n1,a@x.example\n2,b@x.example,,,\n3\n4,c@x.example,Rome\n", audience.Options{}, result{
			Columns: []string{"n", "email", "city"}, Rows: []string{"2 1|a@x.example|", "3 2|b@x.example|", "5 4|c@x.example|Rome"}, Rejects: []string{"4 no address: "},
		}},
		{"hidden characters around addresses", "email,n\nann@x.example\u200b,1\n\u200bbob@x.example,2\nc\u00adat@x.example,3\n\u202adan@x.example\u202c,4\n", audience.Options{}, result{
			Columns: []string{"email", "n"}, Rows: []string{"2 ann@x.example|1", "3 bob@x.example|2", "5 dan@x.example|4"},
			Rejects: []string{"4 invisible or broken character: c\u00adat@x.example"},
		}},
		{"bad JSON rows", "{\"email\":\"a@x.example\",\"n\":[1,{\"]\":2}]}\n{\"email\":\"b@x.example\",\"m\":1}\n[1]\n{\"email\":\"c@x.example\"\n{\"email\":\"d@x.example\"} x\n{\"n\":1,\"n\":2}\n{\"email\":tru}\n{\"n\":01}\n{email:1}\n{}\n{\"email\":\"e@x.example\",\"n\":{}}\n{\"email\":\"ok@x.example\",\"n\":-1e9}\n", audience.Options{}, result{
			Columns: []string{"email", "n", "m"},
			Rows:    []string{"2 b@x.example||1", "12 ok@x.example|-1e9|"},
			Rejects: []string{
				"1 object or array as a value: n", "3 not a JSON object on one line: [1]",
				"4 broken JSON: the object is not closed on its line: {\"email\":\"c@x.example\"", "5 text after the JSON object: {\"email\":\"d@x.example\"} x",
				"6 key twice: n", "7 broken JSON: not a value after a key: {\"email\":tru}", "8 broken JSON: not a value after a key: {\"n\":01}",
				"9 broken JSON: a key in quotes is expected: {email:1}", "10 no address: ", "11 object or array as a value: n",
			},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for how, r := range map[string]io.Reader{"at once": strings.NewReader(tt.in), "byte by byte": iotest.OneByteReader(strings.NewReader(tt.in))} {
				got, err := read(t.Context(), audience.Source{Path: "-", Reader: r}, tt.opts)
				if err != nil {
					t.Fatalf("%s: %v", how, err)
				}
				if diff := cmp.Diff(got, tt.want); diff != "" {
					t.Errorf("%s (-got +want):\n%s", how, diff)
				}
			}
		})
	}
}

func utf16be(s string) string {
	var b strings.Builder
	for _, r := range s {
		b.WriteByte(byte(r >> 8))
		b.WriteByte(byte(r))
	}
	return b.String()
}

// Each of these makes the whole file unusable; the message says where and what
// to do.
func TestFileErrors(t *testing.T) {
	t.Parallel()
	long := "email,n\na@x.example,1\nb@x.example," + strings.Repeat("x", 10<<20) + "\n"
	tests := []struct {
		name string
		in   string
		opts audience.Options
		want string
	}{
		{"empty", "", audience.Options{}, "in: the file is empty; a header line and at least one recipient are needed"},
		{"mark alone", "\ufeff", audience.Options{}, "in: the file is empty; a header line"},
		{"blank lines", "\n \n\n", audience.Options{}, "in: the file is empty; a header line"},
		{"no rows", "email,n\n", audience.Options{}, "in: no rows; a header line and at least one recipient are needed"},
		{"blank rows", "email,n\n\n,\n", audience.Options{}, "in: no rows;"},
		{"no valid address", "email,n\nann,1\nbob,2\n", audience.Options{}, `in:2: no valid address in 2 rows; the first has: no @: "ann"; check which column`},
		{"NUL", "email,n\na@x.example,1\nb\x00@x.example,2\n", audience.Options{}, "in:3: NUL byte at byte 2 of the line"},
		{"UTF-16 without a mark", utf16be("email,n\na@x.example,1\n"), audience.Options{}, "in:1: every other byte is NUL, as in UTF-16; save the file as UTF-8, or say encoding: utf-16le"},
		{"UTF-16 mark", "\xff\xfee\x00", audience.Options{}, "in: it begins with the mark of UTF-16; save it as UTF-8, or say encoding: utf-16"},
		{"UTF-8 mark, other encoding", "\ufeffemail\na@x.example\n", audience.Options{Encoding: "windows-1252"}, "in: it begins with the mark of UTF-8, encoding says windows-1252; leave encoding out"},
		{"line of 10 MB", long, audience.Options{}, "in:3: a line of more than 1 MiB; check for a missing line end"},
		{"first line of 10 MB", strings.Repeat("x", 10<<20), audience.Options{}, "in:1: a line of more than 1 MiB"},
		{"not UTF-8", "email,n\na@x.example,1\nb@x.example,M\xfcller\n", audience.Options{}, "in:3: byte 14 of the line (0xfc) is not UTF-8; save the file as UTF-8, or say in which encoding it is: encoding: windows-1252"},
		{"mixed encodings", "email,n\na@x.example,Chloé\nb@x.example,M\xfcller\n", audience.Options{}, "in:3: mixed encodings: byte 14 (0xfc) is not UTF-8, while line 2 is; convert the whole file to one encoding"},
		{"mixed encodings, one declared", "email,n\na@x.example,Chloé ü ü\nb@x.example,M\xfcller\n", audience.Options{Encoding: "windows-1252"}, "in:2: mixed encodings: 3 letters are UTF-8, 1 are windows-1252"},
		{"UTF-8, other encoding", "email,n\na@x.example,Chloé ü ü\n", audience.Options{Encoding: "iso-8859-1"}, "in:2: the file is UTF-8, encoding says iso-8859-1; leave encoding out"},
		{"not of its encoding", "email,n\na@x.example,\x93\n", audience.Options{Encoding: "shift_jis"}, "in:2: byte 13 of the line is not a character of shift_jis"},
		{"unknown encoding", "email\na@x.example\n", audience.Options{Encoding: "win-1252"}, `in: unknown encoding "win-1252"; use an IANA name`},
		{"encoding that is none", "email\na@x.example\n", audience.Options{Encoding: "iso-2022-kr"}, `in: unknown encoding "iso-2022-kr"`},
		{"open quote", "email,n\na@x.example,1\nb@x.example,\"2\nc@x.example,3\n", audience.Options{}, `in:3: a quote that opens here is never closed; close it, or write a quote inside a value twice ("")`},
		{"open quote in a great file", "email,n\nb@x.example,\"2\n" + strings.Repeat("c@x.example,3\n", 100_000), audience.Options{}, "in:2: a quote that opens here is not closed within 1 MiB"},
		{"open quote in the header", "email,\"n\na@x.example,1\n", audience.Options{}, "in:1: a quote that opens here is never closed"},
		{"broken header", "email,\"n\"x\na@x.example,1\n", audience.Options{}, "in:1: the header line cannot be read: text after a closing quote"},
		{"old Mac line ends", "email,n\ra@x.example,1\r", audience.Options{}, "in:1: line ends of CR alone; save the file with LF or CRLF"},
		{"no header", "a@x.example,Ann\nb@x.example,Bob\n", audience.Options{}, "in:1: the first line has an address where the names of the columns should be; put a line with"},
		{"no address column", "name,city\nAnn,Berlin\n", audience.Options{}, `in:1: no column looks like the address; there are "name", "city"; name it with email: HEADER`},
		{"two address columns", "email,Mail\na@x.example,b@x.example\n", audience.Options{}, `in:1: 2 columns could hold the address: "email", "Mail"; say which with email: HEADER`},
		{"missing address column", "email,name\na@x.example,Ann\n", audience.Options{Email: "emial"}, `in:1: no column "emial"; there are "email", "name"; did you mean "email"?`},
		{"missing column", "email,Vorname\na@x.example,Ann\n", audience.Options{Columns: map[string]string{"first_name": "Vornahme"}}, `in:1: no column "Vornahme"; there are "email", "Vorname"; did you mean "Vorname"?`},
		{"no field", "email,n\na@x.example,Ann\n", audience.Options{Columns: map[string]string{"first name": "n"}}, `in:1: columns: "first name" cannot be a merge field; use letters, digits and _`},
		{"doubled column", "email,name,name\na@x.example,1,2\n", audience.Options{Columns: map[string]string{"n": "name"}}, `in:1: the column "name" is there twice`},
		{"doubled field", "email,First Name,first-name\na@x.example,1,2\n", audience.Options{}, `in:1: the columns "First Name" and "first-name" would both be the merge field first_name; give one another name: columns: {other_first_name: "first-name"}`},
		{"another column is named email", "email,work\na@x.example,b@x.example\n", audience.Options{Email: "work"}, `in:1: the columns "email" and "work" would both be the merge field email; give one another name: columns: {other_email: "email"}`},
		{"columns without end", strings.Repeat("a,", 300) + "email\n", audience.Options{}, "in:1: 301 columns, at most 256 are read"},
		{"truncated gzip", packGzip(t, people(2000))[:8000], audience.Options{}, "the gzip data ends too early; the copy is not complete"},
		{"damaged gzip", damage(packGzip(t, people(2000))), audience.Options{}, "broken gzip data"},
		{"gzip of nothing", packGzip(t, nil), audience.Options{}, "in: the file is empty"},
		{"truncated Zstandard", packZstd(t, people(2000))[:8000], audience.Options{}, "the Zstandard data ends too early; the copy is not complete"},
		{"damaged Zstandard", damage(packZstd(t, people(2000))), audience.Options{}, "broken Zstandard data"},
		{"spreadsheet", "PK\x03\x04....", audience.Options{}, "in: a damaged workbook: the zip archive: zip: not a valid zip file; open it in a spreadsheet program"},
		{"JSON array", "[\n{\"email\":\"a@x.example\"}]", audience.Options{}, "in:1: a JSON array; write one object a line, as jq -c '.[]' does"},
		{"JSON over several lines", "{\n\"email\":\"a@x.example\"}", audience.Options{}, "in:1: the first line is not a JSON object: broken JSON: a key in quotes is expected"},
		{"doubled key", "{\"email\":\"a@x.example\",\"n\":1,\"n\":2}\n", audience.Options{}, `in:1: the key "n" is there twice`},
		{"JSON without address", "{\"n\":1}\n", audience.Options{}, `in:1: no column looks like the address; there are "n"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.opts.File = "in"
			_, err := read(t.Context(), stdin(tt.in), tt.opts)
			var file *audience.FileError
			if !errors.As(err, &file) {
				t.Fatalf("error %v, want a *FileError", err)
			}
			if !strings.Contains(file.Error(), tt.want) || !strings.HasPrefix(file.Error(), "in:") {
				t.Errorf("got  %s\nwant %s", file, tt.want)
			}
			if file.Fix == "" {
				t.Errorf("%s: does not say what to do", file)
			}
		})
	}
}

func packGzip(t testing.TB, b []byte) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}

	return out.String()
}

func packZstd(t testing.TB, b []byte) string {
	t.Helper()
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(w.EncodeAll(b, nil))
}

// damage changes a byte in the middle.
func damage(s string) string {
	b := []byte(s)
	b[len(b)/2] ^= 0xff
	return string(b)
}

func TestOpenFiles(t *testing.T) {
	t.Parallel()
	csv := "email,n\na@x.example,1\n"
	jsonl := "{\"email\":\"a@x.example\",\"n\":1}\n"
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.csv": csv, "a.jsonl": jsonl, "a.csv.gz": packGzip(t, []byte(csv)), "a.jsonl.gz": packGzip(t, []byte(jsonl)),
		"a.csv.zst": packZstd(t, []byte(csv)), "A.JSONL.ZST": packZstd(t, []byte(jsonl)), "a.txt": csv, "a.ndjson": jsonl, "a": packGzip(t, []byte(jsonl)),
		"two-members.csv.gz": packGzip(t, []byte("email,n\n")) + packGzip(t, []byte("a@x.example,1\n")),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := read(t.Context(), audience.Source{Path: path}, audience.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}

		if len(got.Rows) != 1 || !strings.HasSuffix(got.Rows[0], " a@x.example|1") {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"plain.csv.gz": "email\na@x.example\n", "json.csv": "{\"email\":\"a@x.example\"}\n", "csv.jsonl": "email\na@x.example\n", "text.xlsx": "email\na@x.example\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}

	for path, want := range map[string]string{
		"https://u:tiger@x.example/a.csv":  "https://x.example/a.csv: found an address, expected a file, - or list:NAME; name it as audience.source in a campaign file",
		"people.xlsx":                      "no such file; check the name",
		filepath.Join(dir, "text.xlsx"):    "the name says .xlsx, the content is not a workbook",
		filepath.Join(dir, "none.csv"):     "no such file; check the name",
		dir:                                "it is a directory, expected a file or a pipe; name another",
		filepath.Join(dir, "plain.csv.gz"): "the name says .gz, but the content is not compressed that way; compress it again, or take .gz off its name",
		filepath.Join(dir, "json.csv"):     "quote inside a value that is not quoted",
		filepath.Join(dir, "csv.jsonl"):    "the first line is not a JSON object",
		"":                                 "no source",
	} {
		_, err := read(t.Context(), audience.Source{Path: path}, audience.Options{})
		var file *audience.FileError
		if !errors.As(err, &file) || !strings.Contains(file.Error(), want) {
			t.Errorf("%s: got %v, want %s", path, err, want)
		}
	}

	if _, err := read(t.Context(), audience.Source{Path: filepath.Join(dir, "none.csv")}, audience.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v is not fs.ErrNotExist", err)
	}
}

// What the disk or the pipe reports is not the file's fault.
func TestReadErrorIsNoFileError(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk on fire")
	for name, start := range map[string]string{"csv": "email\na@x.example\n", "gzip": packGzip(t, people(2000))[:8000]} {
		src := io.MultiReader(strings.NewReader(start), iotest.ErrReader(broken))
		_, err := read(t.Context(), audience.Source{Path: "-", Reader: src}, audience.Options{})
		var file *audience.FileError
		if !errors.Is(err, broken) || errors.As(err, &file) {
			t.Errorf("%s: got %v, want the disk's error", name, err)
		}
	}
}

func TestContextEndsReading(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := audience.Open(ctx, audience.Source{Path: "-", Reader: bytes.NewReader(people(50_000))}, audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cancel()
	if _, err := drain(r); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

// After its end or its first error a Reader says the same for ever.
func TestNextIsSticky(t *testing.T) {
	t.Parallel()
	var row audience.Row
	r, err := audience.Open(t.Context(), stdin("email\na@x.example\n\x00\nb@x.example\n"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}

	if err := r.Next(&row); err != nil || row.Address.Local != "a" {
		t.Fatalf("got %v, %v; want the row before the NUL", row, err)
	}

	first := r.Next(&row)
	if second := r.Next(&row); first == nil || second != first {
		t.Errorf("got %v, then %v", first, second)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("close again: %v", err)
	}
}

func TestRejectValueIsCut(t *testing.T) {
	t.Parallel()
	r, err := audience.Open(t.Context(), stdin("email\n"+strings.Repeat("ü", 5000)+"\na@x.example\n"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}

	var row audience.Row
	var reject *audience.Reject
	if err := r.Next(&row); !errors.As(err, &reject) {
		t.Fatalf("got %v, want a reject", err)
	}
	if len(reject.Value) > 200 || !strings.HasSuffix(reject.Value, "ü...") || reject.Reason != string(address.TooLong) {
		t.Errorf("got %d bytes, %q: %s", len(reject.Value), reject.Value, reject.Reason)
	}
}

func TestSeen(t *testing.T) {
	t.Parallel()
	var seen audience.Seen
	for _, tt := range []struct {
		address string
		want    bool
	}{{"ann@x.example", true}, {"bob@x.example", true}, {"Ann@X.example", false}, {"ann@y.example", true}} {
		a, err := address.Parse(tt.address)
		if err != nil {
			t.Fatal(err)
		}

		if had := seen.Has(a.Hash()); had == tt.want {
			t.Errorf("Has(%s) = %v", tt.address, had)
		}
		if got := seen.Add(a.Hash()); got != tt.want {
			t.Errorf("Add(%s) = %v, want %v", tt.address, got, tt.want)
		}
	}

	if seen.Len() != 3 {
		t.Errorf("Len = %d, want 3", seen.Len())
	}
}
