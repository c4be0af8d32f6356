package web

import (
	"cmp"
	"maps"
	"slices"

	"broadside/campaign/token"
	"broadside/internal/web/theme"
)

// A visit is one request for a link: it makes the pages that answer it.
type visit struct {
	server   *Server
	language string
	texts    texts // of that language
	link     token.Unsubscribe
}

func (s *Server) visitOf(language string, link token.Unsubscribe) visit {
	return visit{server: s, language: language, texts: textsOf[language], link: link}
}

// linked returns the topic that the link is about, or everything.
func (v visit) linked() string { return linkedTopic(v.link) }

// page returns a page that says something of a topic.
func (v visit) page(title, text, topic string) theme.Page {
	name := v.topicName(topic)
	address := cmp.Or(masked(v.link.Address), v.texts.you)
	return theme.Page{
		Language: v.language, Style: v.server.stylePath(),
		Title: fill(title, name, address), Text: fill(text, name, address),
	}
}

// ask returns the page that says nothing but what the link is for.
func (v visit) ask() theme.Page {
	p := v.page(v.texts.askTitle, v.texts.askText, v.linked())
	p.Button = v.button(nil, v.linked())
	return p
}

// look returns the page of the link, which shows what the reader gets.
func (v visit) look(left choices) theme.Page {
	p := v.page(v.texts.askTitle, v.texts.askText, v.linked())
	if left.has(v.linked()) {
		p = v.page(v.texts.doneTitle, v.texts.doneText, v.linked())
	}
	if !v.offer(&p, left) {
		p.Button = v.button(left, v.linked())
	}
	return p
}

// left returns the page after a topic was left.
func (v visit) left(topic string, left choices) theme.Page {
	p := v.page(v.texts.doneTitle, v.texts.doneText, topic)
	if left != nil {
		v.offerAfter(&p, topic, left)
	}
	return p
}

// undone returns the page after a topic was to be taken back.
func (v visit) undone(topic string, left choices) theme.Page {
	p := v.page(v.texts.againTitle, v.texts.againText, topic)
	if left.has(topic) {
		p = v.page(v.texts.keptTitle, v.texts.keptText, topic)
	}
	v.offerAfter(&p, topic, left)
	return p
}

// tryAgain returns the page for a wish that could not be noted.
func (v visit) tryAgain(want wish) theme.Page {
	p := v.page(v.texts.retryTitle, v.texts.retryText, want.topic)
	p.Button = &theme.Button{Name: fieldLeave, Value: want.topic, Text: v.texts.retry}
	if want.undo {
		p.Button.Name = fieldUndo
	}
	return p
}

// offerAfter puts the topics on a page about a change of one of them. The button that
// takes the change back is above them, and nowhere else.
func (v visit) offerAfter(p *theme.Page, changed string, left choices) {
	p.Button = v.button(left, changed)
	if !v.offer(p, left) {
		return
	}
	if changed == everything {
		p.All = nil
		return
	}
	for i, t := range v.ids() {
		if t == changed {
			p.Topics[i].Button = nil
		}
	}
}

// offer puts the topics on a page, and reports whether there is more than the one of the
// link.
func (v visit) offer(p *theme.Page, left choices) bool {
	for _, id := range v.ids() {
		row := theme.Topic{
			Name: v.topicName(id), Description: v.server.cfg.Topics[id].Description,
			Linked: id == v.linked(), Left: left.has(id), Button: v.button(left, id),
		}
		switch {
		case row.Left:
			row.State = v.texts.left
		case left != nil:
			row.State = v.texts.subscribed
		}
		if row.Linked {
			row.Mark = v.texts.mark
		}
		p.Topics = append(p.Topics, row)
	}
	if p.Topics == nil {
		return false
	}

	p.Heading = v.texts.heading
	p.All = v.button(left, everything)
	return true
}

// ids returns the topics of the installation, that of the link first; none where there is
// no other.
func (v visit) ids() []string {
	ids := slices.Sorted(maps.Keys(v.server.cfg.Topics))
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == v.linked() })
	if len(ids) > 0 && v.linked() != everything {
		ids = slices.Insert(ids, 0, v.linked())
	}
	return ids
}

// button returns the button that changes what the reader gets of a topic; nil when there
// is none.
func (v visit) button(left choices, topic string) *theme.Button {
	b := &theme.Button{Name: fieldLeave, Value: topic, Text: v.texts.leave}
	switch {
	case left.has(topic) && !left.undoable(topic, v.link):
		return nil
	case left.has(topic):
		b.Name = fieldUndo
		b.Text = v.texts.undo
	case topic == everything:
		b.Text = v.texts.leaveAll
	}
	if topic != everything {
		b.Label = b.Text + ": " + v.topicName(topic)
	}
	return b
}

// topicName returns what readers call a topic.
func (v visit) topicName(topic string) string {
	if topic == everything {
		return v.texts.everything
	}
	return cmp.Or(v.server.cfg.Topics[topic].Name, topic)
}
