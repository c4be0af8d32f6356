package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// browserPatience is how long a failure of the program that opens things is
// waited for; one that stays is a browser.
const browserPatience = 2 * time.Second

// openFile shows a file in a browser. Where there is none its path is printed.
func (c *cli) openFile(ctx context.Context, file string) error {
	path, err := filepath.Abs(file)
	if err != nil {
		return fmt.Errorf("find the file: %w", err)
	}
	return c.openTarget(ctx, path)
}

// openTarget shows a file or an address in a browser, or prints it.
func (c *cli) openTarget(ctx context.Context, target string) error {
	err := c.browse(ctx, target)
	if err == nil {
		c.note("opened %s", target)
		return nil
	}
	c.note("no browser could be opened: %v", err)
	_, err = fmt.Fprintln(c.stdout, target)
	return err
}

// browse starts the browser of the desktop.
func (c *cli) browse(ctx context.Context, target string) error {
	name, args, err := opener(runtime.GOOS, c.getenv)
	if err != nil {
		return err
	}

	cmd := exec.Command(name, append(args, target)...) // outlives this process
	cmd.Env = c.env
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}

	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	patience := time.NewTimer(browserPatience)
	defer patience.Stop()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	case <-patience.C:
	case <-ctx.Done():
	}

	return nil
}

// opener returns the program that opens files and addresses on a system.
func opener(system string, getenv func(string) string) (name string, args []string, err error) {
	switch system {
	case "darwin":
		return "open", nil, nil
	case "windows":
		return "rundll32", []string{"url.dll,FileProtocolHandler"}, nil
	}

	if getenv("DISPLAY") == "" && getenv("WAYLAND_DISPLAY") == "" && getenv("BROWSER") == "" {
		return "", nil, errors.New("there is no display (DISPLAY, WAYLAND_DISPLAY and BROWSER are not set)")
	}

	return "xdg-open", nil, nil
}
