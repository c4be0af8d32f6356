package outgoing

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/address"
	"broadside/internal/testkit"
)

var setUser = regexp.MustCompile(`(?s)ACL (SETUSER broadside .*?)\n\n`)

// TestTheDocumentedUserMayDoAllOfIt has the user of docs/redis.md deliver, fail, list,
// try again, erase and forget.
func TestTheDocumentedUserMayDoAllOfIt(t *testing.T) {
	t.Parallel()
	root, err := testkit.Root()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile(root + "/docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	line := setUser.FindSubmatch(doc)
	if line == nil {
		t.Fatal("docs/redis.md has no ACL SETUSER line")
	}
	text := strings.NewReplacer("\\\n", " ", ">PASSWORD", ">pw", "~acme:*", "~bs:*").Replace(string(line[1]))
	args := []any{"ACL"}
	for word := range strings.FieldsSeq(text) {
		args = append(args, word)
	}

	url := testkit.Redis(t)
	opt, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(opt)
	defer admin.Close()
	if err := admin.Do(t.Context(), args...).Err(); err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	user := *opt
	user.Username, user.Password = "broadside", "pw"
	rdb := redis.NewClient(&user)
	t.Cleanup(func() { rdb.Close() })

	var tries atomic.Int64
	c := newCRM(t, func(w http.ResponseWriter, _ *http.Request) {
		if tries.Add(1) <= 4 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	receiver := c.webhook(campaign.WebhookBounced, campaign.WebhookRunPaused, campaign.WebhookRunFinished)
	h := houseOf(t, rdb, receiver)
	r := h.run(t, 2)
	h.ends(t, r, campaign.Bounced, 0)
	if _, err := h.ledger.Turn(t.Context(), theRun, campaign.Paused, "by the operator", campaign.Running); err != nil {
		t.Fatal(err)
	}
	h.ends(t, r, campaign.Bounced, 1)
	h.round(t)
	h.retire(t)
	h.round(t)

	stop := h.office.run(t)
	h.status(t, "all are delivered or dead", func(s Status) bool { return s.Waiting+s.Retried == 0 && s.LastDay+s.Dead > 0 })
	if _, err := h.RetryAll(t.Context()); err != nil {
		t.Error(err)
	}
	h.status(t, "all are delivered", func(s Status) bool { return s.Waiting+s.Retried+s.Dead == 0 })
	stop()
	if err := h.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(1)}); err != nil {
		t.Error(err)
	}
	ann, err := address.Parse("ann@gmail.com")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := h.Erase(t.Context(), ann, false); n != 1 || err != nil {
		t.Errorf("erase: got %d, %v", n, err)
	}
	if err := h.outbox.Announce(t.Context(), []campaign.RecipientEvent{bounced(2)}); err != nil {
		t.Error(err)
	}
	take := admin.LMove(t.Context(), "asynq:{bs-webhook-"+receiver.ID()+"}:pending", "asynq:{bs-webhook-"+receiver.ID()+"}:active", "RIGHT", "LEFT")
	if err := take.Err(); err != nil { // as a process that died with it in hand
		t.Error(err)
	}
	if n, err := newOffice(t, rdb).Forget(t.Context(), receiver.ID()); n != 1 || err != nil {
		t.Errorf("forget: got %d, %v", n, err)
	}

	log, err := admin.Do(t.Context(), "ACL", "LOG").Slice()
	if err != nil || len(log) > 0 {
		t.Errorf("denied: %v, %v", log, err)
	}
	if strings.Contains(h.log.String(), "NOPERM") {
		t.Errorf("the log says: %s", h.log)
	}
}
