package suppression

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"broadside/campaign/address"
)

// All is the scope of an entry that holds for every message.
const All = "all"

const topicScope = "topic:"

// Topic returns the scope of an entry that holds for one topic.
func Topic(name string) string { return topicScope + name }

// Reasons that Broadside itself gives; imported entries may have any.
const (
	ReasonBounce      = "bounce"      // the address is bad: a permanent reply, or a bounce message
	ReasonComplaint   = "complaint"   // the reader called it spam
	ReasonUnsubscribe = "unsubscribe" // by the link of a message
	ReasonManual      = "manual"      // by an operator
	ReasonImported    = "imported"    // an imported row that gave none
)

// An Entry says that an address must not be mailed.
type Entry struct {
	Address string   // empty in an entry of a Domain, and in one that knows only the hash
	Domain  string   // an entry of all addresses of this domain, but not of its subdomains
	Hash    [32]byte // SHA-256 of the canonical address; needed only without Address and Domain
	Reason  string   // a word: ReasonBounce, ...
	Scope   string   // All or Topic(name); empty is All
	Source  string   // who said so: "smtp", "one-click", "import", ...
	Run     string   // the run whose message caused it, if any
	At      time.Time
	Expires time.Time // zero: never

	// Lane is "ACCOUNT/LANE" of the message whose reply caused it, and Part and Index name
	// that recipient of Run: see [Store.Discard]. Empty: no reply did. What is read from the
	// list has no Part and no Index.
	Lane        string
	Part, Index int

	Evidence string // what was said, such as the reply of a server; may be empty
}

// topic returns the topic of the scope, "" for All.
func (e Entry) topic() string {
	if topic, ok := strings.CutPrefix(e.Scope, topicScope); ok {
		return topic
	}
	return ""
}

func (e Entry) key() Key { return Key(e.Hash[:]) }

// place returns where a complete entry is kept.
func (e Entry) place() int {
	if e.Domain != "" {
		return domains
	}
	return shardOf(e.key())
}

// Shown returns what people see of who an entry holds for: the address, or "*@" and the
// domain. It is empty where only the hash is known.
func (e Entry) Shown() string {
	if e.Domain != "" {
		return everyone + e.Domain
	}
	return e.Address
}

// complete checks an entry that is to be added and fills in what it leaves
// out.
func (e Entry) complete(now time.Time) (Entry, error) {
	switch {
	case e.Domain != "":
		domain, err := ParseDomain(e.Domain)
		if err != nil {
			return e, fmt.Errorf("domain %q: %w", e.Domain, err)
		}
		e.Address = ""
		e.Domain = domain
		e.Lane = "" // no reply is about a whole domain
		e.Hash = address.Hash(e.Shown())
	case e.Address != "":
		a, err := address.Parse(e.Address)
		if err != nil {
			return e, fmt.Errorf("address %q: %w", e.Address, err)
		}
		e.Address = a.Canonical()
		e.Hash = address.Hash(e.Address)
		if strings.HasPrefix(e.Address, everyone) {
			e.Address = "" // a mailbox of that name; as a text it would be taken for the domain
		}
	case e.Hash == [32]byte{}:
		return e, errors.New("neither an address nor a hash of one")
	}

	if e.Scope == "" {
		e.Scope = All
	}
	if err := checkScope(e.Scope); err != nil {
		return e, err
	}
	if e.At.IsZero() {
		e.At = now
	}

	e.Reason = oneLine(e.Reason)
	e.Source = oneLine(e.Source)
	e.Run = oneLine(e.Run)
	e.Lane = oneLine(e.Lane)
	e.Evidence = oneLine(e.Evidence)
	return e, nil
}

// Check reports why an entry could not be added; nil when it could.
func (e Entry) Check() error {
	_, err := e.complete(time.Now())
	return err
}

// completeAll is complete for entries of which none is used if one is bad.
func completeAll(entries []Entry, now time.Time) ([]Entry, error) {
	all := make([]Entry, len(entries))
	for i, e := range entries {
		var err error
		if all[i], err = e.complete(now); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// maxTopic and maxText bound what one entry can cost, in bytes.
const (
	maxTopic = 200
	maxText  = 300
)

func checkScope(scope string) error {
	if scope == All {
		return nil
	}
	topic, ok := strings.CutPrefix(scope, topicScope)
	if !ok || topic == "" || len(topic) > maxTopic || topic != oneLine(topic) {
		return fmt.Errorf("scope %q, expected %q or %q", scope, All, topicScope+"NAME")
	}
	return nil
}

// oneLine makes s a text without control characters, at most maxText bytes.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	for len(s) > maxText {
		_, size := utf8.DecodeLastRuneInString(s)
		s = s[:len(s)-size]
	}

	return strings.TrimSpace(s)
}

// encode returns the stored value, in the short form where there is one.
func (e Entry) encode() string {
	if text, ok := e.encodeShort(); ok {
		return text
	}
	return e.encodeLong()
}

// encodeLong returns the stored value in the long form.
func (e Entry) encodeLong() string {
	who := e.Shown()
	if who == "" {
		who = hashOnly(e.Hash)
	}
	parts := []string{
		strconv.FormatInt(e.expiresMilli(), 10), strconv.FormatInt(e.At.UnixMilli(), 10), e.Reason, e.Source, e.Run, who,
	}
	switch {
	case e.Evidence != "":
		parts = append(parts, e.Lane, e.Evidence)
	case e.Lane != "":
		parts = append(parts, e.Lane)
	}
	return strings.Join(parts, "\t")
}

// expiresMilli is never 0 for an entry that expires.
func (e Entry) expiresMilli() int64 {
	if e.Expires.IsZero() {
		return 0
	}
	return max(e.Expires.UnixMilli(), 1)
}

// removed begins a value that says that an entry was removed, and when; "discarded"
// stands in place of "removed" when Discard did it:
//
//	1 TAB at TAB "removed"
//
// It has no address: an address that was taken off the list is not kept. To every
// look-up it is an entry that has expired.
const removed = "1\t"

// live reports whether a stored value holds at now. What cannot be read
// holds: doubt keeps mail back.
func live(value string, now time.Time) bool {
	text, _, _ := strings.Cut(value, "\t")
	expires, err := strconv.ParseInt(text, 10, 64)
	return err != nil || expires <= 0 || expires > now.UnixMilli()
}

// decode reads a stored field and value.
func decode(f, value string) (Entry, error) {
	if len(f) < len(Key{}) {
		return Entry{}, fmt.Errorf("suppression entry %x: field of %d bytes, expected %d or more", f, len(f), len(Key{}))
	}

	e := Entry{Scope: All}
	if topic := f[len(Key{}):]; topic != "" {
		e.Scope = Topic(topic)
	}
	if err := decodeValue(&e, value); err != nil {
		return Entry{}, fmt.Errorf("suppression entry %x: %w", f, err)
	}

	tail, hashed := strings.CutPrefix(e.Address, ":")
	if !hashed {
		e.Hash = address.Hash(e.Address)
		if domain, isDomain := strings.CutPrefix(e.Address, everyone); isDomain {
			e.Address = ""
			e.Domain = domain
		}
		return e, nil
	}

	e.Address = ""
	copy(e.Hash[:], f)
	half, err := parseHashOnly(tail)
	if err != nil {
		return Entry{}, fmt.Errorf("suppression entry %x: %w", f, err)
	}
	copy(e.Hash[len(Key{}):], half)
	return e, nil
}

// decodeValue reads a stored value into e, with the address as it is stored.
func decodeValue(e *Entry, value string) error {
	expires, rest, _ := strings.Cut(value, "\t")
	ms, err := strconv.ParseInt(expires, 10, 64)
	if err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	if ms != 0 {
		e.Expires = time.UnixMilli(ms).UTC()
	}
	if isShort(rest) {
		return decodeShort(e, rest)
	}

	const fields = 5
	v := strings.Split(rest, "\t")
	if len(v) < fields {
		return fmt.Errorf("value of %d parts, expected %d or more", len(v)+1, fields+1)
	}
	ms, err = strconv.ParseInt(v[0], 10, 64)
	if err != nil {
		return fmt.Errorf("read time: %w", err)
	}
	if ms != 0 {
		e.At = time.UnixMilli(ms).UTC()
	}
	e.Reason = v[1]
	e.Source = v[2]
	e.Run = v[3]
	e.Address = v[4]
	if len(v) > fields {
		e.Lane = v[fields]
	}
	if len(v) > fields+1 {
		e.Evidence = v[fields+1]
	}
	return nil
}
