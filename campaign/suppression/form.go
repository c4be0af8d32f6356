package suppression

import (
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

//go:embed form.lua
var formSource string

// withForm puts what reads stored values in front of a script, after its line of flags.
func withForm(src string) string {
	flags, rest, _ := strings.Cut(src, "\n")
	return flags + "\n" + formSource + rest
}

// A stored value has one of two forms. The long one can say everything:
//
//	expires TAB at TAB reason TAB source TAB run TAB address [TAB lane [TAB evidence]]
//
// Times are Unix milliseconds, 0 is never; expires comes first because every
// look-up reads it. In place of the address an entry of a domain has "*@" and the
// domain; one that knows only the hash has ":" (which no address contains) and the
// second half of the hash in hexadecimal. Fields may be added at the end.
//
// The short one is for addresses, without lane and evidence: what is imported, and what
// readers say. A million of these are most of what a list costs.
//
//	expires TAB reason at source address [TAB run [TAB reason [TAB source]]]
//	expires TAB REASON at source packed
//	expires TAB source+128 late reference packed
//
// reason and source are a letter each, and stand in full at the end where theirs is
// fullText. at has six digits to the base of 128, from byte 128 on. Half a hash has 22
// characters of base64. Fields may be added at the end. A capital letter for the reason
// means that the address is packed, which may give any byte, and is all that follows.
//
// The third line is an unsubscribe by the link of a message, of which there are as many as
// of all others: its first byte is the letter of the source with the highest bit set, late
// has the milliseconds since 2020 in five bytes, and the run is a reference (runs.go). In the
// first line the run may be a reference too, with its mark.
//
// A version that does not know the short form holds such an entry: it sees that it does
// not expire, keeps mail back, and overwrites it with nothing.
const (
	shortHead = 1 + timeBytes + 1 // reason, at, source
	timeBytes = 6
	timeBits  = 7
	timeBase  = 1 << timeBits
	fullText  = '.'

	withRun   = 1 << 7 // of the letter of the source
	lateBytes = 5
	lateHead  = 1 + lateBytes + refSize
	lateBegin = 1_577_836_800_000 // 2020-01-01, Unix milliseconds
)

// The letters of reasons, in lower case, and of sources. They are stored: only ever append.
var (
	reasonLetters = newLetters(
		"n", "", "b", ReasonBounce, "p", ReasonComplaint, "u", ReasonUnsubscribe, "m", ReasonManual, "i", ReasonImported)
	sourceLetters = newLetters(
		"n", "", "i", "import", "o", "operator", "s", sourceSMTP, "1", "one-click", "p", "page", "m", "mailbox", "l", "listen", "g", "ingest",
		"e", sourceErased, "A", "import ses", "B", "import sendgrid", "C", "import mailgun", "D", "import postmark",
		"a", "hook:ses", "b", "hook:sendgrid", "c", "hook:mailgun", "d", "hook:postmark", "h", "hook:generic")
)

// letters are the words that have a letter in the short form.
type letters struct {
	letter map[string]byte
	word   map[byte]string
}

func newLetters(pairs ...string) letters {
	l := letters{map[string]byte{}, map[byte]string{}}
	for i := 0; i < len(pairs); i += 2 {
		l.letter[pairs[i+1]] = pairs[i][0]
		l.word[pairs[i][0]] = pairs[i+1]
	}
	return l
}

// of returns the letter of a word, and what stands in full at the end.
func (l letters) of(word string) (letter byte, full string) {
	if letter, ok := l.letter[word]; ok {
		return letter, ""
	}
	return fullText, word
}

// read is the inverse of of.
func (l letters) read(letter byte, full string) (string, error) {
	if letter == fullText {
		return full, nil
	}
	word, ok := l.word[letter]
	if !ok {
		return "", fmt.Errorf("found the letter %q, expected one that this version knows", letter)
	}
	return word, nil
}

// short returns the short form of an entry without its expiry and without packing: the
// head, and what stands after the address. It reports false for an entry that
// has only the long one.
func (e Entry) short() (head, tail string, ok bool) {
	at := e.At.UnixMilli()
	if e.Domain != "" || e.Lane != "" || e.Evidence != "" || at < 0 || at >= 1<<(timeBits*timeBytes) {
		return "", "", false
	}

	reason, fullReason := reasonLetters.of(e.Reason)
	source, fullSource := sourceLetters.of(e.Source)
	b := [shortHead]byte{0: reason, shortHead - 1: source}
	for i := timeBytes; i > 0; i-- {
		b[i] = timeBase | byte(at%timeBase)
		at /= timeBase
	}
	tail = "\t" + e.Run + "\t" + fullReason + "\t" + fullSource
	return string(b[:]), strings.TrimRight(tail, "\t"), true
}

// encodeShort returns the stored value in the short form, if the entry has one.
func (e Entry) encodeShort() (string, bool) {
	head, tail, ok := e.short()
	if !ok {
		return "", false
	}
	expires := strconv.FormatInt(e.expiresMilli(), 10) + "\t"
	if e.Address == "" {
		return expires + head + shortHashOnly(e.Hash) + tail, true
	}
	packed, ok := pack(e.Address)
	switch {
	case ok && tail == "":
		return expires + strings.ToUpper(head[:1]) + head[1:] + packed, true
	case ok && isRef(e.Run) && tail == "\t"+e.Run && e.Reason == ReasonUnsubscribe:
		if late, ok := lateOf(e.At); ok {
			return expires + string([]byte{head[shortHead-1] | withRun}) + late + strings.TrimPrefix(e.Run, runMark) + packed, true
		}
	}
	return expires + head + e.Address + tail, true
}

// lateOf returns the milliseconds since lateBegin in lateBytes; false where they are not
// that many.
func lateOf(at time.Time) (string, bool) {
	n := at.UnixMilli() - lateBegin
	if n < 0 || n >= 1<<(8*lateBytes) {
		return "", false
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(n))
	return string(b[len(b)-lateBytes:]), true
}

// isShort reports whether what follows the expiry is in the short form: the long one
// goes on with a number.
func isShort(text string) bool {
	return text != "" && (text[0] == fullText || text[0] >= 'a' && text[0] <= 'z' || text[0] >= 'A' && text[0] <= 'Z' || text[0] >= withRun)
}

// decodeShort reads what follows the expiry in the short form into e.
func decodeShort(e *Entry, text string) error {
	if text[0] >= withRun {
		return decodeWithRun(e, text)
	}
	if len(text) <= shortHead {
		return fmt.Errorf("value of %d bytes in the short form, expected more than %d", len(text), shortHead)
	}
	var at int64
	for _, c := range []byte(text[1 : timeBytes+1]) {
		if c < timeBase {
			return fmt.Errorf("read time: found the digit %q", c)
		}
		at = at<<timeBits | int64(c-timeBase)
	}
	e.At = time.UnixMilli(at).UTC()

	const fields = 4
	v := make([]string, fields)
	reason := text[0]
	rest := text[shortHead:]
	var err error
	if reason >= 'A' && reason <= 'Z' {
		reason += 'a' - 'A'
		if v[0], err = unpack(rest); err != nil {
			return fmt.Errorf("read address: %w", err)
		}
	} else {
		copy(v, strings.SplitN(rest, "\t", fields+1))
	}

	e.Address = v[0]
	e.Run = v[1]
	if e.Reason, err = reasonLetters.read(reason, v[2]); err != nil {
		return fmt.Errorf("read reason: %w", err)
	}
	if e.Source, err = sourceLetters.read(text[shortHead-1], v[3]); err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	return nil
}

// decodeWithRun is decodeShort for an unsubscribe whose run is a reference.
func decodeWithRun(e *Entry, text string) error {
	if len(text) <= lateHead {
		return fmt.Errorf("value of %d bytes with a run, expected more than %d", len(text), lateHead)
	}
	var late int64
	for _, b := range []byte(text[1 : 1+lateBytes]) {
		late = late<<8 | int64(b)
	}
	e.At = time.UnixMilli(lateBegin + late).UTC()
	e.Reason = ReasonUnsubscribe
	e.Run = runMark + text[1+lateBytes:lateHead]

	letter := text[0] - withRun
	var err error
	if e.Source, err = sourceLetters.read(letter, ""); err != nil || letter == fullText {
		return fmt.Errorf("read source: found the letter %q, expected one that this version knows", letter)
	}
	if e.Address, err = unpack(text[lateHead:]); err != nil {
		return fmt.Errorf("read address: %w", err)
	}
	return nil
}

// hashOnly and shortHashOnly are what an entry without an address has in its place, in
// the long and in the short form.
func hashOnly(hash [32]byte) string { return ":" + hex.EncodeToString(hash[len(Key{}):]) }

func shortHashOnly(hash [32]byte) string {
	return ":" + base64.RawURLEncoding.EncodeToString(hash[len(Key{}):])
}

// parseHashOnly reads the second half of a hash.
func parseHashOnly(text string) ([]byte, error) {
	half, err := hex.DecodeString(text)
	if err != nil || len(half) != len(Key{}) {
		half, err = base64.RawURLEncoding.DecodeString(text)
	}
	if err != nil || len(half) != len(Key{}) {
		return nil, fmt.Errorf("the rest of its hash is %q, expected %d hexadecimal digits, or %d characters of base64",
			text, hex.EncodedLen(len(Key{})), base64.RawURLEncoding.EncodedLen(len(Key{})))
	}
	return half, nil
}
