package backup

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"broadside/campaign/address"
	"broadside/campaign/suppression"
	"broadside/internal/subscribe"
)

const (
	format  = "broadside-backup"
	version = 2 // 1 had no proofs, and is read as well

	// maxLine bounds a line, in bytes: a row of a list has at most 64 KiB of
	// values, a schedule the text of its campaign file.
	maxLine = 8 << 20
	// pieceSize is how much of a file goes into one line, in bytes.
	pieceSize = 256 << 10
)

// A Header says where a backup comes from.
type Header struct {
	Namespace string    `json:"namespace"`
	Created   time.Time `json:"created"`
}

// Counts says how much a backup holds.
type Counts struct {
	Suppressions int64 `json:"suppressions"`
	Topics       int64 `json:"topics"`
	Lists        int64 `json:"lists"`
	People       int64 `json:"people"` // in the lists
	Schedules    int64 `json:"schedules"`
	Proofs       int64 `json:"proofs,omitempty"` // of subscriptions; the key is missing in version 1
}

// A List is what a list is called and what it knows of people.
type List struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
}

// A Text is what readers were shown before they confirmed a subscription. Proofs name its
// version.
type Text struct {
	Version string `json:"version"`
	Words   string `json:"words"`
}

// A File belongs to a schedule.
type File struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Sum  string `json:"sha256"` // of the content, hex
}

// A Record is one line between header and trailer; exactly one of its fields
// is set, Address with Row.
type Record struct {
	Suppression *suppression.Entry
	Topic       string
	Text        *Text
	Proof       *subscribe.Kept
	List        *List
	Row         []string        // of the last List, in the order of its columns
	Address     address.Address // of Row
	Schedule    json.RawMessage
	File        *File  // of the last Schedule
	Data        []byte // of the last File
}

type header struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	Header
}

// entry is a suppression as it is written.
type entry struct {
	Address string `json:"address,omitempty"`
	Domain  string `json:"domain,omitempty"` // all addresses of it
	Sum     string `json:"sha256,omitempty"` // where there is no address
	Reason  string `json:"reason,omitempty"`
	Scope   string `json:"scope,omitempty"` // empty: all
	Source  string `json:"source,omitempty"`
	Run     string `json:"run,omitempty"`
	At      int64  `json:"at"`
	Expires int64  `json:"expires,omitempty"` // 0: never
}

// line is any line but the first and the rows.
type line struct {
	Suppression *entry          `json:"suppression,omitempty"`
	Topic       string          `json:"topic,omitempty"`
	Text        *Text           `json:"text,omitempty"`
	Proof       *subscribe.Kept `json:"proof,omitempty"`
	List        *List           `json:"list,omitempty"`
	Schedule    json.RawMessage `json:"schedule,omitempty"`
	File        *File           `json:"file,omitempty"`
	Data        []byte          `json:"data,omitempty"`
	End         *trailer        `json:"end,omitempty"`
}

type trailer struct {
	Counts
	Sum string `json:"sha256"`
}

func written(e suppression.Entry) *entry {
	w := &entry{Address: e.Address, Domain: e.Domain, Reason: e.Reason, Source: e.Source, Run: e.Run, At: e.At.UnixMilli()}
	if e.Shown() == "" {
		w.Sum = hex.EncodeToString(e.Hash[:])
	}
	if e.Scope != suppression.All {
		w.Scope = e.Scope
	}
	if !e.Expires.IsZero() {
		w.Expires = e.Expires.UnixMilli()
	}
	return w
}

func (w *entry) read() (*suppression.Entry, error) {
	e := &suppression.Entry{
		Address: w.Address, Domain: w.Domain, Reason: w.Reason, Scope: w.Scope, Source: w.Source, Run: w.Run, At: time.UnixMilli(w.At).UTC(),
	}
	if w.Scope == "" {
		e.Scope = suppression.All
	}

	if w.Expires != 0 {
		e.Expires = time.UnixMilli(w.Expires).UTC()
	}
	if w.Sum != "" {
		raw, err := hex.DecodeString(w.Sum)
		if err != nil || len(raw) != len(e.Hash) {
			return nil, fmt.Errorf("sha256 is not %d hexadecimal digits", 2*len(e.Hash))
		}
		copy(e.Hash[:], raw)
	}

	return e, e.Check()
}
