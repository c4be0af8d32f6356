package doctor

import (
	"fmt"
	"strings"

	"broadside/campaign/codes"
	"broadside/internal/presence"
	"broadside/internal/store"
)

const subjectProcesses = "processes"

// needed is what is to be done, and the processes that are alive to do it.
type needed struct {
	alive   []presence.Process
	running []string // runs that are to be sent
	due     []string // campaigns that are due, or will be within a day, with their times
	readers string   // public_url, when it leads to another machine
}

// processes says where something is due and no process is alive to do it.
func processes(n needed) []Finding {
	workers := presence.Count(n.alive, presence.Worker) + presence.Count(n.alive, presence.Launch)
	out := []Finding{good(subjectProcesses, codes.Processes, "alive: "+presence.Summary(n.alive))}
	lacks := func(code codes.Code, text, why, role string) {
		out = append(out, bad(subjectProcesses, code, store.Warning, text, why, "start `broadside "+role+"`, or `broadside all`; `broadside process list` shows who is alive"))
	}
	switch {
	case workers > 0:
	case len(n.running) > 0:
		lacks(codes.NoWorker, "no worker is alive, and there are runs to be sent: "+some(n.running), "nothing is sent", "worker")
	case len(n.due) > 0:
		lacks(codes.NoWorker, "no worker is alive, and there are campaigns due: "+some(n.due), "their runs will be made and not sent", "worker")
	}

	if presence.Count(n.alive, presence.Scheduler) == 0 && len(n.due) > 0 {
		lacks(codes.NoScheduler, "no scheduler is alive, and there are campaigns due: "+some(n.due), "no run will be made of them", "scheduler")
	}

	if presence.Count(n.alive, presence.Web) == 0 && n.readers != "" {
		lacks(codes.NoWeb, "no web process is alive, and readers' links lead to "+n.readers, "readers cannot unsubscribe", "web")
	}

	return out
}

// maxNamed is how many things of a kind a finding names.
const maxNamed = 3

func some(names []string) string {
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:maxNamed], ", "), len(names)-maxNamed)
}

// broken returns a finding for each entry in Redis that cannot be read.
func broken(errs []error) []Finding {
	var out []Finding
	for _, err := range errs {
		text := strings.TrimPrefix(err.Error(), string(codes.BrokenState)+": ")
		out = append(out, bad("state", codes.BrokenState, store.Warning, text, "this one entry is not used; everything else goes on",
			"`broadside explain "+string(codes.BrokenState)+"` says what it may be"))
	}
	return out
}
