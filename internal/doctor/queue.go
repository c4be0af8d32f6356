package doctor

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"broadside/campaign"
	"broadside/campaign/codes"
	"broadside/campaign/ledger"
	"broadside/internal/queue"
	"broadside/internal/store"
)

const subjectQueue = "queue"

// tasks looks at asynq's queue.
func tasks(ctx context.Context, rdb redis.UniversalClient, l look) []Finding {
	h, err := queue.Look(ctx, rdb, l.namespace)
	if err != nil {
		return []Finding{unknown(subjectQueue, codes.QueueBacklog, err)}
	}
	return judge(h, l.runs)
}

func judge(h queue.Health, runs int) []Finding {
	var out []Finding
	if h.Paused {
		out = append(out, bad(subjectQueue, codes.QueuePaused, store.Failed, "the queue is paused", "no worker is handed anything, and recipients fail as stuck after a while",
			fmt.Sprintf("resume it with the tool that paused it, or delete the key %s", h.PausedKey)))
	}

	text := fmt.Sprintf("%d tasks wait, %d are being worked on", h.Waiting, h.Active)
	most := int64(max(1, runs) * len(campaign.Providers) * ledger.MaxBacklog)
	switch {
	case h.Waiting+h.Active > most:
		out = append(out, bad(subjectQueue, codes.QueueBacklog, store.Warning, text, fmt.Sprintf("%d runs never hand out more than %d", runs, most),
			"start a worker (what is left of ended runs goes fast); see whether another program uses this namespace"))
	case h.Archived > ledger.MaxBacklog:
		// A few are left by every worker that is killed, and mean nothing: a task
		// is put aside when two processes in a row died with it in hand, and its
		// recipient has long been handed out again.
		text += fmt.Sprintf("; %d were put aside, since two workers in a row died or froze with each of them in hand", h.Archived)
		out = append(out, bad(subjectQueue, codes.QueueBacklog, store.Warning, text, "their recipients were handed out again and none is lost, but workers die often",
			"look at the log of the workers, and at the memory of their machine"))
	default:
		out = append(out, good(subjectQueue, codes.QueueBacklog, text))
	}

	return out
}
