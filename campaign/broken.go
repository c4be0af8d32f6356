package campaign

import (
	"errors"
	"fmt"
	"strings"

	"broadside/campaign/codes"
)

// A BrokenError says that what Redis holds under a key is not what this
// version writes there: another version or another program wrote it, or it was
// changed by hand. It is about this one entry: a listing shows it as
// broken and goes on with the others.
type BrokenError struct {
	What string // "run october-20261001T070000Z"
	Key  string
	Err  error // what was found, and what was expected
}

// Error returns one line that begins with the code BS-BROKEN-STATE.
func (e *BrokenError) Error() string {
	return codes.BrokenState.Reason("%s cannot be read: %v (key %s)", e.What, e.Err, e.Key)
}

// Unwrap returns what was found.
func (e *BrokenError) Unwrap() error { return e.Err }

// IsBroken reports whether err says that an entry in Redis cannot be read, and
// not that Redis cannot.
func IsBroken(err error) bool {
	_, ok := errors.AsType[*BrokenError](err)
	return ok
}

// errWrongType is the answer of Redis in plainer words.
var errWrongType = errors.New("found another type of Redis value than expected")

// ReadError returns the error of reading something from a key of Redis: a
// BrokenError when the key holds another type of value, else err with what was
// read.
func ReadError(err error, what, key string) error {
	if IsWrongType(err) {
		return &BrokenError{What: what, Key: key, Err: errWrongType}
	}
	return fmt.Errorf("read %s: %w", what, err)
}

// IsWrongType reports whether err is the answer of Redis, or of a script in it,
// about a key that holds another type of value than the command works on.
func IsWrongType(err error) bool {
	return err != nil && strings.Contains(err.Error(), "WRONGTYPE ")
}
