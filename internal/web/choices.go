package web

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"broadside/campaign/suppression"
	"broadside/campaign/token"
)

// How long the list may take to tell what a reader has left, and to take it back.
const (
	lookWithin = 2 * time.Second
	undoWithin = 5 * time.Second
)

// A List tells what a reader has left, and takes it back; *suppression.Store is one.
type List interface {
	Check(ctx context.Context, addresses ...string) ([]suppression.Result, error)
	Undo(ctx context.Context, e suppression.Entry) (bool, error)
}

// everything stands in a form for all topics; no topic has this name.
const everything = "*"

// choices says what the reader of a link has left for good, by topic; everything is a
// topic too. A nil one says that this is not known.
type choices map[string]suppression.Entry

// choicesOf looks up what the reader of a link has left.
func (s *Server) choicesOf(ctx context.Context, u token.Unsubscribe) (choices, error) {
	ctx, cancel := context.WithTimeout(ctx, lookWithin)
	defer cancel()
	results, err := s.cfg.List.Check(ctx, u.Address)
	if err != nil {
		return nil, err
	}

	left := choices{}
	for _, r := range results {
		// What expires says that mail comes again: that can still be left.
		if r.Suppressed && r.Entry.Expires.IsZero() {
			left[topicOf(r.Entry.Scope)] = r.Entry
		}
	}
	return left, nil
}

// seen is choicesOf for a page that can do without.
func (s *Server) seen(ctx context.Context, u token.Unsubscribe) choices {
	if s.cfg.List == nil {
		return nil
	}
	left, err := s.choicesOf(ctx, u)
	if err != nil {
		s.log.DebugContext(ctx, "choices of a reader not seen", "run", u.Run, "err", err)
	}
	return left
}

// topicOf returns the topic of a scope, as forms name it.
func topicOf(scope string) string {
	if topic, ok := strings.CutPrefix(scope, suppression.Topic("")); ok {
		return topic
	}
	return everything
}

// has reports whether the reader has left a topic, by itself or with everything.
func (c choices) has(topic string) bool {
	_, one := c[topic]
	_, all := c[everything]
	return one || all
}

// undoable reports whether a link may take back that a topic was left: it was left by a
// message of the same run, and not with everything as well.
func (c choices) undoable(topic string, u token.Unsubscribe) bool {
	e, ok := c[topic]
	if _, all := c[everything]; all && topic != everything {
		return false
	}
	return ok && e.Reason == suppression.ReasonUnsubscribe && u.Run != "" && e.Run == u.Run
}

// undo takes back that a topic was left, if the link may. It returns what is left
// afterwards.
func (s *Server) undo(ctx context.Context, u token.Unsubscribe, topic string) (choices, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoWithin)
	defer cancel()
	if s.cfg.List == nil {
		return nil, errors.New("nothing can be undone without the list")
	}
	left, err := s.choicesOf(ctx, u)
	if err != nil || !left.undoable(topic, u) {
		return left, err
	}

	done, err := s.cfg.List.Undo(ctx, left[topic])
	if err != nil {
		return nil, err
	}
	if done {
		s.log.InfoContext(ctx, "unsubscribe undone", "run", u.Run, "topic", topic)
	}
	return s.choicesOf(ctx, u)
}

// linkedTopic returns what a link is about.
func linkedTopic(u token.Unsubscribe) string { return cmp.Or(u.Topic, everything) }
