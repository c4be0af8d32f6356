package single

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"time"

	"broadside/campaign"
	"broadside/campaign/token"
	"broadside/configs/strictyaml"
	"broadside/templates"
	"broadside/templates/message"
)

// A letter is a compiled template.
type letter struct {
	def      *campaign.Definition
	snapshot campaign.Snapshot
	template *templates.Template
	skeleton *message.Skeleton
	from     string // the address alone
	domain   string // of Message-IDs
}

// maxLetters is how many compiled templates are kept.
const maxLetters = 100

// letters keeps compiled templates by their content: files are read for each message, and
// compiled when they have changed. It is safe for concurrent use.
type letters struct {
	mu sync.Mutex
	of map[[32]byte]*letter // guarded by mu
}

// open reads a template, and compiles it if it is not known.
func (l *letters) open(ctx context.Context, read Reader, file string) (*letter, error) {
	def, snapshot, err := read(ctx, file)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal([]any{snapshot, def.Delivery})
	if err != nil {
		return nil, fmt.Errorf("compare template %s: %w", file, err)
	}
	key := sha256.Sum256(text)

	l.mu.Lock()
	known := l.of[key]
	l.mu.Unlock()
	if known != nil {
		return known, nil
	}

	made, err := compile(def, snapshot)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.of) >= maxLetters || l.of == nil {
		l.of = map[[32]byte]*letter{}
	}
	l.of[key] = made
	return made, nil
}

func compile(def *campaign.Definition, s campaign.Snapshot) (*letter, error) {
	template, err := templates.Compile(s)
	if err != nil {
		return nil, err
	}
	spec, err := message.FromSnapshot(s)
	if err != nil {
		return nil, err
	}
	skeleton, err := message.Compile(spec)
	if err != nil {
		return nil, err
	}
	from, err := mail.ParseAddress(s.From)
	if err != nil {
		return nil, fmt.Errorf("from %q: %w", s.From, err)
	}
	return &letter{
		def: def, snapshot: s, template: template, skeleton: skeleton,
		from: from.Address, domain: strings.ToLower(from.Address[strings.LastIndexByte(from.Address, '@')+1:]),
	}, nil
}

// check reports the fields of the template that data does not have. What the template
// does not use is no problem: programs send what they have.
func (l *letter) check(data map[string]string) Problems {
	var problems Problems
	names := make([]string, 0, len(data))
	for name := range data {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, field := range l.snapshot.Columns {
		if _, ok := data[field]; ok {
			continue
		}
		text := "missing, and the template uses it: send null where it is to be blank"
		if meant := strictyaml.Suggest(field, names); meant != "" {
			text += "; did you mean it with " + meant + "?"
		}
		problems = append(problems, Problem{"data." + field, text})
	}
	return problems
}

// runOf is what stands for the run in the tokens of single messages; no run has a colon in
// its name.
func runOf(id string) string { return "send:" + id }

// messageID returns the Message-ID of a message, without brackets. It is signed, so that
// what comes back about it is known to be ours, and is taken for that of no run.
func (l *letter) messageID(keys *token.Keys, id string) string {
	return keys.Message(runOf(id), 0, 0) + "@" + l.domain
}

// compose makes the message with an id.
func (l *letter) compose(messageID, to string, data map[string]string, now time.Time) ([]byte, error) {
	values := make([]string, len(l.snapshot.Columns))
	for i, field := range l.snapshot.Columns {
		values[i] = data[field]
	}
	var r templates.Rendering
	if err := l.template.Begin(&r, templates.Data{Values: values}); err != nil {
		return nil, fmt.Errorf("render template %s: %w", l.def.ID, err)
	}
	out, err := l.skeleton.Append(nil, &message.Part{To: to, Subject: r.Subject, HTML: r.HTML(), Text: r.Text(), Date: now, MessageID: messageID})
	if err != nil {
		return nil, fmt.Errorf("build a message of template %s: %w", l.def.ID, err)
	}
	return out, nil
}
