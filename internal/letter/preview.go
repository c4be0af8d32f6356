package letter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"
)

// A Header is one header field, unfolded and decoded.
type Header struct{ Name, Value string }

// A Preview is the message of one recipient as it would be sent.
type Preview struct {
	Subject, From, To string
	Headers           []Header // all, in the order of the message
	HTML, Text        string
	Message           []byte // header and body, as an .eml file has them
}

// Preview renders the message of one recipient: an address of the audience, row:N, or
// the first one when name is empty.
func (c Campaign) Preview(ctx context.Context, name string) (*Preview, error) {
	l, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer l.close()
	r, err := l.find(name)
	if err != nil {
		return nil, err
	}

	draft, err := l.compose(l.composer, "preview", r, "")
	if err != nil {
		return nil, err
	}

	headers, err := headersOf(draft.Message)
	if err != nil {
		return nil, err
	}

	parts, err := draft.Letter()
	if err != nil {
		return nil, err
	}

	return &Preview{
		Subject: draft.Subject, From: l.snapshot.From, To: draft.To, Headers: headers,
		HTML: string(parts.HTML), Text: string(parts.Text), Message: draft.Message,
	}, nil
}

// headersOf reads the header fields of a message in their order.
func headersOf(message []byte) ([]Header, error) {
	head, _, ok := bytes.Cut(message, []byte("\r\n\r\n"))
	if !ok {
		return nil, errors.New("read the header of a message: it has no end")
	}

	unfolded := strings.NewReplacer("\r\n ", " ", "\r\n\t", " ").Replace(string(head))
	var headers []Header
	var words mime.WordDecoder
	for line := range strings.SplitSeq(unfolded, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("read the header of a message: line %q has no colon", line)
		}
		value = strings.TrimSpace(value)
		if decoded, err := words.DecodeHeader(value); err == nil {
			value = decoded
		}
		headers = append(headers, Header{name, value})
	}

	return headers, nil
}

// The names of the files that Write writes.
const (
	PreviewHTML = "preview.html" // for a browser
	previewText = "preview.txt"
	previewEML  = "preview.eml"
)

// Write writes the preview into files in dir, in place of those of an earlier one, and
// returns their paths. It makes dir when it is missing. The files have the address of a
// recipient, so only their owner can read them.
func (p *Preview) Write(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the preview's directory: %w", err)
	}

	var paths []string
	for _, f := range []struct {
		name string
		data []byte
	}{{PreviewHTML, []byte(p.HTML)}, {previewText, []byte(p.Text)}, {previewEML, p.Message}} {
		path := filepath.Join(dir, f.name)
		if err := writePrivate(path, f.data); err != nil {
			return nil, fmt.Errorf("write the preview: %w", err)
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// writePrivate writes a file that only its owner can read, even if it existed with other
// permissions.
func writePrivate(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	if err := f.Chmod(0o600); err != nil {
		return errors.Join(err, f.Close())
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
