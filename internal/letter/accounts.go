package letter

import (
	"slices"
	"strconv"
	"strings"

	"broadside/campaign"
	"broadside/configs"
	"broadside/configs/strictyaml"
	"broadside/internal/account"
)

// accountsOf returns the accounts of a campaign: those it names, or the only one there is
// for marketing. One for transactional mail is never taken without being named.
func accountsOf(cfg *configs.Config, def *campaign.Definition) ([]string, error) {
	if len(def.Delivery.Accounts) == 0 {
		name, err := onlyAccount(cfg, def)
		if err != nil {
			return nil, err
		}
		return []string{name}, nil
	}

	var problems strictyaml.Problems
	for i, name := range def.Delivery.Accounts {
		if _, ok := cfg.Accounts[name]; !ok {
			problems = append(problems, def.Problem("delivery.accounts["+strconv.Itoa(i)+"]", "no account %q; %s", name, configs.Known(name, cfg.Accounts)))
		}
	}

	if len(problems) > 0 {
		return nil, problems
	}

	return slices.Clone(def.Delivery.Accounts), nil
}

// onlyAccount returns the account of a campaign that names none.
func onlyAccount(cfg *configs.Config, def *campaign.Definition) (string, error) {
	all := account.Names(cfg)
	marketing := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		return cfg.Accounts[name].Stream == configs.Transactional
	})

	const key = "delivery.accounts"
	switch {
	case len(all) == 0:
		return "", account.NoneConfigured(cfg)
	case len(marketing) == 0:
		return "", strictyaml.Problems{def.Problem(key, "missing, and no account is for marketing: %s is for transactional mail, by which a campaign leaves only when it names the account; "+
			"name it here, or set accounts.%s.stream: marketing in %s", strings.Join(all, ", "), all[0], cfg.Where())}
	case len(marketing) > 1:
		return "", strictyaml.Problems{def.Problem(key, "missing: there are %d accounts (%s), say which to use", len(marketing), strings.Join(marketing, ", "))}
	}
	return marketing[0], nil
}
