package throttle

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// laneVersion is the first field of the text of a lane.
	laneVersion = "1"
	// laneFields is how many fields it has, with tabs between them: version, state,
	// decreased, level, ceiling, known, known until, anchor, since, until, from, pauses,
	// end of the last pause, probed, code, reason. Times are in ms since 1970, 0 for
	// none. pace.lua reads the first three.
	laneFields = 16
	// maxLaneText bounds code and reason, in bytes.
	maxLaneText = 500
)

// laneStates are the states as numbers.
var laneStates = []LaneState{LaneOpen, LaneSlowed, LanePaused, LaneClosed}

// text returns the lane as it is stored; it has no state that ends by itself.
func (l Lane) text() string {
	state := 0
	switch {
	case l.shut == LaneClosed:
		state = 3
	case l.shut == LanePaused:
		state = 2
	case l.Level > 0:
		state = 1
	}
	return strings.Join([]string{
		laneVersion, strconv.Itoa(state), msText(l.decreased),
		rateText(l.Level), rateText(l.Ceiling), rateText(l.known), msText(l.knownUntil),
		msText(l.anchor), msText(l.Since), msText(l.Until), msText(l.From),
		strconv.Itoa(l.pauses), msText(l.pauseEnd), msText(l.probed),
		plainText(l.Code), plainText(l.Reason),
	}, "\t")
}

func msText(t time.Time) string {
	if t.IsZero() {
		return "0"
	}
	return strconv.FormatInt(max(t.UnixMilli(), 0), 10)
}

func rateText(rate float64) string { return strconv.FormatFloat(rate, 'g', -1, 64) }

// plainText returns a text as one field.
func plainText(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
	if len(text) <= maxLaneText {
		return text
	}
	end := maxLaneText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// parseLane reads what text has written.
func parseLane(text string) (Lane, error) {
	fields := strings.Split(text, "\t")
	if fields[0] != laneVersion {
		return Lane{}, fmt.Errorf("found the version %.20q, expected %s", fields[0], laneVersion)
	}
	if len(fields) != laneFields {
		return Lane{}, fmt.Errorf("found %d fields, expected %d", len(fields), laneFields)
	}

	p := laneParser{fields: fields}
	l := Lane{
		decreased: p.moment(2, "decreased"),
		Level:     p.rate(3, "level"), Ceiling: p.rate(4, "ceiling"),
		known: p.rate(5, "known"), knownUntil: p.moment(6, "known until"),
		anchor: p.moment(7, "anchor"), Since: p.moment(8, "since"), Until: p.moment(9, "until"), From: p.moment(10, "from"),
		pauses: p.number(11, "pauses"), pauseEnd: p.moment(12, "end of the last pause"), probed: p.moment(13, "probed"),
		Code: fields[14], Reason: fields[15],
	}
	state := p.number(1, "state")
	switch {
	case state >= len(laneStates):
		p.errs = append(p.errs, fmt.Errorf("state: found %d, expected 0 to %d", state, len(laneStates)-1))
	case state >= 2:
		l.shut = laneStates[state]
	}
	if err := errors.Join(p.errs...); err != nil {
		return Lane{}, err
	}
	return l, nil
}

// A laneParser reads the fields of a lane and gathers what is wrong with them.
type laneParser struct {
	fields []string
	errs   []error
}

func (p *laneParser) number(i int, what string) int {
	n, err := strconv.Atoi(p.fields[i])
	if err != nil || n < 0 {
		p.errs = append(p.errs, fmt.Errorf("%s: found %.40q, expected a number", what, p.fields[i]))
		return 0
	}
	return n
}

func (p *laneParser) rate(i int, what string) float64 {
	rate, err := strconv.ParseFloat(p.fields[i], 64)
	if err != nil || rate < 0 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		p.errs = append(p.errs, fmt.Errorf("%s: found %.40q, expected messages a second", what, p.fields[i]))
		return 0
	}
	return rate
}

func (p *laneParser) moment(i int, what string) time.Time {
	ms := p.number(i, what)
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms)).UTC()
}
