package testkit

import (
	"bufio"
	"context"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A MailServer is a private mail server that is not installed: Debian allows
// one on a system, and that is Postfix. It runs in a root directory of its own
// (chroot), where it finds all its files and accounts in their usual places
// and from where it cannot touch anything of the machine. It takes every
// message from everybody to keep it in its queue: nothing is delivered. It
// needs root.
type MailServer struct {
	t        testing.TB
	root     string // its root directory
	port     int
	proc     *Proc
	log      func() string
	accepted func(log string) map[string]int
}

// Addr returns 127.0.0.1:PORT.
func (s *MailServer) Addr() string { return loopback(s.port) }

// Log returns the server's log so far.
func (s *MailServer) Log() string { return s.log() }

// WaitAccepted waits until the server has taken n messages, by its own log, and
// returns how many each recipient has then.
func (s *MailServer) WaitAccepted(n int, timeout time.Duration) map[string]int {
	s.t.Helper()
	total := 0
	for range Tries(timeout) {
		got := s.accepted(s.log())
		total = 0
		for _, count := range got {
			total += count
		}
		if total >= n {
			return got
		}
	}
	s.t.Fatalf("the server has taken %d messages within %s, expected %d", total, timeout, n)
	return nil
}

// newMailServer makes the root directory of a server from what .ci/mta has
// unpacked.
func newMailServer(t testing.TB, name string) *MailServer {
	t.Helper()
	NeedsServer(t)
	if os.Geteuid() != 0 {
		t.Fatalf("%s can only be started by root: run this test as root, or in a container", name)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("find the unpacked %s: %v", name, err)
	}
	unpacked := filepath.Join(cache, "broadside-mta", name)
	if _, err := os.Stat(unpacked); err != nil {
		t.Fatalf("%s is not unpacked: run .ci/mta (%v)", name, err)
	}
	s := &MailServer{t: t, root: filepath.Join(t.TempDir(), name)}
	command(t, "", program(t, "cp", "coreutils"), "-a", unpacked, s.root)
	s.mkdir("tmp", 0o1777, 0)
	s.write("dev/null", "", 0o666) // no one reads there what somebody wrote
	return s
}

func (s *MailServer) path(name string) string { return filepath.Join(s.root, name) }

func (s *MailServer) mkdir(name string, mode os.FileMode, owner int) {
	s.t.Helper()
	err := os.MkdirAll(s.path(name), 0o755)
	if err == nil {
		err = syscall.Chmod(s.path(name), uint32(mode)) // whatever the umask is
	}
	if err == nil {
		err = os.Chown(s.path(name), owner, owner)
	}
	if err != nil {
		s.t.Fatalf("make a mail server's directory: %v", err)
	}
}

func (s *MailServer) write(name, text string, mode os.FileMode) {
	s.t.Helper()
	s.mkdir(filepath.Dir(name), 0o755, 0)
	err := os.WriteFile(s.path(name), []byte(text), mode)
	if err == nil {
		err = os.Chmod(s.path(name), mode)
	}
	if err != nil {
		s.t.Fatalf("write a mail server's file: %v", err)
	}
}

// firstUser is the first of the ids that users has. Debian gives none of them
// to anybody (Policy 9.2.2): outside they stand for nobody.
const firstUser = 65_001

// users makes the accounts of the server's programs, and a group for each; the
// ids count up from firstUser.
func (s *MailServer) users(names ...string) {
	s.t.Helper()
	passwd, group := "root:x:0:0::/:/bin/sh\n", "root:x:0:\n"
	for i, name := range names {
		id := strconv.Itoa(firstUser + i)
		passwd += name + ":x:" + id + ":" + id + "::/:/bin/sh\n"
		group += name + ":x:" + id + ":\n"
	}
	s.write("etc/passwd", passwd, 0o644)
	s.write("etc/group", group, 0o644)
}

// run starts a command inside that stays in the foreground, with a
// configuration for its port, and returns when it answers.
func (s *MailServer) run(file string, configuration func(port int) string, command ...string) {
	s.t.Helper()
	chroot := program(s.t, "chroot", "coreutils")
	for range 5 { // another process may take the port first
		s.port = Port(s.t)
		s.write(file, configuration(s.port), 0o644)
		s.proc = Start(s.t, nil, chroot, append([]string{s.root}, command...)...)
		ctx, cancel := context.WithTimeout(s.t.Context(), patience)
		ok := greets(ctx, s.Addr(), s.proc.Done())
		cancel()
		if ok {
			s.t.Cleanup(func() { // in order, so that its children end as well
				s.proc.Signal(syscall.SIGTERM)
				s.proc.Wait(patience)
			})
			return
		}
		s.proc.Kill()
	}
	s.t.Fatalf("%s did not start:\n%s%s", command[0], s.proc.Output(), s.Log())
}

// greets waits until a server at addr says that it is ready (RFC 5321 4.2);
// false when its process or ctx ends before.
func greets(ctx context.Context, addr string, done <-chan struct{}) bool {
	for {
		if greeting(ctx, addr) {
			return true
		}
		select {
		case <-time.After(20 * time.Millisecond): // until the next question
		case <-done:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func greeting(ctx context.Context, addr string) bool {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return false
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return false
	}
	line, err := bufio.NewReader(c).ReadString('\n')
	return err == nil && strings.HasPrefix(line, "220 ")
}
