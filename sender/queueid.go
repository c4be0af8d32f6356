package sender

import (
	"strings"

	"broadside/campaign/address"
)

// QueueID finds the id under which the server took a message ("queued as
// 4Bxyz", as servers say it), for the server's own logs. A server may name
// the recipient there: an address is no id, and is not for a log.
func QueueID(text string) string {
	const mark = "queued as "
	at := indexFold(text, mark)
	if at < 0 {
		return ""
	}
	id, _, _ := strings.Cut(text[at+len(mark):], " ")
	return address.Redact(strings.Trim(id, ".,;()<>"))
}

// indexFold finds an ASCII text in any case. strings.ToLower may change the
// length of what stands before it.
func indexFold(text, mark string) int {
	for i := range len(text) - len(mark) + 1 {
		if strings.EqualFold(text[i:i+len(mark)], mark) {
			return i
		}
	}
	return -1
}
