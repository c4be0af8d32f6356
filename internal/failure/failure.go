// Package failure defines the kinds of errors that callers tell apart. The command
// line turns each kind into an exit code. Any other error, except the input errors
// of configs, campaign, audience and templates, means that something failed while
// working.
package failure

import "errors"

// The kinds.
var (
	// ErrInvalid: the input cannot be used; nothing was created.
	ErrInvalid = errors.New("invalid input")
	// ErrRefused: a guard refuses it, a confirmation is missing, or it was done before.
	ErrRefused = errors.New("refused")
	// ErrUnreachable: a service that is needed does not answer.
	ErrUnreachable = errors.New("not reachable")
	// ErrTimeout: it was still running when the time was over.
	ErrTimeout = errors.New("still running")
	// ErrTooMany: it finished, but more failed than was allowed.
	ErrTooMany = errors.New("more failed than allowed")
)

// An Error is a text for people that is of a kind.
type Error struct {
	kind  error
	text  string
	cause error // nil: none
}

// New returns an error with a text for people. cause, which may be nil, is not
// printed; errors.Is finds it.
func New(kind error, text string, cause error) error {
	return &Error{kind, text, cause}
}

// Invalid returns an ErrInvalid.
func Invalid(text string) error { return New(ErrInvalid, text, nil) }

// Refused returns an ErrRefused.
func Refused(text string) error { return New(ErrRefused, text, nil) }

// Unreachable returns an ErrUnreachable.
func Unreachable(text string) error { return New(ErrUnreachable, text, nil) }

// Error returns the text.
func (e *Error) Error() string { return e.text }

// Unwrap returns the kind, and the cause if there is one.
func (e *Error) Unwrap() []error {
	if e.cause == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.cause}
}
