package token

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"
)

// A Subscribe is what the link knows that confirms a subscription: everything that a
// reader has asked for, so that nothing of it need be stored before they confirm.
type Subscribe struct {
	Form     string // whose page was used
	Address  string // as the reader wrote it
	Fields   map[string]string
	Text     string // version of the texts that the reader saw
	Language string
	Source   string    // "page", "api", or what an operator said
	Network  string    // that the reader asked from, cut off so that it names nobody; may be empty
	Asked    time.Time // to the millisecond
}

// subscribeContent is how a Subscribe stands in a token. Keys may be added.
type subscribeContent struct {
	Form     string            `json:"f"`
	Address  string            `json:"a"`
	Fields   map[string]string `json:"v,omitempty"`
	Text     string            `json:"t,omitempty"`
	Language string            `json:"l,omitempty"`
	Source   string            `json:"s,omitempty"`
	Network  string            `json:"n,omitempty"`
	Asked    int64             `json:"at"` // ms since 1970
}

// SealSubscribe returns the token of s: the same for the same s. It fails when s is too
// long for a link.
func (k *Keys) SealSubscribe(s Subscribe) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // six bytes for each < would make it too long
	err := e.Encode(subscribeContent{s.Form, s.Address, s.Fields, s.Text, s.Language, s.Source, s.Network, s.Asked.UnixMilli()})
	if err != nil {
		return "", fmt.Errorf("seal a subscription: %w", err)
	}
	content := bytes.TrimSuffix(b.Bytes(), []byte("\n"))

	c := k.keys[0]
	nonce := c.subscribe.nonce.append(nil, content)[:nonceSize]
	raw := append(append([]byte{}, c.head[:]...), nonce...)
	sealed := encoding.EncodeToString(c.subscribe.aead.Seal(raw, nonce, content, c.head[:]))
	if len(sealed) > maxSealed {
		return "", fmt.Errorf("seal a subscription: the token has %d characters, at most %d are read again", len(sealed), maxSealed)
	}
	return sealed, nil
}

// OpenSubscribe returns what SealSubscribe sealed in s, or ErrToken. Whether it is too
// old is for the caller to say.
func (k *Keys) OpenSubscribe(s string) (Subscribe, error) {
	raw, err := decode(s)
	if err != nil || len(raw) < headSize+nonceSize+tagSize {
		raw = make([]byte, headSize+nonceSize+tagSize+64) // opened in vain: no answer is quicker than another
	}

	head := raw[:headSize]
	nonce := raw[headSize : headSize+nonceSize]
	sealed := raw[headSize+nonceSize:]
	for _, c := range k.candidates(head) {
		content, err := c.subscribe.aead.Open(nil, nonce, sealed, head)
		if err != nil {
			continue
		}
		var read subscribeContent
		if json.Unmarshal(content, &read) != nil {
			continue // a later version of the format wrote it
		}
		return Subscribe{
			Form: read.Form, Address: read.Address, Fields: read.Fields, Text: read.Text, Language: read.Language,
			Source: read.Source, Network: read.Network, Asked: time.UnixMilli(read.Asked).UTC(),
		}, nil
	}

	return Subscribe{}, ErrToken
}
