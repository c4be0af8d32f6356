package campaign_test

import (
	"strings"
	"testing"

	"broadside/campaign"
)

const plainFile = "id: a\ntopic: a\naudience: {source: a.csv}\ncontent: {html: a.html}\n"

func TestWarnings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ lines, want string }{
		{"from: Acme <news@acme.example>", ""},
		{"from: news@gmail.example", ""},
		{"from: Acme <acme@gmail.com>", "f.yaml:5:7: from: found an address at gmail.com, a mailbox provider"},
		{"from: Acme <acme@GoogleMail.com>", "at googlemail.com"},
		{"from: acme@yahoo.co.uk", "at yahoo.co.uk"},
		{"from: acme@hotmail.fr", "at hotmail.fr"},
		{"from: acme@outlook.com", "at outlook.com"},
		{"from: acme@gmx.de", "at gmx.de"},
		{"from: acme@gmx.fr", "at gmx.fr"},
		{"from: acme@web.de", "at web.de"},
		{"from: acme@t-online.de", "at t-online.de"},
		{"from: acme@mail.gmail.example", ""},
		{"from: root@localhost", "found the domain localhost, which only your own network knows"},
		{"from: news@intranet", "found the domain intranet"},
		{"from: news@web1.local", "found the domain web1.local"},
		{"from: '\"ceo@bank.example\" <x@y.example>'", "found the address ceo@bank.example as the name of x@y.example"},
		{"from: '\"CEO (ceo@bank.example)\" <x@y.example>'", "found the address ceo@bank.example"},
		{"from: '\"X@y.example\" <x@y.example>'", ""},
		{"from: '\"Acme @ home\" <x@y.example>'", ""},
		{"from: a@b.example\nreply_to: acme@gmail.com", ""},
		{"from: a@b.example\nreply_to: acme@intranet", "f.yaml:6:11: reply_to: found the domain intranet"},
		{"from: a@b.example\nsubject: " + strings.Repeat("x", 150), ""},
		{"from: a@b.example\nsubject: " + strings.Repeat("ü", 151), "f.yaml:6:10: subject: found 151 characters: mail programs show some 60"},
		{"from: a@b.example\nsubject: " + strings.Repeat("x", 1000), "subject: found 1000 characters: what is beyond 250 is cut"},
		{"from: a@b.example\nsubject: \"Hello {{" + strings.Repeat(" ", 300) + ".a }}\"", ""},
	} {
		file := plainFile + tt.lines + "\n"
		if !strings.Contains(file, "subject:") {
			file += "subject: s\n"
		}

		d, err := campaign.Parse("f.yaml", ".", []byte(file))
		if err != nil {
			t.Errorf("%s: %v", tt.lines, err)
			continue
		}

		got := d.Warnings().Error()
		if tt.want == "" && got != "" || !strings.Contains(got, tt.want) || strings.Contains(got, "\n") {
			t.Errorf("%.80s: got %q, want %q", tt.lines, got, tt.want)
		}
	}
}

// What cannot stand in a header, or would not be what its author wrote, is found
// when the file is read.
func TestHeaderSources(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 5000)
	for _, tt := range []struct{ key, value, want string }{
		{"subject", "Acme News #12 spring", `found "Acme News", and YAML leaves out "#12 spring" as a comment; write subject: "Acme News #12 spring", or put the comment on a line of its own`},
		{"subject", "#12 spring", `found nothing, and YAML leaves out "#12 spring" as a comment; write subject: "#12 spring"`},
		{"subject", `He said "hi" #1`, `write subject: 'He said "hi" #1'`},
		{"subject", "Hello # a note", `write subject: "Hello # a note"`},
		{"preheader", "All about #12", `write preheader: "All about #12"`},
		{"preheader", "#1 in town", `write preheader: "#1 in town"`},
		{"from", "Acme #1 <a@b.example>", `write from: "Acme #1 <a@b.example>"`},
		{"reply_to", "Acme #1 <a@b.example>", `write reply_to: "Acme #1 <a@b.example>"`},
		{"from", "Acme, Inc. <a@b.example>", `write '"Acme, Inc." <a@b.example>'`},
		{"from", `"Acme, Inc." <a@b.example>`, `found text behind the closing quote; put quotes around the whole value: from: '"Acme, Inc." <a@b.example>'`},
		{"subject", `"Acme" News`, `put quotes around the whole value: subject: '"Acme" News'`},
		{"from", "O'Neil, Sons <a@b.example>", `write '"O''Neil, Sons" <a@b.example>'`},
		{"from", "Acme (News) [x]; <a@b.example>", `write '"Acme (News) [x];" <a@b.example>'`},
		{"from", "a@b.example, Acme <c@d.example>", `write '"a@b.example, Acme" <c@d.example>'`},
		{"from", "A <a@b.example>, B <c@d.example>", "expected one mailbox"},
		{"from", long + " <a@b.example>", "a name of 5000 characters, expected at most 200"},
		{"from", "Acme <" + long + "@b.example>", "with 5000 bytes before the @, expected at most 64"},
		{"from", "Acme <jürgen@b.example>", "letters before the @ that are not ASCII"},
		{"reply_to", "jürgen@b.example", "letters before the @ that are not ASCII"},
		{"from", "a@" + strings.Repeat("ü", 80) + ".example", "no name that DNS can have"},
		{"from", "a@" + strings.Repeat("b.", 100) + "example", "a domain of 207 bytes, expected at most 200"},
		{"from", `"Acme \u202eswen <a@b.example>"`, "has the invisible character U+202E"},
		{"from", `"=?utf-8?q?A=E2=80=AE?= <a@b.example>"`, "has the invisible character U+202E"},
		{"from", `"=?utf-8?q?A=0D=0AB?= <a@b.example>"`, "expected one line of text"},
		{"from", `"Acme\u2028B <a@b.example>"`, "expected one line of text"},
		{"subject", `"Acme \u2066x"`, "U+2066"},
		{"subject", `"Acme \u200fx"`, "U+200F"},
		{"subject", `"Acme \u061cx"`, "U+061C"},
		{"subject", `"Acme \u2029x"`, "expected one line of text"},
		{"subject", `"   "`, "expected one line of text that is not empty"},
		{"preheader", `"Acme \u202dx"`, "U+202D"},
	} {
		_, err := campaign.Parse("f.yaml", ".", []byte(headerFile(tt.key, tt.value)))
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "f.yaml:5:") || !strings.Contains(err.Error(), tt.key+": ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %.80s: got %.300v, want %q", tt.key, tt.value, err, tt.want)
		}
	}
}

// headerFile is a campaign file with a value of one key, on line 5.
func headerFile(key, value string) string {
	file := plainFile + key + ": " + value + "\n"
	if key != "from" {
		file += "from: a@b.example\n"
	}
	if key != "subject" {
		file += "subject: s\n"
	}
	return file
}

func TestHeaderSourcesThatAreFine(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ key, value, want string }{
		{"subject", `"Acme News #12 spring" # a note`, "Acme News #12 spring"},
		{"subject", "'#1' # a note", "#1"},
		{"subject", "Acme News#12", "Acme News#12"},
		{"subject", ">- # a note\n  Acme News #12", "Acme News #12"},
		{"preheader", "# nothing yet", ""},
		{"preheader", "", ""},
		{"from", "Müller <a@bücher.example>", "Müller <a@xn--bcher-kva.example>"},
		{"from", "a@BÜCHER.example", "a@xn--bcher-kva.example"},
		{"from", "Acme <a@B.Example>", "Acme <a@B.Example>"},
		{"reply_to", `'"Bücher, a@bücher.example" <a@bücher.example>'`, `"Bücher, a@bücher.example" <a@xn--bcher-kva.example>`},
		{"from", strings.Repeat("ü", 200) + " <a@b.example>", strings.Repeat("ü", 200) + " <a@b.example>"},
	} {
		d, err := campaign.Parse("f.yaml", ".", []byte("\ufeff"+headerFile(tt.key, tt.value)))
		if err != nil {
			t.Errorf("%s: %.80s: %v", tt.key, tt.value, err)
			continue
		}

		got := map[string]string{"subject": d.Subject, "preheader": d.Preheader, "from": d.From, "reply_to": d.ReplyTo}[tt.key]
		if got != tt.want {
			t.Errorf("%s: %.80s: got %q, want %q", tt.key, tt.value, got, tt.want)
		}
	}
}
