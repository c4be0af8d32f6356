package doctor

import (
	"fmt"
	"strings"

	"broadside/campaign/codes"
	"broadside/internal/store"
)

const subjectProcesses = "processes"

// Duty is what is to be done, and who is alive to do it.
type Duty struct {
	Alive   string   // in words
	Running []string // runs that are to be sent
	Due     []string // campaigns that are due, or will be within a day, with their times
	Readers string   // public_url, when it leads to another machine

	Workers, Schedulers, Webs int
}

// Processes says where something is due and nobody is there to do it.
func Processes(d Duty) []Finding {
	out := []Finding{good(subjectProcesses, codes.Processes, "alive: "+d.Alive)}
	lacks := func(code codes.Code, text, why, role string) {
		out = append(out, bad(subjectProcesses, code, store.Warning, text, why, "start `broadside "+role+"`, or `broadside all`; `broadside process list` shows who is alive"))
	}
	switch {
	case d.Workers > 0:
	case len(d.Running) > 0:
		lacks(codes.NoWorker, "no worker is alive, and there are runs to be sent: "+some(d.Running), "nothing is sent", "worker")
	case len(d.Due) > 0:
		lacks(codes.NoWorker, "no worker is alive, and there are campaigns due: "+some(d.Due), "their runs will be made and not sent", "worker")
	}
	if d.Schedulers == 0 && len(d.Due) > 0 {
		lacks(codes.NoScheduler, "no scheduler is alive, and there are campaigns due: "+some(d.Due), "no run will be made of them", "scheduler")
	}
	if d.Webs == 0 && d.Readers != "" {
		lacks(codes.NoWeb, "no web process is alive, and readers' links lead to "+d.Readers, "nobody can unsubscribe", "web")
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

// Broken returns a finding for each entry in Redis that cannot be read.
func Broken(errs []error) []Finding {
	var out []Finding
	for _, err := range errs {
		text := strings.TrimPrefix(err.Error(), string(codes.BrokenState)+": ")
		out = append(out, bad("state", codes.BrokenState, store.Warning, text, "this one entry is not used; everything else goes on",
			"`broadside explain "+string(codes.BrokenState)+"` says what it may be"))
	}
	return out
}
