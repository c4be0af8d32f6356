package app

import (
	"context"

	"broadside/campaign"
	"broadside/campaign/ledger"
)

// AcceptUncertain makes everybody of a run who is uncertain accepted: the
// operator knows, from the logs of the servers, that they have the message. It
// returns how many they were. A reply that came meanwhile counts instead.
func (a *App) AcceptUncertain(ctx context.Context, id string) (int64, error) {
	run, err := a.handle(ctx, id)
	if err != nil {
		return 0, err
	}
	var n int64
	for _, p := range run.Sizes {
		for first := 0; first < p.Size; first += ledger.PageCells {
			cells, err := a.Ledger.Page(ctx, run, p.Part, first/ledger.PageCells)
			if err != nil {
				return n, err
			}
			for i, c := range cells {
				if c.State != campaign.Uncertain {
					continue
				}
				ref := ledger.Ref{Run: run, Part: p.Part, Index: first + i}
				done, err := a.Ledger.Resolve(ctx, ref, campaign.Accepted, ledger.Reply{Text: "accepted " + byOperator})
				if err != nil {
					return n, err
				}
				if done {
					n++
				}
			}
		}
	}
	a.log.Info("uncertain recipients were accepted", "run", id, "recipients", n, "reason", byOperator)
	return n, nil
}
