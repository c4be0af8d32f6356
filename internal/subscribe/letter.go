package subscribe

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/mail"
	"regexp"
	"strings"
	"time"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/campaign/token"
	"broadside/configs"
	"broadside/internal/failure"
	"broadside/internal/input"
	"broadside/templates"
	"broadside/templates/message"
)

// maxLetter bounds the file of a letter, in bytes.
const maxLetter = 256 << 10

// A letter makes the confirmations of a form in one language.
type letter struct {
	template *templates.Template
	skeleton *message.Skeleton
	fields   []string // columns after the topic
	topic    string   // what readers call it
	from     string   // the address alone
	domain   string   // of Message-IDs
	words    string   // everything that a reader is shown before they confirm
	version  string   // of words
}

// topicColumn is the first column of every letter.
const topicColumn = "topic"

// confirmField is the link in letters. To the templates it is the unsubscribe link: the
// one that is different for every reader, and that each of them can be shown to see.
var confirmField = regexp.MustCompile(`\.confirm_url\b`)

const linkField = ".unsubscribe_url"

// source returns subject and Markdown of the letter of a form. own is the text of its
// file, empty where it has none.
func source(f configs.SubscribeForm, w Words, own string) (subject, markdown string, err error) {
	subject = cmp.Or(f.Subject, w.subject)
	if own == "" {
		return subject, w.letter, nil
	}
	switch {
	case strings.Contains(own, linkField):
		return "", "", failure.Invalid(f.Letter + ": found {{.unsubscribe_url}}, expected {{.confirm_url}} alone: who has not confirmed has nothing to unsubscribe from")
	case !confirmField.MatchString(own):
		return "", "", failure.Invalid(f.Letter + ": found no {{.confirm_url}}, expected the link that confirms, as in **[Subscribe]({{.confirm_url}})**")
	}
	return subject, confirmField.ReplaceAllString(own, linkField), nil
}

// readLetter reads the file of the letter of a form; empty where it has none.
func readLetter(name string, f configs.SubscribeForm) (string, error) {
	if f.Letter == "" {
		return "", nil
	}
	data, err := input.ReadFile(f.Letter, maxLetter)
	switch {
	case err != nil: // it has the name
		return "", failure.Invalid("subscribe." + name + ".letter: " + err.Error())
	case len(data) > maxLetter:
		return "", failure.Invalid(fmt.Sprintf("subscribe.%s.letter: %s is larger than %d KiB: put images on a server and link to them", name, f.Letter, maxLetter>>10))
	}
	return strings.TrimPrefix(string(data), "\ufeff"), nil
}

// newLetter compiles the letter of a form in a language.
func newLetter(cfg *configs.Config, name, language, own string) (*letter, error) {
	f, w := cfg.Subscribe[name], wordsOf[language]
	subject, markdown, err := source(f, w, own)
	if err != nil {
		return nil, err
	}

	topic := cmp.Or(cfg.Topics[f.Topic].Name, f.Topic)
	l := &letter{fields: f.Fields, topic: topic}
	l.template, err = templates.Compile(campaign.Snapshot{
		Campaign: name, Topic: f.Topic, TopicName: topic, From: f.From, Subject: subject, Markdown: markdown,
		BodyFile: cmp.Or(f.Letter, "confirmation"), Layout: templates.LayoutConfirm, Language: language, Postal: cfg.PostalAddress,
		PublicURL: cfg.PublicURL, Columns: append([]string{topicColumn}, f.Fields...),
	})
	if err != nil {
		text := strings.ReplaceAll(err.Error(), "unsubscribe_url", "confirm_url")
		return nil, failure.New(failure.ErrInvalid, "subscribe."+name+": "+strings.ReplaceAll(text, "unsubscribe link", "link to confirm"), err)
	}
	if l.skeleton, err = message.Compile(message.Spec{From: f.From, Single: true}); err != nil {
		return nil, failure.New(failure.ErrInvalid, fmt.Sprintf("subscribe.%s: %v", name, err), err)
	}

	from, err := mail.ParseAddress(f.From)
	if err != nil {
		return nil, fmt.Errorf("subscribe.%s.from %q: %w", name, f.From, err)
	}
	l.from = from.Address
	l.domain = strings.ToLower(from.Address[strings.LastIndexByte(from.Address, '@')+1:])

	shown := strings.Join([]string{w.Title, w.Text, subject, strings.ReplaceAll(markdown, linkField, ".confirm_url")}, "\n\n")
	l.words = strings.ReplaceAll(shown, "{topic}", topic)
	sum := sha256.Sum256([]byte(l.words))
	l.version = hex.EncodeToString(sum[:6])
	return l, nil
}

// compose makes the message whose link is good for a request. It is the same, but for its
// Date, whenever it is made.
func (l *letter) compose(s token.Subscribe, to address.Address, sealed, link string, now time.Time) ([]byte, error) {
	values := []string{l.topic}
	for _, name := range l.fields {
		values = append(values, s.Fields[name])
	}

	var r templates.Rendering
	if err := l.template.Begin(&r, templates.Data{Values: values, Unsubscribe: link}); err != nil {
		return nil, fmt.Errorf("render a confirmation: %w", err)
	}
	id := sha256.Sum256([]byte(sealed))
	out, err := l.skeleton.Append(nil, &message.Part{
		To: to.String(), Subject: r.Subject, HTML: r.HTML(), Text: r.Text(), Date: now,
		MessageID: hex.EncodeToString(id[:16]) + "@" + l.domain,
	})
	if err != nil {
		return nil, fmt.Errorf("build a confirmation: %w", err)
	}
	return out, nil
}
