package web

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/text/language"
)

const (
	languageWithin = time.Second // for the language of a run
	languagesKept  = 1000        // runs whose language is remembered
)

// spoken has the languages of the pages, the default one first.
var (
	spoken  = []string{defaultLanguage, "de", "es", "fr"}
	matcher = language.NewMatcher([]language.Tag{language.English, language.German, language.Spanish, language.French})
)

// spokenFor returns the language of pages that fits a tag such as "de-AT"; empty when
// none does.
func spokenFor(tag string) string {
	parsed, err := language.Parse(tag)
	if err != nil {
		return ""
	}
	_, i, confidence := matcher.Match(parsed)
	if confidence < language.High {
		return ""
	}
	return spoken[i]
}

// browserLanguage returns the language of pages that the reader's browser asks for.
func browserLanguage(r *http.Request) string {
	_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return spoken[i]
}

// language returns the language of the page of a link: that of the run's campaign, else
// that of the browser.
func (s *Server) language(r *http.Request, run string) string {
	if of := spokenFor(s.runs.language(r.Context(), run)); of != "" {
		return of
	}
	return browserLanguage(r)
}

// runLanguages remembers the languages of runs, which never change. It is safe for
// concurrent use.
type runLanguages struct {
	read func(ctx context.Context, run string) (string, error) // nil: none has a language

	mu    sync.Mutex
	known map[string]string // by run
}

// language returns the tag that the campaign of a run gives; empty when it gives none, or
// that is not known now.
func (l *runLanguages) language(ctx context.Context, run string) string {
	if l.read == nil || run == "" {
		return ""
	}

	l.mu.Lock()
	tag, ok := l.known[run]
	l.mu.Unlock()
	if ok {
		return tag
	}

	ctx, cancel := context.WithTimeout(ctx, languageWithin)
	defer cancel()
	tag, err := l.read(ctx, run)
	if err != nil {
		return ""
	}

	l.mu.Lock()
	defer l.mu.Unlock()
	if l.known == nil || len(l.known) >= languagesKept {
		l.known = map[string]string{}
	}
	l.known[run] = tag
	return tag
}
