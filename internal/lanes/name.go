package lanes

import (
	"fmt"
	"strings"

	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/failure"
)

// A Name names a lane of an account of the configuration.
type Name struct {
	Account string
	Lane    string // a mailbox provider, or a domain of the long tail
}

// String returns ACCOUNT/PROVIDER.
func (n Name) String() string { return n.Account + "/" + n.Lane }

// Parse returns the lane that text means: ACCOUNT/PROVIDER or ACCOUNT/DOMAIN. The error is
// of the kind failure.ErrInvalid.
func Parse(cfg *configs.Config, text string) (Name, error) {
	name, lane, both := strings.Cut(text, "/")
	if !both {
		example := "ses-main"
		if names := account.Names(cfg); len(names) > 0 {
			example = names[0]
		}
		return Name{}, failure.Invalid(fmt.Sprintf("lane %q: found one name, expected ACCOUNT/PROVIDER or ACCOUNT/DOMAIN, such as %s/gmail", text, example))
	}

	acct, err := account.Find(cfg, name)
	if err != nil {
		return Name{}, err
	}
	known, problem := configs.LaneName(lane)
	if problem != "" {
		return Name{}, failure.Invalid(fmt.Sprintf("lane %s/%s: %s", acct.Name, lane, problem))
	}
	return Name{acct.Name, known}, nil
}
