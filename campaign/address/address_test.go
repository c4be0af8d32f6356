package address_test

import (
	"crypto/sha256"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"broadside/campaign/address"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/unicode/norm"
)

func TestParse(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want, canonical string
	}{
		{"plain", "ann@example.com", "ann@example.com", "ann@example.com"},
		{"blanks around", " \tann@example.com\u00a0 ", "ann@example.com", "ann@example.com"},
		{"quoted", `"Ann Lee"@Example.com`, `"Ann Lee"@example.com`, `"ann lee"@example.com`},
		{"quoted without need", `"Ann.Lee"@example.com`, "Ann.Lee@example.com", "ann.lee@example.com"},
		{"quoted characters without need", `"A\nn\ Lee"@example.com`, `"Ann Lee"@example.com`, `"ann lee"@example.com`},
		{"everything quoted", `"a<b>,;:@[]()\\ \"."@example.com`, `"a<b>,;:@[]()\\ \"."@example.com`, `"a<b>,;:@[]()\\ \"."@example.com`},
		{"quoted dots", `"..Ann"@example.com`, `"..Ann"@example.com`, `"..ann"@example.com`},
		{"quoted letters", `"Ä Ö"@bücher.example`, `"Ä Ö"@xn--bcher-kva.example`, `"ä ö"@xn--bcher-kva.example`},
		{"quoted blank alone", `" "@example.com`, `" "@example.com`, `" "@example.com`},
		{"zero-width space before", "\u200bann@example.com", "ann@example.com", "ann@example.com"},
		{"zero-width space behind", "ann@example.com\u200b", "ann@example.com", "ann@example.com"},
		{"byte order mark", "\ufeffann@example.com\ufeff", "ann@example.com", "ann@example.com"},
		{"direction marks and word joiner", "\u202a\u200eann@example.com\u2060\u202c", "ann@example.com", "ann@example.com"},
		{"soft hyphens and blanks", " \u00adann@example.com\u00ad ", "ann@example.com", "ann@example.com"},
		{"case", "Ann.Lee@Example.COM", "Ann.Lee@example.com", "ann.lee@example.com"},
		{"tag and dots are kept", "a.n.n+News@gmail.com", "a.n.n+News@gmail.com", "a.n.n+news@gmail.com"},
		{"every atext", "!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com", "!#$%&'*+-/=?^_`{|}~@example.com"},
		{"IDN", "ann@Bücher.example", "ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"},
		{"IDN sharp s", "ann@straße.example", "ann@xn--strae-oqa.example", "ann@xn--strae-oqa.example"},
		{"A-label", "ann@XN--bcher-kva.example", "ann@xn--bcher-kva.example", "ann@xn--bcher-kva.example"},
		{"ideographic dot", "ann@例え。jp", "ann@xn--r8jz45g.jp", "ann@xn--r8jz45g.jp"},
		{"decomposed local", "Jose\u0301@example.com", "José@example.com", "josé@example.com"},
		{"EAI", "用户@例え.jp", "用户@xn--r8jz45g.jp", "用户@xn--r8jz45g.jp"},
		{"hyphens in third place", "a@r3---sn.example.com", "a@r3---sn.example.com", "a@r3---sn.example.com"},
		{"digits", "1@2.example", "1@2.example", "1@2.example"},
		{"local of 64", strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com", strings.Repeat("a", 64) + "@example.com"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			a, err := address.Parse(tt.in)
			if err != nil {
				t.Fatalf("Parse(%q): %v", tt.in, err)
			}

			if diff := cmp.Diff([]string{a.String(), a.Canonical()}, []string{tt.want, tt.canonical}); diff != "" {
				t.Errorf("Parse(%q) (-got +want):\n%s", tt.in, diff)
			}
			if got := string(a.AppendCanonical([]byte("x"))); got != "x"+tt.canonical {
				t.Errorf("AppendCanonical = %q, want x%s", got, tt.canonical)
			}

			want := sha256.Sum256([]byte(tt.canonical))
			if a.Hash() != want || address.Hash(tt.canonical) != want {
				t.Errorf("hashes differ from the SHA-256 of %q", tt.canonical)
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("a", 63)
	tests := []struct {
		in   string
		want address.Reason
	}{
		{"", address.Empty},
		{" \u00a0", address.Empty},
		{"\u200b \ufeff", address.Empty},
		{strings.Repeat("x", 2000), address.TooLong},
		{"a@" + label + "." + label + "." + label + ".com", ""}, // the longest label is fine
		{strings.Repeat("l", 64) + "@" + label + "." + label + "." + label + ".com", address.TooLong},
		{"a\xff@example.com", address.NotUTF8},
		{"ann@example.com\r\n", address.Control},
		{"ann@exam\x00ple.com", address.Control},
		{"ann\u0085@example.com", address.Control},
		{"Ann Lee <ann@example.com>", address.DisplayName},
		{"<ann@example.com>", address.DisplayName},
		{`"ann lee@example.com`, address.Quoted},
		{`"ann lee\"@example.com`, address.Quoted},
		{`"ann lee\`, address.Quoted},
		{`"ann" lee@example.com`, address.Quoted},
		{`ann."lee"@example.com`, address.Quoted},
		{`"ann lee"`, address.Quoted},
		{`"Ann Lee" <ann@example.com>`, address.DisplayName},
		{`"ann lee"@example.com, bob@example.com`, address.Several},
		{`""@example.com`, address.NoLocal},
		{`"ann lee"@`, address.NoDomain},
		{`"ann lee"@localhost`, address.NoDot},
		{`"ann lee"@exam ple.com`, address.DomainChar},
		{`"` + strings.Repeat("a ", 32) + `"@example.com`, address.LocalTooLong},
		{"\"ann\tlee\"@example.com", address.Control},
		{"\"ann\u200blee\"@example.com", address.Invisible},
		{"\"ann\u00a0lee\"@example.com", address.Invisible},
		{"\"ann lee\xff\"@example.com", address.NotUTF8},
		{`"` + strings.Repeat("x", 2000) + `"@example.com`, address.TooLong},
		{"ann(home)@example.com", address.Comment},
		{"ann@example.com, bob@example.com", address.Several},
		{"ann@example.com;bob@example.com", address.Several},
		{"ann@example.com bob@example.com", address.Several},
		{"ann.example.com", address.NoAt},
		{"Ann Lee", address.NoAt},
		{"ann@@example.com", address.TwoAts},
		{"ann lee@example.com", address.Blank},
		{"ann@exam ple.com", address.Blank},
		{"@example.com", address.NoLocal},
		{strings.Repeat("a", 65) + "@example.com", address.LocalTooLong},
		{strings.Repeat("Ⱥ", 32) + "@example.com", address.LocalTooLong}, // in lower case a letter has three octets
		{".ann@example.com", address.LocalDot},
		{"ann.@example.com", address.LocalDot},
		{"ann..lee@example.com", address.TwoDots},
		{"änn..lee@example.com", address.TwoDots},
		{"mailto:ann@example.com", address.LocalCharacter},
		{"ä:nn@example.com", address.LocalCharacter},
		{`ann\@example.com`, address.LocalCharacter},
		{"a\u200bnn@example.com", address.Invisible},
		{"a\u202enn@example.com", address.Invisible},
		{"a\ufffdnn@example.com", address.Invisible},
		{"ann@", address.NoDomain},
		{"ann@[192.0.2.1]", address.Literal},
		{"ann@192.0.2.1", address.Literal},
		{"ann@localhost", address.NoDot},
		{"ann@" + strings.Repeat(label+".", 4) + "com", address.DomainTooLong},
		{"ann@.example.com", address.DomainDot},
		{"ann@example.com.", address.DomainDot},
		{"ann@example..com", address.TwoDots},
		{"ann@" + label + "a.com", address.LabelTooLong},
		{"ann@-example.com", address.Hyphen},
		{"ann@example-.com", address.Hyphen},
		{"ann@exam_ple.com", address.DomainChar},
		{"ann@example.com/x", address.DomainChar},
		{"ann@xn--a.example", address.BadIDN},
		{"ann@-bücher.example", address.BadIDN},
		{"ann@b\u202eücher.example", address.BadIDN},
	}
	for _, tt := range tests {
		a, err := address.Parse(tt.in)
		if tt.want == "" {
			if err != nil {
				t.Errorf("Parse(%q): %v", tt.in, err)
			}
			continue
		}
		if err != tt.want {
			t.Errorf("Parse(%q) = %v, %v; want %q", tt.in, a, err, tt.want)
		}
	}
}

// A duplicate must be found whichever letters it is written in.
func TestCanonicalIsStableForEveryRune(t *testing.T) {
	t.Parallel()
	n := 0
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if unicode.ToLower(r) == r && norm.NFC.IsNormalString(string(r)) {
			continue // nothing is done to it
		}
		a, err := address.Parse("a" + string(r) + "b@example.com")
		if err != nil {
			continue
		}
		check(t, a)
		n++
	}

	if n < 1000 {
		t.Errorf("looked at %d runes, want over a thousand", n)
	}
}

// quotedPart is a quoted local part, and nothing but one.
var quotedPart = regexp.MustCompile(`^"(?:[^"\\]|\\["\\])+"`)

// check holds what the rest of the program relies on.
func check(t *testing.T, a address.Address) {
	t.Helper()
	s := a.String()
	canonical := a.Canonical()
	for _, x := range []string{s, canonical} {
		bare := quotedPart.ReplaceAllString(x, "q")
		if strings.ContainsFunc(x, unicode.IsControl) || strings.ContainsAny(bare, " <>,\"") || !utf8.ValidString(x) || strings.Count(bare, "@") != 1 {
			t.Errorf("%q is not safe to write", x)
		}
	}

	if again, err := address.Parse(s); err != nil || again != a {
		t.Errorf("%q reads again as %v, %v", s, again, err)
	}
	if again, err := address.Parse(canonical); err != nil || again.Canonical() != canonical {
		t.Errorf("canonical %q reads again as %q, %v", canonical, again.Canonical(), err)
	}
	if a.Hash() != address.Hash(canonical) {
		t.Errorf("hash of %q differs from that of its canonical form", s)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"ann@example.com", "Ann <ann@example.com>", "ann@bücher.example", "用户@例え.jp", "a..b@c.de",
		`"a b"@example.com`, `"a\"@b\\"@example.com`, `"a"@b.example`, "\"\u0338\"@b.example",
		"İ@example.com", "\u212a@example.com", "a@xn--bcher-kva.example", "a@ex\u00adample.com", "a@b。c", "a\r\nRCPT TO:<b@c.de>@d.ef",
	} {
		f.Add(s)
	}

	f.Fuzz(func(t *testing.T, s string) {
		a, err := address.Parse(s)
		if err != nil {
			if _, ok := err.(address.Reason); !ok || a != (address.Address{}) {
				t.Errorf("Parse(%q) = %v, %v; want no address and a Reason", s, a, err)
			}
			return
		}
		check(t, a)
	})
}

func ExampleParse() {
	for _, s := range []string{"Ann.Lee@BÜCHER.example", "ann@example"} {
		if a, err := address.Parse(s); err != nil {
			fmt.Println(s+":", err)
		} else {
			fmt.Println(a, a.Canonical())
		}
	}
	// Output:
	// Ann.Lee@xn--bcher-kva.example ann.lee@xn--bcher-kva.example
	// ann@example: no dot in the domain
}

func BenchmarkParse(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := address.Parse("ann.lee42@mail.example.com"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	a := address.Address{Local: "Ann.Lee42.with-a-long-name", Domain: "mail.example.com"}
	b.ReportAllocs()
	for b.Loop() {
		a.Hash()
	}
}
