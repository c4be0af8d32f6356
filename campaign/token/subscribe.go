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
	Network  string    // that the reader asked from, cut off so that it names no one; may be empty
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
	sealed := string(c.appendSealed(nil, &c.subscribe, len(content), func(b []byte) []byte { return append(b, content...) }))
	if len(sealed) > maxSealed {
		return "", fmt.Errorf("seal a subscription: the token has %d characters, at most %d are read again", len(sealed), maxSealed)
	}
	return sealed, nil
}

// OpenSubscribe returns what SealSubscribe sealed in s, or ErrToken. Whether it is too
// old is for the caller to say.
func (k *Keys) OpenSubscribe(s string) (Subscribe, error) {
	var read subscribeContent
	ok := k.open(s, func(c *key) *sealer { return &c.subscribe }, func(content []byte) bool {
		read = subscribeContent{}
		return json.Unmarshal(content, &read) == nil // else a later version of the format wrote it
	})
	if !ok {
		return Subscribe{}, ErrToken
	}
	return Subscribe{
		Form: read.Form, Address: read.Address, Fields: read.Fields, Text: read.Text, Language: read.Language,
		Source: read.Source, Network: read.Network, Asked: time.UnixMilli(read.Asked).UTC(),
	}, nil
}
