package bench

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// A child is an agent, seen from the measurement.
type child struct {
	name string
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
}

// startChild starts an agent. It is killed when ctx ends.
func (b *bench) startChild(ctx context.Context, args ...string) (*child, error) {
	command := append(append([]string(nil), b.Agent...), args...)
	c := &child{name: args[0], cmd: exec.CommandContext(ctx, command[0], command[1:]...)}
	c.cmd.Stderr = b.Stderr
	c.cmd.WaitDelay = time.Second
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c.name, err)
	}
	c.in, c.out = in, bufio.NewReader(out)
	return c, nil
}

// startDistance starts one in front of the server at addr, and returns the
// address to use instead.
func (b *bench) startDistance(ctx context.Context, addr string, rtt time.Duration) (*child, string, error) {
	c, err := b.startChild(ctx, "distance", addr, rtt.String())
	if err != nil {
		return nil, "", err
	}
	u, err := c.ask()
	if err != nil {
		return nil, "", errors.Join(err, c.stop())
	}
	return c, u.Listening, nil
}

// ask returns what the child has used so far.
func (c *child) ask() (usage, error) {
	var u usage
	if _, err := io.WriteString(c.in, "\n"); err != nil {
		return u, fmt.Errorf("ask %s: %w", c.name, err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return u, fmt.Errorf("ask %s: it has ended: %w", c.name, err)
	}
	if err := json.Unmarshal(line, &u); err != nil {
		return u, fmt.Errorf("ask %s: it answers %q: %w", c.name, strings.TrimSpace(string(line)), err)
	}
	return u, nil
}

// stop ends the child and waits for it.
func (c *child) stop() error {
	err := c.in.Close()
	if waitErr := c.cmd.Wait(); waitErr != nil {
		err = errors.Join(err, fmt.Errorf("%s: %w", c.name, waitErr))
	}
	return err
}

// askAll adds up what the children have used; memory is that of the largest.
func askAll(children []*child) (sum usage, err error) {
	for _, c := range children {
		u, err := c.ask()
		if err != nil {
			return sum, err
		}
		sum.CPU += u.CPU
		sum.Mallocs += u.Mallocs
		sum.Allocated += u.Allocated
		sum.Memory = max(sum.Memory, u.Memory)
		sum.Accepted += u.Accepted
		sum.Bytes += u.Bytes
	}
	return sum, nil
}
