package address

import (
	"errors"
	"fmt"

	"broadside/internal/failure"
)

// ParseAll parses addresses that a person named. The error is of the kind
// failure.ErrInvalid, and names each text that is not an address.
func ParseAll(texts []string) ([]Address, error) {
	var all []Address
	var errs []error
	for _, text := range texts {
		a, err := Parse(text)
		if err != nil {
			errs = append(errs, failure.Invalid(fmt.Sprintf("%q is not an address: %v", text, err)))
			continue
		}
		all = append(all, a)
	}

	return all, errors.Join(errs...)
}
