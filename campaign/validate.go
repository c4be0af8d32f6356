package campaign

import (
	"fmt"
	"net/mail"
	"path/filepath"
	"regexp"
	"strings"
	"time"
	"unicode"

	"golang.org/x/net/idna"
)

const (
	// maxAttempts is what four bits of a ledger cell count.
	maxAttempts = 15
	// maxWait bounds what is waited for: the ledger counts seconds since the
	// run was created in three bytes, which is 194 days.
	maxWait = 30 * 24 * time.Hour
	// maxExclude is how many lists, runs and files are left out: each is read at
	// every launch, and files are stored with a schedule.
	maxExclude = 100

	mailboxExample = "Acme News <news@acme.example>"
	mailboxForm    = "one mailbox such as " + mailboxExample
)

var (
	idPattern       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	runPattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}$`)
	listPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	fieldPattern    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	encodingPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,39}$`)
)

// isMailbox reports whether text is one RFC 5322 mailbox, with or without a
// name, whose domain can be in the From header of mail to strangers.
func isMailbox(text string) bool {
	if strings.ContainsFunc(text, unicode.IsControl) || strings.HasSuffix(strings.TrimSpace(text), ";") { // a group
		return false
	}
	a, err := mail.ParseAddress(text)
	if err != nil || strings.ContainsFunc(a.Name, unicode.IsControl) {
		return false
	}
	local, domain, _ := strings.Cut(a.Address, "@")
	if local == "" || len(local) > 64 || strings.ContainsAny(a.Address, " \"\\<>[]") || strings.Count(a.Address, "@") != 1 {
		return false
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	return err == nil && ascii != "" && len(ascii) <= 253
}

func isSubject(text string) bool {
	return strings.TrimSpace(text) != "" && !strings.ContainsFunc(text, unicode.IsControl)
}

// isFile reports whether text can name a file. It is opened by who reads it.
func isFile(text string) bool {
	return text != "" && text != "-" && !strings.ContainsFunc(text, unicode.IsControl)
}

func isHeader(text string) bool {
	return strings.TrimSpace(text) != "" && !strings.ContainsFunc(text, unicode.IsControl)
}

// isSource reports whether text names an audience that can be read.
func isSource(text string) bool {
	if name, ok := strings.CutPrefix(text, "list:"); ok {
		return listPattern.MatchString(name)
	}
	return text == "-" || !strings.HasPrefix(text, "run:") && isAudienceFile(text)
}

// isAudienceFile reports whether text names a file. Files of any name but
// those of known other kinds may hold CSV or JSONL.
func isAudienceFile(text string) bool {
	return isFile(text) && !strings.Contains(text, "://") && !isLater(text)
}

// isLater reports whether text is a source that later versions will read.
func isLater(text string) bool {
	lower := strings.ToLower(text)
	return strings.HasPrefix(lower, "https://") || filepath.Ext(lower) == ".xlsx"
}

// isExclusion reports whether text is an entry of exclude: list:NAME, run:ID
// (or the id of a campaign, for all its runs), or a file.
func isExclusion(text string) bool {
	if name, ok := strings.CutPrefix(text, "list:"); ok {
		return listPattern.MatchString(name)
	}
	if id, ok := strings.CutPrefix(text, "run:"); ok {
		return runPattern.MatchString(id)
	}
	return isAudienceFile(text)
}

// isPlainFile reports whether an exclusion is a file.
func isPlainFile(text string) bool {
	return !strings.HasPrefix(text, "list:") && !strings.HasPrefix(text, "run:")
}

func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
