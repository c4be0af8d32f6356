package campaign

import (
	"fmt"
	"strconv"
	"strings"
)

// An Origin is the place of a recipient in the run that sent to them first,
// for a run that sends the same message once more: Message-ID, return path and
// unsubscribe link name that place, so that servers which know the message
// already can tell.
type Origin struct{ Part, Index int }

// String returns the text that stands behind the merge fields of a row, in a
// run whose Snapshot has an Origin.
func (o Origin) String() string { return strconv.Itoa(o.Part) + ":" + strconv.Itoa(o.Index) }

// ParseOrigin is the reverse of String.
func ParseOrigin(text string) (Origin, error) {
	part, index, ok := strings.Cut(text, ":")
	p, partErr := strconv.ParseUint(part, 10, 8) // as message tokens have room for
	i, indexErr := strconv.ParseUint(index, 10, 32)
	if !ok || partErr != nil || indexErr != nil {
		return Origin{}, fmt.Errorf("found %q, expected part:index", text)
	}
	return Origin{int(p), int(i)}, nil
}
