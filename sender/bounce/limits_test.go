package bounce

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

// An endless reads as long as somebody asks, and counts.
type endless struct {
	begin io.Reader
	read  int64
}

func (e *endless) Read(p []byte) (int, error) {
	n, err := e.begin.Read(p)
	if err == io.EOF {
		n = copy(p, bytes.Repeat([]byte("x"), len(p)))
		err = nil
	}
	e.read += int64(n)
	return n, err
}

// TestSizeOfAMessage: much is read so that who writes it is not cut off, little is kept.
func TestSizeOfAMessage(t *testing.T) {
	in := &endless{begin: bytes.NewReader(message(daemonHeader, unknownAnn+"\n\n--- Original message follows.\n\n"))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	notices, err := Decode(in)
	runtime.ReadMemStats(&after)
	if err != nil || len(notices) != 1 || notices[0].Recipient != "ann@example.net" {
		t.Errorf("found %v, %v", notices, err)
	}
	if in.read < maxRead || in.read > maxRead+1<<20 {
		t.Errorf("%d bytes were read, expected %d", in.read, maxRead)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 48<<20 { // all that was ever taken, most of it for a moment
		t.Errorf("it took %d bytes of memory", got)
	}
}

func TestErrorsOfTheReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	if _, err := Decode(io.MultiReader(strings.NewReader("From: a\n"), iotest.ErrReader(broken))); !errors.Is(err, broken) {
		t.Errorf("found %v", err)
	}
	for _, text := range []string{"", "\n\n\n", "hello", "name: value\n\ntext", "\x00\x01\x02", "{\"json\": true}"} {
		if _, err := Decode(strings.NewReader(text)); !errors.Is(err, ErrNoMessage) {
			t.Errorf("%q: found %v, expected that it is no message", text, err)
		}
	}
}

// nested returns a message within messages.
func nested(depth int, inner string) string {
	for i := range depth {
		inner = fmt.Sprintf("Content-Type: multipart/mixed; boundary=n%d\n\n--n%d\n%s\n--n%d--\n", i, i, inner, i)
	}
	return inner
}

// TestWhatCostsMuchElsewhere is what can hold or swell a program that reads mail.
func TestWhatCostsMuchElsewhere(t *testing.T) {
	t.Parallel()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write(make([]byte, 64<<20))
	_ = w.Close()
	bomb := base64.StdEncoding.EncodeToString(packed.Bytes())
	zeros := base64.StdEncoding.EncodeToString(make([]byte, 700<<10))

	daemon := daemonHeader + "\nSubject: Undelivered Mail Returned to Sender\n"
	for name, text := range map[string]string{
		"nested multiparts":     daemon + nested(1000, "Content-Type: text/plain\n\n"+unknownAnn),
		"nested messages":       daemon + strings.Repeat("Content-Type: message/rfc822\n\n", 20_000),
		"many parts":            daemon + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b\n\nx\n", 100_000),
		"many boundaries alike": daemon + "Content-Type: multipart/mixed; boundary=b\n\n" + strings.Repeat("--b", 300_000),
		"many fields":           daemon + strings.Repeat("X: y\n", 150_000) + "\n" + unknownAnn,
		"a long field":          daemon + "X: " + strings.Repeat("y", 900_000) + "\n\n" + unknownAnn,
		"a folded field":        daemon + "X: y\n" + strings.Repeat(" y\n", 300_000) + "\n" + unknownAnn,
		"many parameters":       daemon + "Content-Type: multipart/mixed" + strings.Repeat("; a=b", 100_000) + "\n\n" + unknownAnn,
		"encoded words":         daemon + "Subject: " + strings.Repeat("=?utf-8?q?=C3=A4?= ", 40_000) + "\n\n" + unknownAnn,
		"gzip":                  daemon + "Content-Type: application/gzip\nContent-Transfer-Encoding: base64\n\n" + bomb,
		"gzip as a message":     daemon + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + bomb,
		"base64":                daemon + "Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + zeros,
		"open HTML":             daemon + "Content-Type: text/html\n\n" + strings.Repeat("<div><a href='", 60_000),
		"entities":              daemon + "Content-Type: text/html\n\n" + strings.Repeat("&amp;", 200_000),
		"recipients in a text":  daemon + "\n" + strings.Repeat("<ann@example.net>: no\n<bob@example.net>: no\n", 20_000),
		"other recipients":      daemon + "\n" + manyAddresses("<a%d@example.net>: no\n", 40_000),
		"a line of addresses":   daemon + "\n" + manyAddresses("a%d@example.net ", 50_000),
		"statuses":              daemon + "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n" + manyAddresses("Final-Recipient: rfc822; a%d@example.net\nAction: failed\n\n", 15_000),
		"replies":               daemon + "\n<ann@example.net>: " + strings.Repeat("550 5.1.1 550-", 60_000),
		"quoted":                daemon + "\n" + strings.Repeat(">", 900_000),
		"marks of returning":    daemon + "\n" + strings.Repeat("the original message was received\n", 25_000),
		"links":                 daemon + "\n" + strings.Repeat("/u/", 300_000),
		"one long word":         daemon + "\n" + strings.Repeat("a", 900_000) + "@example.net",
		"dots":                  daemon + "\n" + strings.Repeat("a.", 400_000) + "@" + strings.Repeat("b.", 40_000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			notices, err := Decode(strings.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			if len(notices) == 0 || len(notices) > maxNotices {
				t.Errorf("found %d notices", len(notices))
			}
			for _, n := range notices {
				Judge(nil, n)
				if size := len(n.Reply) + len(n.Recipient) + len(n.ID); size > 4000 {
					t.Errorf("a notice has %d bytes", size)
				}
			}
			if took := time.Since(start); took > 20*time.Second { // 100 times what it takes on a quiet machine
				t.Errorf("it took %v", took)
			} else {
				t.Log(took)
			}
		})
	}
}

func manyAddresses(form string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, form, i)
	}
	return b.String()
}

func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(arf("Feedback-Type: abuse\nOriginal-Rcpt-To: ann@example.net", "To: ann@example.net\n\n"))
	f.Add(report("Final-Recipient: rfc822; ann@example.net\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 no"))
	f.Fuzz(func(t *testing.T, text []byte) {
		notices, err := Decode(bytes.NewReader(text))
		if err != nil {
			if !errors.Is(err, ErrNoMessage) {
				t.Fatal(err)
			}
			return
		}
		if len(notices) == 0 || len(notices) > maxNotices {
			t.Fatalf("found %d notices", len(notices))
		}
		for _, n := range notices {
			class, reason, _ := Judge(nil, n)
			if class == "" || reason == "" {
				t.Fatalf("%v comes to %q by %q", n, class, reason)
			}
			if len(n.Returned) > maxTokens || len(n.Quoted) > maxTokens || len(n.Links) > maxTokens || len(n.Recipient) > maxAddress || len(n.Reply) > maxSaid+100 {
				t.Fatalf("too much: %v", n)
			}
		}
	})
}
