package bounce

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/mail"
	"strings"
	"time"

	"broadside/campaign"
)

// Decode returns what a message says about the recipients of our messages: one
// notice for each recipient that it tells of, at least one. A message that is no
// notice at all comes out as one of ClassNotABounce. envelope are the addresses that
// it was delivered to, where the caller knows them better than its header.
//
// The class is what the message claims; Judge says what it comes to. The source of
// the notices is left to the caller. The error is ErrNoMessage, or one of r.
func Decode(r io.Reader, envelope ...string) ([]campaign.Notice, error) {
	m, err := readMessage(r)
	if err != nil {
		return nil, err
	}

	c := contentsOf(m)
	common := campaign.Notice{At: sentAt(m.header)}
	c.takeTokens(&common, envelope)

	id := idOf(m)
	notices := c.notices()
	for i := range notices {
		n := &notices[i]
		n.At = common.At
		n.Returned = common.Returned
		n.Quoted = common.Quoted
		n.Links = common.Links
		n.ID = strings.TrimSpace(id + " " + n.Recipient)
	}
	return notices, nil
}

// notices returns what the message says. What is meant for programs is believed
// before what is meant for people.
func (c *contents) notices() []campaign.Notice {
	if c.feedback != nil {
		return c.feedbackNotices()
	}
	if c.receipt && c.status == nil && !c.certain() {
		return []campaign.Notice{{Class: campaign.ClassAutoReply, Reply: "read receipt"}}
	}
	if all := c.statusNotices(); all != nil {
		return all
	}
	if c.hotmailComplaint() {
		return c.hotmailNotices()
	}

	kind := c.automatic()
	bounced := c.returnsMessage()
	switch {
	case bounced && (kind == "" || c.certain()):
		return c.textNotices()
	case kind != "":
		return []campaign.Notice{{Class: campaign.ClassAutoReply, Reply: kind}}
	}
	return []campaign.Notice{{Class: campaign.ClassNotABounce}}
}

// sentAt returns the date of the message; zero when it has none that can be read.
func sentAt(h header) time.Time {
	at, err := mail.ParseDate(h.get("Date"))
	if err != nil {
		return time.Time{}
	}
	return at
}

// maxID is the longest Message-ID that becomes part of the ID of a notice, in bytes.
const maxID = 250

// idOf names the message: the same when it comes again.
func idOf(m *entity) string {
	if id := m.header.get("Message-ID"); id != "" && len(id) <= maxID {
		return id
	}
	sum := sha256.New()
	for _, f := range m.header {
		_, _ = io.WriteString(sum, f.name+":"+f.value+"\n") // a hash takes everything
	}
	_, _ = sum.Write(m.raw)
	return hex.EncodeToString(sum.Sum(nil)[:16])
}
