package doctor

import (
	"fmt"
	"os"
	"strings"

	"broadside/campaign/codes"
	"broadside/internal/store"
)

// readableByOthers is the right of every user of the machine to read a file. A
// group is not looked at: giving one the file is a decision.
const readableByOthers = 0o004

// ConfigFile looks who can read a configuration file; secrets are the keys in it
// whose values are not for everybody. Without a file there is nothing to say.
func ConfigFile(file string, secrets []string) []Finding {
	const code, subject = codes.ConfigReadable, "settings"
	if file == "" || len(secrets) == 0 {
		return nil
	}
	info, err := os.Stat(file)
	if err != nil {
		return []Finding{bad(subject, code, store.Warning, fmt.Sprintf("%s cannot be looked at: %v", file, err), "it is not known who can read it", "look at its rights")}
	}
	if info.Mode().Perm()&readableByOthers != 0 {
		text := fmt.Sprintf("every user of this machine can read %s, which has %s in it", file, strings.Join(secrets, ", "))
		return []Finding{bad(subject, code, store.Warning, text, "with them others can send as you, and unsubscribe your readers",
			"chmod o-r "+file+", or write ${NAME} and set that variable")}
	}
	return []Finding{good(subject, code, file+" is not for every user of this machine")}
}
