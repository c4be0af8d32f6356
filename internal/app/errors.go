package app

import "errors"

// The kinds of errors that the command line tells apart by its exit code. An
// error that is none of them, and not one of the input errors of configs,
// audience and templates, is a failure while working.
var (
	// ErrInvalid: the input cannot be used; nothing was created.
	ErrInvalid = errors.New("invalid input")
	// ErrRefused: a guard, a missing confirmation, or it was done before.
	ErrRefused = errors.New("refused")
	// ErrUnreachable: a service that is needed does not answer.
	ErrUnreachable = errors.New("not reachable")
	// ErrTimeout: still running when the time was over.
	ErrTimeout = errors.New("still running")
	// ErrTooMany: finished, but more failed than was allowed.
	ErrTooMany = errors.New("more failed than allowed")
)

// kindError is text for people with a kind for the exit code.
type kindError struct {
	kind error
	text string
	err  error // the cause, if any
}

func (e *kindError) Error() string { return e.text }

func (e *kindError) Unwrap() []error {
	if e.err == nil {
		return []error{e.kind}
	}
	return []error{e.kind, e.err}
}

func invalid(text string) error     { return &kindError{ErrInvalid, text, nil} }
func refused(text string) error     { return &kindError{ErrRefused, text, nil} }
func unreachable(text string) error { return &kindError{ErrUnreachable, text, nil} }
