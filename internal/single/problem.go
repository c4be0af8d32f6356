package single

import (
	"errors"
	"strings"

	"broadside/internal/failure"
)

// A Problem is one thing that is wrong with a request.
type Problem struct {
	Field string // such as to, template or data.name
	Text  string
}

// Problems are all that is wrong with a request. They are of the kind failure.ErrInvalid.
type Problems []Problem

// Error returns one line for each.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Field + ": " + one.Text
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the kind.
func (p Problems) Unwrap() error { return failure.ErrInvalid }

// err returns the problems, or nil.
func (p Problems) err() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// Why a request that is well-formed is not taken. The first two are of the kind
// failure.ErrRefused as well.
var (
	// ErrSuppressed: the address must not be mailed.
	ErrSuppressed = errors.New("suppressed")
	// ErrConflict: the key was used for another message.
	ErrConflict = errors.New("the key was used for another message")
	// ErrFull: too many messages wait.
	ErrFull = errors.New("too many messages wait to be sent")
)

func refused(cause error, text string) error { return failure.New(failure.ErrRefused, text, cause) }
