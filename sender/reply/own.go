package reply

import (
	"context"

	"broadside/configs/strictyaml"
	"broadside/internal/input"
)

// Rules are the rules of a user, and behind them the built-in ones. A nil *Rules
// has only those.
type Rules struct {
	own *ruleSet
}

// Load reads a rules file of a user; file names it in problems, which come all at
// once as strictyaml.Problems. The form is that of the built-in rules.yaml, but
// for the part living; an example may be left out. What else describes rules
// (semantics, verdicts, guards, sources) is not read.
func Load(file string, data []byte) (*Rules, error) {
	own, err := read(file, data, builtin())
	if err != nil {
		return nil, err
	}
	return &Rules{own: own}, nil
}

// Open is Load of a file, which may be a pipe, for which ctx ends the waiting.
// Without a name there are no rules of a user.
func Open(ctx context.Context, file string) (*Rules, error) {
	if file == "" {
		return nil, nil
	}
	data, err := input.ReadAll(ctx, file, strictyaml.MaxFile)
	if err != nil {
		return nil, strictyaml.FileProblem(file, err)
	}
	return Load(file, data)
}

// Classify returns what the reply means: by the first of the user's rules that
// matches, else by the built-in ones.
//
// No rule of a user changes what has been decided: a message that the server
// accepted is accepted, and one whose fate is unknown after the final dot is
// uncertain. What is no answer of a server (a lost connection, a name without an
// address) is only asked of rules that name the event.
func (s *Rules) Classify(r Reply) Decision {
	if s == nil || s.own == nil || r.settled() {
		return Classify(r)
	}
	if rule := s.own.find(r); rule != nil {
		return rule.decide(r)
	}
	return Classify(r)
}

// settled reports whether there is nothing to decide after the final dot: the
// message was accepted, or it cannot be known.
func (r Reply) settled() bool { return r.Stage == Dot && (r.Event != "" || r.Code < 400) }
