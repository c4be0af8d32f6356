package main

import "strings"

// An ink puts colours around words, for a terminal; the zero ink puts none.
type ink struct{ on bool }

// The colours, as SGR parameters (ECMA-48) that every palette can be read with.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	blue   = "36"
	dim    = "2"
)

// wordColours are the words that have a colour wherever they say how things
// are: of runs, recipients, accounts, schedules, checks and steps.
var wordColours = map[string]string{
	"finished": green, "accepted": green, "ok": green, "open": green, "delivered": green,
	"running": blue, "expanding": blue, "sending": blue, "firing": blue,
	"paused": yellow, "slowed": yellow, "held": yellow, "deferred": yellow, "uncertain": yellow, "warning": yellow, "reason": yellow, "waits": yellow, "canary": yellow,
	"failed": red, "bounced": red, "broken": red, "closed": red, "complained": red, "not accepted": red,
	"cancelled": dim, "suppressed": dim, "pending": dim, "skipped": dim,
}

// word returns text with its colour, if it is such a word or begins with one.
func (i ink) word(text string) string {
	if colour, ok := wordColours[text]; ok {
		return i.paint(colour, text)
	}
	end := strings.IndexAny(text, " :")
	if end < 0 {
		return text
	}
	return i.paint(wordColours[text[:end]], text[:end]) + text[end:]
}

// paint returns text in a colour.
func (i ink) paint(colour, text string) string {
	if !i.on || colour == "" {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// ink colours what goes to stdout, and errInk what goes to stderr, where it is a
// terminal. NO_COLOR (no-color.org) and --quiet keep it plain.
func (c *cli) ink() ink    { return ink{c.stdoutTTY && c.coloured()} }
func (c *cli) errInk() ink { return ink{c.term != nil && c.term.tty && c.coloured()} }

func (c *cli) coloured() bool { return !c.quiet && c.getenv("NO_COLOR") == "" }
