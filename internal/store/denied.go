package store

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

// A DeniedError is Redis' refusal to let this user do something (NOPERM): its
// ACL is too narrow. It is also an ErrUnreachable.
type DeniedError struct {
	Command string // what was refused, in lower case
	Err     error  // Redis' own words, which tell command, key and channel apart
}

// Error says what to do.
func (e *DeniedError) Error() string {
	return fmt.Sprintf("redis denies %s to this user (%v): docs/redis.md has the ACL SETUSER line with everything that is needed", strings.ToUpper(e.Command), e.Err)
}

// Unwrap makes the error ErrUnreachable and Redis' own.
func (e *DeniedError) Unwrap() []error { return []error{ErrUnreachable, e.Err} }

// denied makes a DeniedError of a NOPERM, and leaves all else as it is.
func denied(command string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	switch {
	case strings.HasPrefix(text, "NOPERM"):
		// Redis names the command that it means, with its subcommand.
		if _, after, ok := strings.Cut(text, "to run the '"); ok {
			command, _, _ = strings.Cut(after, "'")
		}
	case strings.Contains(text, "The user executing the script can't run this command"), strings.Contains(text, "ACL failure in script"):
		if _, after, ok := strings.Cut(text, "to run the '"); ok {
			command, _, _ = strings.Cut(after, "'")
		} else {
			command = "a command within " + command
		}
	default:
		return err
	}
	return &DeniedError{Command: command, Err: err}
}

// denials is a hook that gives refusals their type.
type denials struct{}

// DialHook implements redis.Hook.
func (denials) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

// ProcessHook implements redis.Hook.
func (denials) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return denied(cmd.Name(), next(ctx, cmd))
	}
}

// ProcessPipelineHook implements redis.Hook.
func (denials) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		if err == nil {
			return nil
		}
		for _, cmd := range cmds {
			cmd.SetErr(denied(cmd.Name(), cmd.Err()))
		}
		return denied(cmds[0].Name(), err)
	}
}
