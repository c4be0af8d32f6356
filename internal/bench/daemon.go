package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

// startTime is how long a process may take until it answers.
const startTime = 20 * time.Second

// A daemon is a server that a measurement has started: redis-server or smtp-sink.
// It runs until it is stopped.
type daemon struct {
	addr  string
	since time.Time
	cmd   *exec.Cmd
	said  bytes.Buffer  // by cmd, to be read when it has ended
	done  chan struct{} // closed when cmd has ended
}

// startDaemon starts the program at path with what args makes of a free port, and
// waits until it takes connections.
func startDaemon(ctx context.Context, path string, args func(port string) []string) (*daemon, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	d := &daemon{addr: net.JoinHostPort("127.0.0.1", port), since: time.Now(), cmd: exec.Command(path, args(port)...), done: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = &d.said, &d.said
	d.cmd.WaitDelay = time.Second
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(path), err)
	}

	alive, ended := context.WithCancel(ctx)
	go func() {
		_ = d.cmd.Wait() // it runs until it is killed
		close(d.done)
		ended()
	}()
	if err := answers(alive, d.addr); err != nil {
		err = errors.Join(err, d.stop())
		return nil, fmt.Errorf("start %s: %w: %s", filepath.Base(path), err, bytes.TrimSpace(d.said.Bytes()))
	}
	return d, nil
}

// stop kills the daemon: nothing in it is to be kept.
func (d *daemon) stop() error {
	err := d.cmd.Process.Kill()
	<-d.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil // it has ended by itself
	}
	return err
}

// freePort returns a port at which nothing listens.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// answers waits until something listens at addr.
func answers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	for {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", addr)
		if err == nil {
			return c.Close()
		}
		if !sleep(ctx, 10*time.Millisecond) {
			return fmt.Errorf("nothing listens at %s: %w", addr, err)
		}
	}
}
