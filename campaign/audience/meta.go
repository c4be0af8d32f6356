package audience

import (
	"fmt"
	"strconv"
	"strings"
)

// Meta is what a run knows of one recipient besides the merge fields. It is stored
// with the row in the chunks of the run; no file or list has it.
type Meta struct {
	// Origin is set in a run that resends the messages of another run.
	Origin *Origin
}

// An Origin is the place that a recipient has in the run that sent to them first.
// Message-ID, return path and unsubscribe link of a message that is resent name that
// place, so that a server which has the message already can tell.
type Origin struct{ Part, Index int }

// Limits of an Origin: a message token has room for no more.
const (
	maxOriginPart  = 1<<8 - 1
	maxOriginIndex = 1<<32 - 1
)

// Origin returns the place that the recipient has in the run that sent to them first.
// columns is how many merge fields the run has: chunks of version 1 have the place as
// text in one more value behind them.
func (r *Row) Origin(columns int) (Origin, error) {
	if r.Meta != nil && r.Meta.Origin != nil {
		return *r.Meta.Origin, nil
	}
	if len(r.Values) <= columns {
		return Origin{}, fmt.Errorf("the recipient of line %d has no place in the run that sent the message first", r.Line)
	}

	text := r.Values[columns]
	part, index, found := strings.Cut(text, ":")
	p, partErr := strconv.ParseUint(part, 10, 8)
	i, indexErr := strconv.ParseUint(index, 10, 32)
	if !found || partErr != nil || indexErr != nil {
		return Origin{}, fmt.Errorf("found %q, expected part:index", text)
	}

	return Origin{int(p), int(i)}, nil
}
