package backup_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"broadside/campaign/suppression"
	"broadside/internal/backup"
	"broadside/internal/subscribe"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

var at = time.Date(2026, 10, 1, 7, 0, 0, 123e6, time.UTC)

// content is a file of a schedule, of more than one piece.
var content = strings.Repeat("# Hello\n", 35_000)

func sum(text string) string {
	h := sha256.Sum256([]byte(text))
	return hex.EncodeToString(h[:])
}

// proof is that of an address, as it is stored.
func proof(address string) subscribe.Kept {
	return subscribe.Kept{Hash: sum(address), Proof: subscribe.Proof{
		List: "subscribers", Form: "club", Topic: "news", Asked: at.Add(-time.Minute), Confirmed: at, Source: "page", Language: "en", Text: "0123456789ab",
	}}
}

// sample writes a backup with one of everything.
func sample(t testing.TB) []byte { t.Helper(); return sampleOf(t, content) }

func sampleOf(t testing.TB, content string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := backup.NewWriter(&out, backup.Header{Namespace: "acme", Created: at})
	errs := []error{
		err,
		w.Suppression(suppression.Entry{Address: "ada@example.org", Reason: "bounce", Source: "smtp", Run: "r-1", Scope: suppression.All, At: at}),
		w.Suppression(suppression.Entry{Hash: sha256.Sum256([]byte("x@example.org")), Reason: "imported", Scope: "topic:news", At: at, Expires: at.AddDate(20_000, 0, 0)}),
		w.Topic("news"),
		w.Text(backup.Text{Version: "0123456789ab", Words: "Yes, send me news"}),
		w.Proof(proof("zoe@example.com")),
		w.List("subscribers", []string{"email", "first_name"}),
		w.Row([]string{"Grace@example.net", "Gr\"ace\n"}),
		w.Row([]string{"zoe@example.com", "<Zoë>"}),
		w.Schedule(map[string]string{"id": "october"}),
		w.File(backup.File{Key: "content.markdown", Size: int64(len(content)), Sum: sum(content)}, iotest.HalfReader(strings.NewReader(content))),
		w.File(backup.File{Key: "content.text", Size: 0, Sum: sum("")}, strings.NewReader("")),
	}
	counts, err := w.Close()
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatal(err)
	}

	if want := (backup.Counts{Suppressions: 2, Topics: 1, Lists: 1, People: 2, Schedules: 1, Proofs: 1}); counts != want {
		t.Errorf("Close: got %+v, want %+v", counts, want)
	}

	return out.Bytes()
}

// read reads a backup to its end, and describes what is in it.
func read(in io.Reader) (texts []string, err error) {
	r, err := backup.NewReader(in, "b.zst")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	file := ""
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			return texts, nil
		}
		if err != nil {
			return texts, err
		}
		if rec.Data == nil && file != "" {
			texts, file = append(texts, "content "+sum(file)), ""
		}
		switch {
		case rec.Suppression != nil:
			e := rec.Suppression
			texts = append(texts, fmt.Sprintf("suppression %s %x %s %s %s %s %d %d", e.Address, e.Hash[:2], e.Reason, e.Scope, e.Source, e.Run, e.At.UnixMilli(), e.Expires.Year()))
		case rec.Topic != "":
			texts = append(texts, "topic "+rec.Topic)
		case rec.Text != nil:
			texts = append(texts, fmt.Sprintf("text %s %s", rec.Text.Version, rec.Text.Words))
		case rec.Proof != nil:
			p := rec.Proof
			texts = append(texts, fmt.Sprintf("proof %s %s %s %s %d", p.Hash[:4], p.List, p.Topic, p.Text, p.Confirmed.UnixMilli()))
		case rec.List != nil:
			texts = append(texts, fmt.Sprintf("list %s %q", rec.List.Name, rec.List.Columns))
		case rec.Row != nil:
			texts = append(texts, fmt.Sprintf("row %q %s", rec.Row, rec.Address.Canonical()))
		case rec.Schedule != nil:
			texts = append(texts, "schedule "+string(rec.Schedule))
		case rec.File != nil:
			texts = append(texts, fmt.Sprintf("file %s %d", rec.File.Key, rec.File.Size))
		default:
			file += string(rec.Data)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	got, err := read(iotest.OneByteReader(bytes.NewReader(sample(t))))
	if err != nil {
		t.Fatal(err)
	}

	h := sha256.Sum256([]byte("x@example.org"))
	want := []string{
		fmt.Sprintf("suppression ada@example.org 0000 bounce all smtp r-1 %d 1", at.UnixMilli()),
		fmt.Sprintf("suppression  %x imported topic:news   %d %d", h[:2], at.UnixMilli(), 22026),
		"topic news",
		"text 0123456789ab Yes, send me news",
		fmt.Sprintf("proof %s subscribers news 0123456789ab %d", sum("zoe@example.com")[:4], at.UnixMilli()),
		`list subscribers ["email" "first_name"]`,
		`row ["Grace@example.net" "Gr\"ace\n"] grace@example.net`,
		`row ["zoe@example.com" "<Zoë>"] zoe@example.com`,
		`schedule {"id":"october"}`,
		fmt.Sprintf("file content.markdown %d", len(content)), "content " + sum(content),
		"file content.text 0",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}

	r, err := backup.NewReader(bytes.NewReader(sample(t)), "b.zst")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if h := r.Header(); h.Namespace != "acme" || !h.Created.Equal(at) {
		t.Errorf("header: %+v", h)
	}

	first, err := r.Next()
	r.Unread()
	if again, err2 := r.Next(); err != nil || err2 != nil || again.Suppression != first.Suppression {
		t.Errorf("Unread: got %+v, %v after %+v, %v", again, err2, first, err)
	}
}

func plain(t testing.TB, b []byte) string {
	t.Helper()
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	text, err := z.DecodeAll(b, nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func packed(t testing.TB, text string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(zstd.MinWindowSize))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll([]byte(text), nil)
}

// A file that is not whole is refused, wherever it was cut.
func TestCutOff(t *testing.T) {
	t.Parallel()
	b := sample(t)
	for n := 0; n < len(b); n += 1 + n/32 {
		if _, err := read(bytes.NewReader(b[:n])); !isFileError(err) {
			t.Fatalf("%d of %d bytes: got %v, want a *FileError", n, len(b), err)
		}
	}

	text := plain(t, b)
	for i := range strings.Count(text, "\n") {
		lines := strings.SplitAfter(text, "\n")
		short := strings.Join(append(lines[:i:i], lines[i+1:]...), "") // without line i
		if _, err := read(bytes.NewReader(packed(t, short))); !isFileError(err) {
			t.Errorf("without line %d: got %v, want a *FileError", i+1, err)
		}
	}
}

func isFileError(err error) bool {
	var e *backup.FileError
	return errors.As(err, &e)
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	b := sample(t)
	text := plain(t, b)
	head, _, _ := strings.Cut(text, "\n")
	head += "\n"
	for _, tt := range []struct{ name, text, want string }{
		{"empty", "", "not a backup"},
		{"another file", "email,name\n", "not a backup"},
		{"JSON of somebody else", "{}\n", "not a backup"},
		{"a later version", strings.Replace(text, `"version":2`, `"version":3`, 1), "b.zst:1: a backup of version 3, expected at most 2"},
		{"no version", strings.Replace(text, `"version":2`, `"version":0`, 1), "b.zst:1: a backup of version 0"},
		{"a proof without a hash", head + `{"proof":{"sha256":"00ff","list":"l","topic":"news"}}` + "\n", "b.zst:2: not a proof: sha256"},
		{"a proof without a time", head + `{"proof":{"sha256":"` + sum("x") + `","list":"l","topic":"news"}}` + "\n", "found no time"},
		{"a proof without a place", head + `{"proof":{"sha256":"` + sum("x") + `","asked":"2026-10-01T07:00:00Z"}}` + "\n", "expected the names of both"},
		{"a proof with the row of somebody else", head + `{"proof":{"sha256":"` + sum("x") + `","list":"l","topic":"news","asked":"2026-10-01T07:00:00Z","confirmed":"2026-10-01T07:00:00Z","row":{"address":"ada@example.org"}}}` + "\n", "another one"},
		{"a changed word", strings.Replace(text, "bounce", "bounced", 1), "does not agree with those before it"},
		{"a changed count", strings.Replace(text, `"people":2`, `"people":3`, 1), "does not agree with those before it"},
		{"a changed file", strings.Replace(text, `{"data":"I`, `{"data":"J`, 1), "the file content.markdown before this line is damaged"},
		{"more than the file", head + `{"schedule":{}}` + "\n" + `{"file":{"key":"k","size":1,"sha256":""}}` + "\n" + `{"data":"AAAA"}` + "\n", "b.zst:4: a piece of 3 bytes"},
		{"something behind", text + "{}\n", "something follows"},
		{"an unknown line", head + `{"warmup":{}}` + "\n", `b.zst:2: not a line of a backup: json: unknown field "warmup"`},
		{"no content", head + "{}\n", "without content"},
		{"a row too early", head + `["a@example.org"]` + "\n", "belongs to no list"},
		{"a file too early", head + `{"file":{"key":"x","size":0,"sha256":""}}` + "\n", "belongs to no schedule"},
		{"data too early", head + `{"data":"AA=="}` + "\n", "belongs to no file"},
		{"no address in a list", head + `{"list":{"name":"l","columns":["name"]}}` + "\n", "no column email"},
		{"a bad address", head + `{"list":{"name":"l","columns":["email"]}}` + "\n" + `["ada"]` + "\n", "b.zst:3: not an address"},
		{"a short row", head + `{"list":{"name":"l","columns":["email","b"]}}` + "\n" + `["ada@example.org"]` + "\n", "1 values, expected 2"},
		{"a suppression of nobody", head + `{"suppression":{"at":1}}` + "\n", "neither an address nor a hash"},
		{"half a hash", head + `{"suppression":{"sha256":"00ff","at":1}}` + "\n", "64 hexadecimal digits"},
		{"a line without an end", head + strings.Repeat("x", 9<<20), "longer than"},
		{"half a line", head + `{"topic"`, "cut off"},
	} {
		_, err := read(bytes.NewReader(packed(t, tt.text)))
		if !isFileError(err) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}

	if _, err := read(strings.NewReader("address\nada@example.org\n")); !isFileError(err) || !strings.Contains(err.Error(), "not a backup") {
		t.Errorf("an uncompressed file: got %v", err)
	}

	broken := bytes.Clone(b)
	broken[len(broken)/2] ^= 0xff
	if _, err := read(bytes.NewReader(broken)); !isFileError(err) {
		t.Errorf("a flipped byte: got %v, want a *FileError", err)
	}

	ill := errors.New("the disk is ill")
	if _, err := read(io.MultiReader(bytes.NewReader(b[:len(b)/2]), iotest.ErrReader(ill))); !errors.Is(err, ill) || isFileError(err) {
		t.Errorf("a disk that fails: got %v, want its error", err)
	}
}

// A file that changed while it was stored is not written as if it were good.
func TestWriterChecksFiles(t *testing.T) {
	t.Parallel()
	w, err := backup.NewWriter(io.Discard, backup.Header{})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []backup.File{{Key: "k", Size: 3, Sum: sum("abc")}, {Key: "k", Size: 2, Sum: sum("ab!")}} {
		if err := w.File(f, strings.NewReader("ab")); err == nil || !strings.Contains(err.Error(), "write k to the backup") {
			t.Errorf("%+v: got %v", f, err)
		}
	}
}

// Whatever a file holds: an end, or an error that says where; and what is read
// can be written and read again.
func FuzzReader(f *testing.F) {
	b := sampleOf(f, "# Hello\n")
	f.Add(plain(f, b))
	head, _, _ := strings.Cut(plain(f, b), "\n")
	f.Add(head + "\n" + `{"list":{"name":"l","columns":["email"]}}` + "\n" + `["a@example.org"]` + "\n{\"end\":{}}\n")
	f.Add(head + "\n" + `{"suppression":{"sha256":"` + strings.Repeat("0a", 32) + `","at":-1,"expires":9223372036854775807}}` + "\n")
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		in := packed(t, text)
		if strings.HasPrefix(text, "raw") {
			in = []byte(text[3:])
		}
		if _, err := read(bytes.NewReader(in)); err != nil && !isFileError(err) {
			t.Fatalf("%v is no *FileError", err)
		}
	})
}
