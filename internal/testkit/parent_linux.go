package testkit

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel kill the child when the test binary dies
// without running its clean-ups (a test timeout, kill -9).
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
