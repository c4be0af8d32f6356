package mailfile

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"regexp"
)

// maxLine is how much of a line is looked at, in bytes. Longer ones come in pieces,
// unchanged.
const maxLine = 64 << 10

// fromLine is the line before each message of an mbox: "From ", an address, and a time.
var fromLine = regexp.MustCompile(`^From \S*.*\d\d?:\d\d`)

// EachOf is Each for what is open already; name is what messages call it. What begins
// with a From line is an mbox, anything else is one message.
func EachOf(in io.Reader, name string, do func(Message) error) error {
	lines := bufio.NewReaderSize(in, maxLine)
	head, _ := lines.Peek(256) // an error comes again when it is read
	first, _, _ := bytes.Cut(head, []byte("\n"))
	if !fromLine.Match(first) {
		return do(Message{lines, name})
	}

	box := &mbox{lines: lines, blank: true}
	box.next()
	for n := 1; box.from; n++ {
		box.from = false
		box.blank = false
		if err := do(Message{box, fmt.Sprintf("%s, message %d", name, n)}); err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, box); err != nil { // what do left unread
			return err
		}
	}
	return nil
}

// An mbox reads one message after the other. Read ends with io.EOF where the next From
// line was read.
type mbox struct {
	lines  *bufio.Reader
	rest   []byte // what Read has not handed on of the last line
	blank  bool   // the last line was blank: only behind one is "From " a From line
	middle bool   // the last line was longer than what is looked at, and goes on
	from   bool   // the last line was a From line
	err    error  // why there are no more lines
}

// Read reads of the message, as [io.Reader] says.
func (b *mbox) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.from {
			return 0, io.EOF
		}
		if b.err != nil {
			return 0, b.err
		}
		b.next()
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// next reads a line. A line of the message that looks like a From line has a mark
// before it, which is taken off (the variant mboxrd).
func (b *mbox) next() {
	line, err := b.lines.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		err = nil
	}
	b.err = err

	begins := !b.middle
	b.middle = !bytes.HasSuffix(line, []byte("\n"))
	if begins && b.blank && fromLine.Match(line) {
		b.from = true
		return
	}
	b.blank = begins && len(bytes.TrimRight(line, "\r\n")) == 0
	b.rest = line
	if begins && bytes.HasPrefix(line, []byte(">")) && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		b.rest = line[1:]
	}
}
