package input

import (
	"os"

	"golang.org/x/sys/unix"
)

// kernelFilesystems have files that the kernel makes up while they are read: of no
// known size, without an end, or with one that comes when something happens.
var kernelFilesystems = map[uint32]string{
	unix.PROC_SUPER_MAGIC:    "proc",
	unix.SYSFS_MAGIC:         "sysfs",
	unix.DEBUGFS_MAGIC:       "debugfs",
	unix.TRACEFS_MAGIC:       "tracefs",
	unix.SECURITYFS_MAGIC:    "securityfs",
	unix.CGROUP_SUPER_MAGIC:  "cgroup",
	unix.CGROUP2_SUPER_MAGIC: "cgroup2",
	unix.BPF_FS_MAGIC:        "bpf",
}

// checkFilesystem refuses a file that only looks like one.
func checkFilesystem(f *os.File, name, expected string) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return nil // then nothing is known against it
	}
	if kind, made := kernelFilesystems[uint32(fs.Type)]; made {
		return wrongKind(name, "made by the kernel ("+kind+")", expected+" on a disk")
	}
	return nil
}
