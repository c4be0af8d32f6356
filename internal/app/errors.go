package app

import "broadside/internal/failure"

// Short names for the kinds of errors that this package returns.
var (
	ErrInvalid = failure.ErrInvalid
	ErrRefused = failure.ErrRefused

	invalid = failure.Invalid
	refused = failure.Refused
)
