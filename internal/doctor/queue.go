package doctor

import (
	"context"
	"fmt"
	"strings"

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

// paused names all queues that are paused, since each has to be resumed by itself.
func paused(queues []queue.PausedQueue) Finding {
	names := make([]string, len(queues))
	keys := make([]string, len(queues))
	for i, q := range queues {
		names[i] = q.Name
		keys[i] = q.Key
	}

	text := "the queue " + names[0] + " is paused"
	fix := "resume it with the tool that paused it, or delete the key "
	if len(queues) > 1 {
		text = fmt.Sprintf("%d queues are paused: %s", len(queues), strings.Join(names, ", "))
		fix = "resume them with the tool that paused them, or delete the keys "
	}
	return bad(subjectQueue, codes.QueuePaused, store.Failed, text, "no worker is handed what waits there, and recipients fail as stuck after a while", fix+strings.Join(keys, ", "))
}

func judge(h queue.Health, runs int) []Finding {
	var out []Finding
	if len(h.Paused) > 0 {
		out = append(out, paused(h.Paused))
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
