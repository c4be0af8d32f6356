package audience_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"broadside/campaign/address"
	"broadside/campaign/audience"

	"github.com/google/go-cmp/cmp"
)

// addressesOf returns "LINE: ADDRESS ADDRESS" for each row of a file that says who
// must not be mailed.
func addressesOf(t *testing.T, src audience.Source, opts audience.Options) ([]string, error) {
	t.Helper()
	r, err := audience.OpenAddresses(t.Context(), src, opts)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var rows []string
	for {
		var row audience.AddressRow
		err := r.Next(&row)
		if err == io.EOF {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		text := fmt.Sprintf("%d:", row.Line)
		for _, a := range row.Addresses() {
			text += " " + a.String()
		}
		rows = append(rows, text)
	}
}

func TestOpenAddresses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in string
		opts     audience.Options
		want     []string
	}{
		{"as an audience", "email,name\na@x.example,A\nb@x.example,B\n", audience.Options{}, []string{"2: a@x.example", "3: b@x.example"}},
		{"one address a line, no header", "a@x.example\n\nb@x.example\n", audience.Options{}, []string{"1: a@x.example", "3: b@x.example"}},
		{"no header, names first", "Ann;a@x.example\nBob;b@x.example\n", audience.Options{}, []string{"1: a@x.example", "2: b@x.example"}},
		{"display names", "email\nBob <b@x.example>\n<c@x.example>\n\"Lee, Ann <a@x.example>\"\n", audience.Options{}, []string{"2: b@x.example", "3: c@x.example", "4: a@x.example"}},
		{"hidden characters", "\ufeffemail,n\n\u200bb@x.example,1\nc@x.example\u200b,2\n", audience.Options{}, []string{"2: b@x.example", "3: c@x.example"}},
		{"too few and too many columns", "email,name\nc@x.example\nd@x.example,D,more\nLee, Ann,a@x.example\n", audience.Options{}, []string{"2: c@x.example", "3: d@x.example", "4: a@x.example"}},
		{"the column of addresses counts", "email,added by\na@x.example,boss@x.example\n", audience.Options{}, []string{"2: a@x.example"}},
		{"named column", "Mail,Chef\na@x.example,boss@x.example\n", audience.Options{Email: "mail"}, []string{"2: a@x.example"}},
		{"empty in the column, elsewhere in the row", "email,note\n,moved to a@x.example\n", audience.Options{}, []string{"2: a@x.example"}},
		{"any header", "Kontakt;Ort\na@x.example;Köln\n", audience.Options{}, []string{"2: a@x.example"}},
		{"several columns could be it", "email,mail\na@x.example,b@x.example\n", audience.Options{}, []string{"2: a@x.example b@x.example"}},
		{"header of suppressions", "address,source\na@x.example,ops@x.example\n", audience.Options{}, []string{"2: a@x.example"}},
		{"the same header twice", "email,email\na@x.example,b@x.example\n", audience.Options{}, []string{"2: a@x.example b@x.example"}},
		{"wrong quotes", "email,name\na@x.example,\"A\"nn\n\"b@x.example\"x,B\nc@x.example,5\" disk\nd@x.example,D\n", audience.Options{}, []string{"2: a@x.example", "3: b@x.example", "4: c@x.example", "5: d@x.example"}},
		{"a quote that swallows rows", "email,name\na@x.example,\"A\nb@x.example,B\"\nc@x.example,C\n", audience.Options{}, []string{"2: a@x.example b@x.example", "4: c@x.example"}},
		{"a value over two lines", "name,email\n\"Ann\nLee\",a@x.example\n", audience.Options{}, []string{"2: a@x.example"}},
		{"rows without an address", "email,name\nann,Ann\n,,\nb@localhost,B\n", audience.Options{}, []string{"2:", "4:"}},
		{"spreadsheet's hint", "sep=;\nemail;n\na@x.example;1\n", audience.Options{}, []string{"3: a@x.example"}},
		{"a first line that was to be an address", "ann@x\nb@x.example\n", audience.Options{}, []string{"1:", "2: b@x.example"}},
		{"a first line with a blank in the address", "a @x.example\nb@x.example\n", audience.Options{}, []string{"1:", "2: b@x.example"}},
		{"a first line of a whole domain", "*@x.example\nb@x.example\n", audience.Options{}, []string{"1:", "2: b@x.example"}},
		{"a first line with a hash", strings.Repeat("0a", 32) + "\nb@x.example\n", audience.Options{}, []string{"1:", "2: b@x.example"}},
		{"further columns of addresses", "Email,E-Mail 2,work email,added by email\na@x.example,b@x.example,c@x.example,boss@x.example\n", audience.Options{}, []string{"2: a@x.example b@x.example c@x.example"}},
		{"further columns beside a named one", "Email,Email2\na@x.example,b@x.example\n", audience.Options{Email: "email2"}, []string{"2: b@x.example"}},
		{"JSON, a further key", "{\"email\":\"a@x.example\",\"email2\":\"b@x.example\",\"by\":\"boss@x.example\"}\n", audience.Options{}, []string{"1: a@x.example b@x.example"}},
		{"windows-1252", "email,n\na@x.example,M\xfcller\n", audience.Options{Encoding: "windows-1252"}, []string{"2: a@x.example"}},
		{"utf-16", "\xfe\xff" + utf16be("email,n\na@x.example,ü\n"), audience.Options{Encoding: "utf-16"}, []string{"2: a@x.example"}},
		{
			"JSON lines", "{\"email\":\"a@x.example\",\"by\":\"boss@x.example\"}\n{\"name\":\"B\",\"mail\":\"Bob \\u003cb@x.example\\u003e\"}\n{\"who\":{\"at\":[\"c@x.example\",3]}}\nd@x.example\n[\"e@x.example\"]\n{}\n",
			audience.Options{},
			[]string{"1: a@x.example", "2: b@x.example", "3: c@x.example", "4: d@x.example", "5: e@x.example", "6:"},
		},
		{"JSON, a key twice", "{\"email\":\"a@x.example\",\"n\":\"\"}\n{\"n\":\"b@x.example\",\"n\":\"x\"}\n", audience.Options{}, []string{"1: a@x.example", "2: b@x.example"}},
		{"JSON, named key", "{\"x\":1}\n{\"Who\":\"a@x.example\",\"email\":\"boss@x.example\"}\n", audience.Options{Email: "who"}, []string{"1:", "2: a@x.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := addressesOf(t, stdin(tt.in), tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOpenAddressesRefusesFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in, want string
		opts           audience.Options
	}{
		{"empty", "", "the file is empty", audience.Options{}},
		{"no such column", "Mail,n\na@x.example,1\n", `no column "E-Mial"`, audience.Options{Email: "E-Mial"}},
		{"column without a header", "a@x.example\n", `no column "Mail": the first line has an address`, audience.Options{Email: "Mail"}},
		{"no such key", "{\"a\":1}\n", `no row has the key "mail"`, audience.Options{Email: "Mail"}},
		{"JSON array", "[{}]\n", "a JSON array", audience.Options{}},
		{"open quote", "email\na@x.example\n\"b@x.example\nc@x.example\n", "a quote that opens here is never closed", audience.Options{}},
		{"NUL", "email\na@x.example\nbob\x00\n", "NUL byte", audience.Options{}},
		{"broken encoding", "email\na@x.example\n\xff\n", "is not UTF-8", audience.Options{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := addressesOf(t, stdin(tt.in), tt.opts)
			var file *audience.FileError
			if !errors.As(err, &file) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want a FileError with %q", err, tt.want)
			}
		})
	}
}

func TestExcerpt(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"b\u200bob,Bob\n":         `"b\u200bob,Bob"`,
		"\x1b[2Jx":                `"\x1b[2Jx"`,
		strings.Repeat("ü", 1000): `"` + strings.Repeat("ü", 72) + `"...`,
	} {
		if got := audience.Excerpt(in); got != want {
			t.Errorf("Excerpt(%q) = %s, want %s", in, got, want)
		}
	}
}

// Columns are the keys of all rows, whether the source can be opened twice or not.
func TestJSONLIsReadTwice(t *testing.T) {
	t.Parallel()
	const text = "\n{\"email\":\"a@x.example\"}\n\n{\"n\":1,\"email\":\"b@x.example\"}\n"
	path := filepath.Join(t.TempDir(), "people.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}

	want := result{Columns: []string{"email", "n"}, Rows: []string{"2 a@x.example|", "4 b@x.example|1"}}
	for name, src := range map[string]audience.Source{"file": {Path: path}, "stream": stdin(text)} {
		got, err := read(t.Context(), src, audience.Options{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	many := ""
	for i := range 300 {
		many += fmt.Sprintf("{\"email\":\"a@x.example\",\"k%d\":1}\n", i)
	}

	_, err := read(t.Context(), stdin(many), audience.Options{})
	if err == nil || !strings.Contains(err.Error(), "standard input:256: more than 256 different keys") {
		t.Errorf("%v, want an error about too many keys", err)
	}
}

// Whatever a strict reader takes for a recipient is found here too.
func FuzzOpenAddresses(f *testing.F) {
	for _, s := range []string{
		"email,n\na@x.example,1\n", "a@x.example\n", "email;n\n\"x\n\"\"y\";a@x.example\n,,\n", "sep=;\nemail;n\na@b.cd;1",
		"{\"email\":\"a@x.example\"}\n{\"email\":\"\\u0062@x.example\",\"n\":[\"c@x.example\"]}\n", "email,n\na@x.example,\"a\"b\n,\n\xff", "mail,email\n\"a@x.example,b\n",
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		r, err := audience.OpenAddresses(t.Context(), stdin(s), audience.Options{})
		if err != nil {
			checkFileError(t, err)
			return
		}
		defer r.Close()
		var found []address.Address
		var row audience.AddressRow
		for before := 0; err == nil; before = row.Line {
			if err = r.Next(&row); err != nil {
				break
			}
			if row.Line <= before || len(row.Excerpt()) > 4000 {
				t.Fatalf("row %+v after line %d", row, before)
			}
			found = append(found, row.Addresses()...)
		}

		if err != io.EOF {
			checkFileError(t, err)
			return
		}

		_, rows, _, err := readAll(t, stdin(s), audience.Options{})
		if err != nil {
			return
		}

		for _, want := range rows {
			if !slices.ContainsFunc(found, func(a address.Address) bool { return a.Canonical() == want.Address.Canonical() }) {
				t.Fatalf("%s is not found in %q", want.Address, s)
			}
		}
	})
}
