package doctor

import (
	"fmt"
	"os"
	"strings"

	"broadside/campaign/codes"
	"broadside/configs"
	"broadside/internal/account"
	"broadside/internal/input"
	"broadside/internal/store"
)

const subjectSettings = "settings"

// Settings looks for what the configuration lacks, and who can read its file. What
// is wrong in it is found when it is read.
func Settings(cfg *configs.Config) []Finding {
	return append([]Finding{postalAddress(cfg), secrets(cfg), accounts(cfg)}, configFile(cfg.File, cfg.SecretsInFile)...)
}

func postalAddress(cfg *configs.Config) Finding {
	const code = codes.PostalAddress
	if cfg.PostalAddress == "" {
		return bad(subjectSettings, code, store.Warning, "postal_address is not set",
			"the footer of a letter does not say where its sender is, which the law of many countries requires", "set postal_address")
	}
	return good(subjectSettings, code, "postal_address is set")
}

func secrets(cfg *configs.Config) Finding {
	const code = codes.Secrets
	if err := cfg.RequireSecrets(); err != nil {
		return bad(subjectSettings, code, store.Failed, strings.TrimSpace(err.Error()), "nothing can be launched", "set secrets (or BROADSIDE_SECRETS)")
	}
	return good(subjectSettings, code, fmt.Sprintf("%d secrets", len(cfg.Secrets)))
}

func accounts(cfg *configs.Config) Finding {
	const code = codes.Accounts
	if len(cfg.Accounts) == 0 {
		return bad(subjectSettings, code, store.Failed, account.Missing, "nothing can be sent", account.HowToAdd(cfg))
	}
	return good(subjectSettings, code, fmt.Sprintf("%d accounts", len(cfg.Accounts)))
}

// readableByOthers is the right of every user of the machine to read a file. A
// group is not looked at: giving one the file is a decision.
const readableByOthers = 0o004

// configFile looks who can read a configuration file; secrets are the keys in it
// whose values are not for everybody. Without a file there is nothing to say.
func configFile(file string, secrets []string) []Finding {
	const code, subject = codes.ConfigReadable, subjectSettings
	if file == "" || len(secrets) == 0 {
		return nil
	}

	info, err := os.Stat(file)
	if err != nil {
		return []Finding{bad(subject, code, store.Warning, fmt.Sprintf("%s cannot be looked at: %s", file, input.Why(err)), "it is not known who can read it", "look at its rights")}
	}

	if info.Mode().Perm()&readableByOthers != 0 {
		text := fmt.Sprintf("every user of this machine can read %s, which has %s in it", file, strings.Join(secrets, ", "))
		return []Finding{bad(subject, code, store.Warning, text, "with them others can send as you, and unsubscribe your readers",
			"chmod o-r "+file+", or write ${NAME} and set that variable")}
	}

	return []Finding{good(subject, code, file+" is not for every user of this machine")}
}
