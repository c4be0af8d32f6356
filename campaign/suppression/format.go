package suppression

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"broadside/campaign/address"
)

// A format is what a service exports: which field has what.
type format struct {
	address, at string // names of fields, in lower case
	layouts     []string
	// reason returns the reason of a record. An error says why the record is no
	// suppression; errReason that its reason is unknown.
	reason func(r *record) (string, error)
}

// unixSeconds stands among layouts of times for seconds since 1970.
const unixSeconds = ""

var errReason = errors.New("a reason that is not known")

// errBlock says why a block is refused.
var errBlock = errors.New("a block is no suppression: the server refused the message, for its content or its sender, and the address may be good")

// The formats, by the name that people give.
var formats = map[string]format{
	// docs.aws.amazon.com/ses/latest/APIReference-V2/API_SuppressedDestinationSummary.html;
	// the command line prints the time as RFC 3339 or in seconds, by its version.
	"ses": {
		address: "emailaddress", at: "lastupdatetime", layouts: []string{unixSeconds, time.RFC3339},
		reason: named("reason", map[string]string{"BOUNCE": ReasonBounce, "COMPLAINT": ReasonComplaint}),
	},
	// postmarkapp.com/developer/api/suppressions-api, "Suppression dump".
	"postmark": {
		address: "emailaddress", at: "createdat", layouts: []string{time.RFC3339},
		reason: postmarkReason,
	},
	// documentation.mailgun.com, "Bounces", "Complaints" and "Unsubscribes".
	"mailgun": {
		address: "address", at: "created_at", layouts: []string{time.RFC1123, time.RFC1123Z, time.RFC3339},
		reason: mailgunReason,
	},
	// docs.sendgrid.com, the suppressions of API v3; the files of the pages have the same
	// names.
	"sendgrid": {
		address: "email", at: "created", layouts: []string{unixSeconds, time.RFC3339, time.DateTime},
		reason: sendgridReason,
	},
}

// Formats are the names of the formats that ImportFormat reads, sorted.
func Formats() []string { return slices.Sorted(maps.Keys(formats)) }

func named(field string, reasons map[string]string) func(*record) (string, error) {
	return func(r *record) (string, error) {
		if reason, ok := reasons[r.get(field)]; ok {
			return reason, nil
		}
		return ReasonImported, fmt.Errorf("%w: %q", errReason, r.get(field))
	}
}

// postmarkReason takes what a reader did for an unsubscribe: Postmark calls it manual,
// as it does what an operator did.
func postmarkReason(r *record) (string, error) {
	reason, err := named("suppressionreason", map[string]string{
		"HardBounce": ReasonBounce, "SpamComplaint": ReasonComplaint, "ManualSuppression": ReasonManual,
	})(r)
	if reason == ReasonManual && r.get("origin") == "Recipient" {
		reason = ReasonUnsubscribe
	}
	return reason, err
}

// mailgunReason goes by the fields: each kind has a file of its own, which does not name
// it.
func mailgunReason(r *record) (string, error) {
	switch {
	case r.has("code") || r.has("error"):
		return ReasonBounce, nil
	case r.has("tags") || r.has("tag"):
		return ReasonUnsubscribe, nil
	default:
		return ReasonComplaint, nil
	}
}

// sendgridReason goes by the fields too. Blocks have those of bounces, and a status that
// is not permanent.
func sendgridReason(r *record) (string, error) {
	switch {
	case strings.HasPrefix(r.get("status"), "4"), strings.HasPrefix(r.get("type"), "block"):
		return "", errBlock
	case r.has("status") || r.has("reason"):
		return ReasonBounce, nil
	case r.has("ip"):
		return ReasonComplaint, nil
	default:
		return ReasonUnsubscribe, nil
	}
}

// parse reads a time in one of the layouts of the format.
func (f *format) parse(text string) (time.Time, error) {
	for _, layout := range f.layouts {
		if layout != unixSeconds {
			if t, err := time.Parse(layout, text); err == nil {
				return t.UTC(), nil
			}
			continue
		}
		seconds, err := strconv.ParseFloat(text, 64)
		if err == nil && seconds > 0 && seconds < 1e11 {
			return time.UnixMilli(int64(math.Round(seconds * 1000))).UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time as this service writes it", text)
}

// A record is one suppression as a service has exported it.
type record struct {
	line  int
	text  string // in quotes, and cut
	cells map[string]string
}

func (r *record) get(field string) string { return r.cells[field] }

func (r *record) has(field string) bool {
	_, ok := r.cells[field]
	return ok
}

// entries returns the entries of a record, and counts it.
func (im *importer) entries(f *format, service string, r *record) []Entry {
	im.result.Rows++
	reject := func(why string) []Entry {
		im.result.Rejects = append(im.result.Rejects, Reject{r.line, why, r.text})
		return nil
	}
	note := func(format string, args ...any) {
		im.result.Notes = append(im.result.Notes, Reject{r.line, fmt.Sprintf(format, args...), r.text})
	}

	reason, err := f.reason(r)
	if err != nil && !errors.Is(err, errReason) {
		return reject(err.Error())
	}
	addresses := address.Find(r.get(f.address))
	if len(addresses) == 0 {
		return reject(fmt.Sprintf("no address in the field %q", f.address))
	}
	if err != nil {
		note("%v: taken as %q", err, reason)
	}

	at := im.now
	if text := r.get(f.at); text != "" {
		at, err = f.parse(text)
		if err != nil {
			note("%s: %v: taken as now", f.at, err)
			at = im.now
		}
	}

	var entries []Entry
	for _, a := range addresses {
		canonical := a.Canonical()
		entries = append(entries, Entry{
			Address: canonical, Hash: address.Hash(canonical), Scope: All, Reason: reason, Source: "import " + service, At: at,
		})
	}
	return entries
}
