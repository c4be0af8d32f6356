package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"broadside/internal/presence"
)

// leaveTime is how long a process may take to go off the list of processes.
const leaveTime = 500 * time.Millisecond

// enlist keeps this process on the list of processes until leave is called. id
// is asked for each time; nil: one is chosen.
func (a *App) enlist(ctx context.Context, role string, id func() string) (leave func()) {
	if a.Embedded() {
		return func() {} // there are no others
	}
	self := presence.Process{
		Role: role, ID: strings.ToLower(rand.Text()[:10]), Host: hostname(),
		Since: time.Now().UTC().Truncate(time.Millisecond), Version: version(),
	}
	listed, end := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.processes.Keep(listed, a.log, func() presence.Process {
			if id != nil {
				self.ID = id()
			}
			return self
		})
	}()
	return func() {
		end()
		select {
		case <-done:
		case <-time.After(leaveTime):
			a.left.Store(true) // redis hangs: the entry ends by itself
		}
	}
}

// version returns the version that this program was built as.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	return cmp.Or(info.Main.Version, "unknown")
}

// Processes returns the processes that are alive, by role. A worker that is on
// the list of workers alone (an older version) has a role and an id only.
func (a *App) Processes(ctx context.Context) ([]presence.Process, error) {
	all, err := a.processes.List(ctx)
	if err != nil {
		return nil, err
	}
	workers, err := a.Ledger.Workers(ctx)
	if err != nil {
		return nil, err
	}
	slices.Sort(workers)
	for _, id := range workers {
		i := slices.IndexFunc(all, func(p presence.Process) bool { return p.ID == id })
		switch {
		case i < 0:
			all = append(all, presence.Process{Role: presence.Worker, ID: id})
		case all[i].Role == "": // its entry cannot be read
			all[i].Role = presence.Worker
		}
	}
	return all, nil
}

// doing counts the processes that do what a role is for.
func doing(all []presence.Process, role string) (n int) {
	for _, p := range all {
		if p.Does(role) {
			n++
		}
	}
	return n
}

// summary counts processes in words: "2 workers, 1 scheduler, 1 web".
func summary(all []presence.Process) string {
	count := func(role, one, many string) string {
		if n := doing(all, role); n != 1 {
			return fmt.Sprintf("%d %s", n, many)
		}
		return "1 " + one
	}
	return strings.Join([]string{
		count(presence.Worker, "worker", "workers"),
		count(presence.Scheduler, "scheduler", "schedulers"),
		count(presence.Web, "web process", "web processes"),
	}, ", ")
}
