package address_test

import (
	"slices"
	"strings"
	"testing"

	"broadside/campaign/address"

	"github.com/google/go-cmp/cmp"
)

func TestFind(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		want       []string
	}{
		{"alone", "ann@example.com", []string{"ann@example.com"}},
		{"nothing", "", nil},
		{"a name", "Ann Lee", nil},
		{"display name", "Bob <bob@example.com>", []string{"bob@example.com"}},
		{"brackets alone", "<cat@example.com>", []string{"cat@example.com"}},
		{"quoted display name", `"Lee, Ann" <Ann@Example.com>`, []string{"Ann@example.com"}},
		{"comment", "ann@example.com (Ann)", []string{"ann@example.com"}},
		{"in double quotes", `"ann@example.com"`, []string{"ann@example.com"}},
		{"link", "mailto:ann@example.com?subject=Hi", []string{"ann@example.com"}},
		{"end of a sentence", "Please remove ann@example.com.", []string{"ann@example.com"}},
		{"several", "ann@example.com; bob@example.com,cat@example.com", []string{"ann@example.com", "bob@example.com", "cat@example.com"}},
		{"twice", "ann@example.com ANN@EXAMPLE.COM", []string{"ann@example.com"}},
		{"zero-width space before", "\u200bann@example.com", []string{"ann@example.com"}},
		{"zero-width space inside the local part", "a\u200bnn@example.com", []string{"nn@example.com", "ann@example.com"}},
		{"soft hyphen inside the domain", "ann@exam\u00adple.com", []string{"ann@example.com"}},
		{"between two, a zero-width space", "ann@example.com\u200bbob@example.com", []string{"ann@example.combob", "ann@example.com", "bob@example.com", "example.combob@example.com"}},
		{"international", "用户@例え.jp", []string{"用户@xn--r8jz45g.jp"}},
		{"Chinese colon", "邮箱：ann@example.com", []string{"邮箱：ann@example.com", "ann@example.com"}},
		{"Chinese text", "请联系ann@example.com。", []string{"请联系ann@example.com", "ann@example.com"}},
		{"Chinese comma behind", "ann@example.com，bob@example.com", []string{"ann@example.com", "example.com，bob@example.com", "bob@example.com"}},
		{"typographic quotes", "„ann@example.com“", []string{"„ann@example.xn--com-5o0a", "„ann@example.com", "ann@example.xn--com-5o0a", "ann@example.com"}},
		{"umlaut before the @", "mül.ler@example.com", []string{"mül.ler@example.com"}},
		{"in single quotes", "'ann@example.com'", []string{"'ann@example.com", "ann@example.com"}},
		{"key and value", "email=ann@example.com", []string{"email=ann@example.com", "ann@example.com"}},
		{"pipes", "Ann|ann@example.com|x", []string{"Ann|ann@example.com", "ann@example.com"}},
		{"apostrophe", "o'neill@example.com", []string{"o'neill@example.com", "neill@example.com"}},
		{"Markdown", "*ann@example.com*", []string{"*ann@example.com", "ann@example.com"}},
		{"no dot", "ann@localhost", nil},
		{"IP address", "ann@[192.0.2.1] ann@192.0.2.1", nil},
		{"control character", "ann@example.com\x00bob@example.com", []string{"ann@example.com", "bob@example.com"}},
		{"broken UTF-8", "\xffann@example.com\xff", []string{"ann@example.com"}},
		{"link with an encoded @", "mailto:ann%40example.com", []string{"ann@example.com"}},
		{"HTML with an encoded @", "ann&#64;example.com bob&commat;example.com", []string{"ann@example.com", "bob@example.com"}},
		{"wide @", "ann＠example.com", []string{"ann@example.com"}},
		{"disguised @", "ann [at] example.com, bob(AT)example.com", []string{"ann@example.com", "bob@example.com"}},
		{"blanks beside the @", "ann @example.com bob@ example.com", nil},
		{"blanks beside another @", "@ home: ann@example.com", []string{"ann@example.com"}},
		{"Cyrillic letter in front", "аnn@example.com", []string{"аnn@example.com", "ann@example.com"}},
		{"Cyrillic letter inside", "bоb@example.com", []string{"bоb@example.com", "bob@example.com"}},
		{"Greek letter in the domain", "ann@οther.example", []string{"ann@xn--ther-znd.example", "ann@other.example"}},
		{"Russian name", "иван@example.com", []string{"иван@example.com"}},
		{"everybody of a domain", "*@example.com %@example.com @example.com", nil},
		{"only @", strings.Repeat("@", 100), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, a := range address.Find(tt.text) {
				got = append(got, a.String())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Find(%q) (-want +got):\n%s", tt.text, diff)
			}
		})
	}
}

// separators set addresses off: none can stand next to one and belong to it.
var separators = []string{
	" ", "\t", "\n", ",", ";", "<", ">", "\"", "(", ")", "[", "]", ":", "\\", "\u00a0", "\u3000", "\u2028", "\x00", "\x7f", "\xff", "\u200b ", " \ufeff",
}

func FuzzFind(f *testing.F) {
	for i, s := range []string{"ann@example.com", "'ann@example.com", "用户@例え。jp", "a|b=c/d@example.com", "x@b\u00adücher.example", "İ@xn--bcher-kva.example", "a@न्\u200dन.example"} {
		f.Add("Ann Lee "+strings.Repeat("x", i*40), s, "boss@example.org", byte(i))
	}

	f.Fuzz(func(t *testing.T, before, s, behind string, n byte) {
		sep := separators[int(n)%len(separators)]
		row := before + sep + s + sep + behind
		found := address.Find(row)
		for i, a := range found {
			check(t, a)
			if slices.ContainsFunc(found[:i], func(b address.Address) bool { return a.Canonical() == b.Canonical() }) {
				t.Errorf("Find(%q) has %s twice", row, a)
			}
		}

		want, err := address.Parse(s)
		if err != nil || strings.Trim(want.Local, "*%") == "" {
			return
		}

		same := func(a address.Address) bool { return a.Canonical() == want.Canonical() }
		if !slices.ContainsFunc(found, same) {
			t.Errorf("Find(%q) = %v, without %s", row, found, want)
		}
	})
}

func BenchmarkFind(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if len(address.Find("Ann Lee <ann.lee42@mail.example.com>")) != 1 {
			b.Fatal("not found")
		}
	}
}
