package message_test

import (
	"strings"
	"testing"

	"broadside/templates/message"
)

// letter20K is a part of the size that newsletters have: 20 KB of HTML.
func letter20K() message.Part {
	p := part()
	p.HTML = message.Text(strings.Repeat("<tr><td style=\"padding:12px 0;font-size:16px;line-height:1.5\">A line of text of usual length, with <a href=\"https://acme.example/a?b=c\">a link</a>.</td></tr>\n", 130))
	p.Text = message.Text(strings.Repeat("A line of text of usual length, with a link (https://acme.example/a?b=c).\n", 40))
	return p
}

func BenchmarkAppend(b *testing.B) {
	sk, err := message.Compile(spec)
	if err != nil {
		b.Fatal(err)
	}

	p := letter20K()
	var dst []byte
	b.ReportAllocs()
	b.SetBytes(int64(len(text(p.HTML)) + len(text(p.Text))))
	for b.Loop() {
		if dst, err = sk.Append(dst[:0], &p); err != nil {
			b.Fatal(err)
		}
	}
}

func TestAppendAllocations(t *testing.T) {
	sk, err := message.Compile(spec)
	if err != nil {
		t.Fatal(err)
	}

	p := letter20K()
	dst, err := sk.Append(nil, &p)
	if err != nil {
		t.Fatal(err)
	}

	if n := testing.AllocsPerRun(100, func() { dst, _ = sk.Append(dst[:0], &p) }); n > 0 {
		t.Errorf("%v allocations a message into a buffer that is large enough, want none", n)
	}
}
