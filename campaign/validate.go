package campaign

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"

	"broadside/configs/strictyaml"
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
)

var (
	idPattern       = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)
	runPattern      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,99}$`)
	namePattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`) // of lists and topics
	fieldPattern    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	encodingPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,39}$`)
)

// TopicForm describes topics for "expected ...".
const TopicForm = "lower-case letters, digits, . _ and -, beginning with a letter or digit, at most 64"

// IsTopic reports whether name can be a topic.
func IsTopic(name string) bool { return namePattern.MatchString(name) }

// readSubject checks a subject line.
func readSubject(text string) (value, problem string) {
	if strings.TrimSpace(text) == "" {
		return "", "expected one line of text that is not empty"
	}
	return strictyaml.OneLine(text)
}

// isFile reports whether text can name a file. It is opened later.
func isFile(text string) bool {
	return text != "" && text != "-" && !strings.ContainsFunc(text, unicode.IsControl)
}

func isHeader(text string) bool {
	return strings.TrimSpace(text) != "" && !strings.ContainsFunc(text, unicode.IsControl)
}

// isLanguage reports whether text is a language tag (RFC 5646).
func isLanguage(text string) bool {
	_, err := language.Parse(text)
	return err == nil
}

// isImageURL reports whether text is a URL that every mail program may load.
func isImageURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Scheme == "https" && u.Host != "" && !strings.ContainsFunc(text, unicode.IsSpace)
}

// isSource reports whether text names an audience that can be read.
func isSource(text string) bool {
	if name, ok := strings.CutPrefix(text, "list:"); ok {
		return namePattern.MatchString(name)
	}
	return text == "-" || !strings.HasPrefix(text, "run:") && isAudienceFile(text)
}

// isAudienceFile reports whether text names a file. Files of any name may
// hold CSV, JSONL or a workbook.
func isAudienceFile(text string) bool { return isFile(text) && !strings.Contains(text, "://") }

// isExclusion reports whether text is an entry of exclude: list:NAME, run:ID
// (or the id of a campaign, for all its runs), or a file.
func isExclusion(text string) bool {
	if name, ok := strings.CutPrefix(text, "list:"); ok {
		return namePattern.MatchString(name)
	}
	if id, ok := strings.CutPrefix(text, "run:"); ok {
		return runPattern.MatchString(id)
	}
	return isAudienceFile(text)
}

// isSheet reports whether text can be the name of a worksheet, of which programs allow
// 31 characters.
func isSheet(text string) bool {
	return text != "" && len(text) <= 255 && !strings.ContainsFunc(text, unicode.IsControl)
}

// isPlainFile reports whether an exclusion is a file.
func isPlainFile(text string) bool {
	return !strings.HasPrefix(text, "list:") && !strings.HasPrefix(text, "run:")
}

func index(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }
