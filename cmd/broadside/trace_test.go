package main

import (
	"testing"
	"time"

	"broadside/internal/person"
)

// What people read of each kind of event.
func TestEventWords(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 14, 5, 6, 789e6, time.UTC)
	later := at.Add(time.Hour)
	for _, tt := range []struct {
		name   string
		event  person.Event
		source string
		words  string
	}{
		{"list", person.Event{Kind: person.KindList, List: "readers"}, "list readers", "has the address"},
		{"asked", person.Event{Kind: person.KindAsked, At: at, Form: "club", Topic: "news", List: "readers", Source: "api"}, "form club", "asked for topic news (api)"},
		{
			"confirmed",
			person.Event{Kind: person.KindConfirmed, At: at, Form: "club", Topic: "news", List: "readers", Text: "0123456789ab"},
			"form club", "confirmed topic news, for list readers; shown was text 0123456789ab",
		},
		{
			"pending",
			person.Event{Kind: person.KindRun, Run: "r-1", Campaign: "news", Topic: "letters", State: "pending"},
			"run r-1", "campaign news, topic letters: pending now",
		},
		{
			"deferred",
			person.Event{Kind: person.KindRun, Run: "r-1", Campaign: "news", State: "deferred", Attempts: 2, Until: later},
			"run r-1", "campaign news: deferred now after 2 attempts, the next try not before 2026-11-30 15:05:06Z",
		},
		{"claimed", person.Event{Kind: person.KindClaimed, Run: "r-1", Attempts: 3}, "run r-1", "a worker is sending to it, attempt 3"},
		{
			"accepted",
			person.Event{
				Kind: person.KindReply, Run: "r-1", State: "accepted", Attempts: 1, Lane: "main/gmail", Code: 250, Enhanced: "2.0.0", Reply: "2.0.0 OK",
			},
			"main/gmail", "accepted, attempt 1: 250 2.0.0 OK; run r-1",
		},
		{
			"no reply",
			person.Event{Kind: person.KindReply, Run: "r-1", State: "uncertain"},
			"run r-1", "uncertain",
		},
		{
			"bounced later",
			person.Event{Kind: "bounced", At: at, Run: "r-1", Source: "hook:ses", Enhanced: "5.1.1", Reply: "user unknown"},
			"hook:ses", "came back later: 5.1.1 user unknown; run r-1",
		},
		{
			"no note is kept",
			person.Event{Kind: "complained", Run: "r-1"},
			"run r-1", "the reader called it spam; when and how is not kept",
		},
		{"unsubscribed", person.Event{Kind: "unsubscribed", At: at, Run: "r-1", Source: "one-click"}, "one-click", "the reader unsubscribed; run r-1"},
		{"sign", person.Event{Kind: person.KindSign, Count: 2}, "suppression list", "a sign that the address is dead, number 2; it counts when it comes again"},
		{"returned", person.Event{Kind: person.KindReturned, Count: 1}, "suppression list", "message 1 that came back although the address may be in use"},
		{
			"suppressed",
			person.Event{
				Kind: person.KindSuppressed, Source: "smtp", Reason: "bounce", Scope: "all", Run: "r-1", Lane: "main/gmail", Evidence: "550 no such user",
			},
			"smtp", "suppressed for everything: bounce (550 no such user); run r-1; lane main/gmail",
		},
		{
			"for a topic, for a while",
			person.Event{Kind: person.KindSuppressed, Source: "page", Reason: "unsubscribe", Scope: "topic:news", Until: later},
			"page", "suppressed for topic news: unsubscribe; until 2026-11-30 15:05:06Z",
		},
		{
			"expired",
			person.Event{Kind: person.KindSuppressed, Source: "import", Reason: "asked", Scope: "all", Until: at, Over: true},
			"import", "suppressed for everything: asked; until 2026-11-30 14:05:06Z, which is over",
		},
		{
			"a domain",
			person.Event{Kind: person.KindSuppressed, Source: "operator", Reason: "manual", Scope: "all", Entry: "*@example.net"},
			"operator", "suppressed for everything with its whole domain (*@example.net): manual",
		},
		{"taken off", person.Event{Kind: person.KindRemoved, Scope: "topic:news"}, "suppression list", "taken off the suppression list for topic news"},
		{
			"a storm",
			person.Event{Kind: person.KindRemoved, Scope: "all", Reason: "storm"},
			"suppression list", "taken off the suppression list for everything, because the server had refused everybody",
		},
	} {
		if got := eventSource(tt.event); got != tt.source {
			t.Errorf("%s: source: got %q, want %q", tt.name, got, tt.source)
		}
		if got := eventWords(tt.event); got != tt.words {
			t.Errorf("%s: words: got %q, want %q", tt.name, got, tt.words)
		}
	}

	rows := traceRows(person.Trace{Events: []person.Event{{Kind: person.KindList, List: "readers"}, {At: at, Kind: "bounced"}}})
	if rows[0][0] != "-" || rows[1][0] != "2026-11-30 14:05:06Z" {
		t.Errorf("times: got %q and %q", rows[0][0], rows[1][0])
	}
}
