package doctor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"broadside/campaign/codes"
	"broadside/internal/store"
)

const subjectLinks = "links"

// answerWithin is how long public_url may take.
const answerWithin = 5 * time.Second

// Links looks whether `broadside web` answers at the address that readers'
// links begin with. That it is https was checked with the configuration.
func Links(ctx context.Context, publicURL string) Finding {
	const (
		code = codes.PublicURL
		why  = "readers who want to leave cannot, and providers count that"
		fix  = "start `broadside web` and lead public_url to it; from this machine it may also be a firewall"
	)
	if publicURL == "" {
		return bad(subjectLinks, code, store.Failed, "public_url is not set", "a message has no link to leave by, so none is made",
			"set it (or BROADSIDE_PUBLIC_URL) to the https address under which readers reach `broadside web`")
	}

	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, publicURL+"/healthz", nil)
	if err != nil {
		return bad(subjectLinks, code, store.Failed, fmt.Sprintf("public_url %s cannot be asked: %v", publicURL, err), why, fix)
	}

	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return bad(subjectLinks, code, store.Warning, fmt.Sprintf("public_url: %v", err), why, fix)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return bad(subjectLinks, code, store.Warning, fmt.Sprintf("public_url: %s/healthz answers %s", publicURL, resp.Status), why, fix)
	}

	return good(subjectLinks, code, publicURL+" answers")
}
