package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"os"
	"path/filepath"
	"strings"

	"broadside/templates/compose"
)

// A Header is one header field, unfolded and decoded.
type Header struct{ Name, Value string }

// A Preview is the message of one recipient, as it would be sent.
type Preview struct {
	Subject, From, To string
	Headers           []Header // all of them, in their order
	HTML, Text        string
	Message           []byte // the whole of it: an .eml file
}

// NewPreview renders the message of one recipient: an address of the audience,
// row:N, or the first one when who is empty. Its links unsubscribe nobody.
func NewPreview(ctx context.Context, proof Proof, who string) (*Preview, error) {
	d, err := openDesk(ctx, proof)
	if err != nil {
		return nil, err
	}
	defer d.close()
	p, err := d.named(who)
	if err != nil {
		return nil, err
	}
	c, err := compose.New(d.snapshot, d.keys)
	if err != nil {
		return nil, err
	}
	draft, err := d.compose(c, "preview", p, "")
	if err != nil {
		return nil, err
	}
	headers, err := headersOf(draft.Message)
	if err != nil {
		return nil, err
	}
	letter, err := draft.Letter()
	if err != nil {
		return nil, err
	}
	return &Preview{
		Subject: draft.Subject, From: d.snapshot.From, To: draft.To, Headers: headers,
		HTML: string(letter.HTML), Text: string(letter.Text), Message: draft.Message,
	}, nil
}

// headersOf reads the header of a message, in its order.
func headersOf(message []byte) ([]Header, error) {
	head, _, ok := bytes.Cut(message, []byte("\r\n\r\n"))
	if !ok {
		return nil, fmt.Errorf("read the header of a message: it has no end")
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

// PreviewHTML is the name that Write gives to the letter for a browser.
const PreviewHTML = "preview.html"

// The names of what else Write writes.
const (
	previewText = "preview.txt"
	previewEML  = "preview.eml"
)

// Write writes preview.html, preview.txt and preview.eml into dir, which is made
// when it is missing, over those of an earlier preview. They have somebody's
// address, so that only their owner can read them. It returns their paths.
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

// writePrivate writes a file that only its owner can read, also when it was
// there before with other rights.
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
