package replytext

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Replies as providers give them, and what is left of them next to a number below
// a million.
var replies = []struct{ name, text, want string }{
	{"postfix long id", "2.0.0 Ok: queued as 4Bxyz3lzPQz1Rk", ""},
	{"postfix long id without a figure", "Ok: queued as BxyzmlzPQzyRkT", ""},
	{"postfix short id", "Ok: queued as 7A3F12C0D9B", ""},
	{"ses", "Ok 0102018f4c0e1a2b-1a2b3c4d-5e6f-7a8b-9c0d-1e2f3a4b5c6d-000000", ""},
	{"ses without letters", "Ok 0102018141041121-12213445-5267-7182-9102-142536475869-000000", ""},
	{"gmail", "2.0.0 OK  1732400000 d9443c01a7336-2129d4e12absm1234567plb.12 - gsmtp", ""},
	{"gmail, another server", "2.0.0 OK  1732400000 432da2a4c51fe-aa53257f1d5si155105575e9.193 - gsmtp", ""},
	{
		"gmail, a long id", "2.0.0 OK  1732400000 fh4-20020a1709073a8400b0078d9b4e1234si12345678ejc.1234 - gsmtp",
		"2.0.0 OK  … fh4-20020a1709073a8400b0078d9b4e1234si12345678ejc… - gsmtp",
	},
	{"sendgrid", "Ok: queued as <Zr1aBcDeFgH_jK-mNoPq4w>", ""},
	{"sendgrid without a figure", "Ok: queued as ZrIaBcDeFgHijKlmNoPqRw", ""},
	{"exim", "OK id=1sKabc-0000000ABCD-1xyZ", ""},
	{"opensmtpd", "2.0.0: 3a2b1c0d Message accepted for delivery", ""},
	{"sendmail", "4BNAbc12345678 Message accepted for delivery", ""},
	{
		"office 365", "2.6.0 <8f2c.1732400000@news.example> [InternalId=14087614791234, Hostname=AM0PR04MB1234.eurprd04.prod.outlook.com] 12345 bytes in 0.123, 97.562 KB/sec Queued mail for delivery",
		"2.6.0 <…> [InternalId=14087614791234, Hostname=…] 12345 bytes in 0.123, 97.562 KB/sec Queued mail for delivery",
	},
	{"yandex", "Ok: queued on mxback-main-12.sas.yp-c.yandex.net 1732400000-AbCdEfGhIj0k", "Ok: queued on … 1732400000-AbCdEfGhIj0k"},
	{"a short id", "ok: queued as fe", ""},
	{"a word that could be an id", "Thank you as always, a dead letter", ""},
	{"an address", "john.doe@example.com recipient accepted", "… recipient accepted"},
	{"no id", "Great success", ""},
	{"nothing", "", ""},
	{"one word that is too long", "queued as " + strings.Repeat("Zr1aBcDeFgH_", 6), "queued as Zr1aBcDeFgH_Zr1aBcDeFgH_Zr1aBcDeFgH_Zr…"},
}

func TestTheIDOfAReplySurvives(t *testing.T) {
	t.Parallel()
	const n, of = 999_999, 1_000_000
	for _, c := range replies {
		want := c.want
		if want == "" {
			want = c.text
		}

		pattern, packed := Pack(c.text, n, of)
		text, got, ok := Unpack(pattern, packed, of)
		if !ok || got != n || len(packed) > maxPacked {
			t.Errorf("%s: pattern %q, % x: number %d, %v", c.name, pattern, packed, got, ok)
		}

		if diff := cmp.Diff(want, text); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
		t.Logf("%2d bytes, %q", len(packed), pattern)
	}
}

// TestPatternsAreFew: ids of one server, whatever figures and letters they have,
// must not make a pattern each.
func TestPatternsAreFew(t *testing.T) {
	t.Parallel()
	const postfix = "0123456789BCDFGHJKLMNPQRSTVWXYZbcdfghjklmnpqrstvwxyz"
	const base64url = figures + lower + upper + "-_"
	ids := []struct {
		name, alphabet string
		length, most   int
	}{
		{"postfix", postfix, 14, 4},
		{"short postfix", figures + upper[:6], 10, 5},
		{"base64url", base64url, 22, 4},
		{"hex", figures + lower[:6], 8, 4},
		{"uuid", figures + lower[:6], 32, 1},
	}
	for name, format := range map[string]string{"hex counter": "%x", "HEX counter": "%X", "base 36 counter": ""} {
		seen := map[string]int{}
		for n := range 20_000 {
			word := strconv.FormatInt(int64(n), 36)
			if format != "" {
				word = fmt.Sprintf(format, n)
			}
			pattern, _ := Pack("2.0.0 ok: queued as "+word, 0, 1)
			seen[pattern]++
		}

		if len(seen) > 4 {
			t.Errorf("%s: %d patterns, expected at most 4", name, len(seen))
		}
	}

	for _, id := range ids {
		seen := map[string]int{}
		seed := uint32(1)
		for range 20_000 {
			word := make([]byte, id.length)
			for i := range word {
				seed = seed*1664525 + 1013904223
				word[i] = id.alphabet[int(seed>>8)%len(id.alphabet)]
			}
			pattern, _ := Pack("queued as "+string(word), 0, 1)
			seen[pattern]++
		}

		if len(seen) > id.most {
			t.Errorf("%s: %d patterns, expected at most %d", id.name, len(seen), id.most)
		}
	}
}

func TestCoreIsTheID(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"250 bytes, 12 ms, queued as 4Bxyz3lzPQz1Rk on mx12.relay.example": "… 4Bxyz3lzPQz1Rk …",
		"Great success": "…",
		"at 1732400000": "… 1732400000 …",
	} {
		if got := Core(text); got != want {
			t.Errorf("%q: %q, expected %q", text, got, want)
		}
	}
}

func FuzzPack(f *testing.F) {
	for _, c := range replies {
		f.Add(c.text, uint64(7), uint64(1000))
	}

	f.Fuzz(func(t *testing.T, text string, n, of uint64) {
		of = max(1, of%100_000_001)
		n %= of
		pattern, packed := Pack(text, n, of)
		got, at, ok := Unpack(pattern, packed, of)
		if !ok || at != n || len(packed) > maxPacked {
			t.Fatalf("pattern %q, % x: number %d, %v", pattern, packed, at, ok)
		}

		// What is left away is left away, and nothing else changes.
		rest := printable(text)
		for k, piece := range strings.Split(got, omitted) {
			i := strings.Index(rest, piece)
			if i < 0 || k == 0 && i > 0 {
				t.Fatalf("%q is not what %q says", got, text)
			}
			rest = rest[i+len(piece):]
		}
	})
}

func FuzzUnpack(f *testing.F) {
	for _, c := range replies {
		pattern, packed := Pack(c.text, 7, 1000)
		f.Add(pattern, packed)
	}
	f.Fuzz(func(_ *testing.T, pattern string, packed []byte) {
		Unpack(pattern, packed, 1000)
	})
}

func BenchmarkPack(b *testing.B) {
	for _, c := range replies {
		if c.name != "postfix long id" && c.name != "ses" && c.name != "gmail" && c.name != "office 365" {
			continue
		}
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Pack(c.text, 7, 1_000_000)
			}
		})
	}
}
