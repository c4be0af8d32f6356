//go:build !unix

package input

import "os"

func openWithoutWaiting(name string) (*os.File, error) { return os.Open(name) }

// waitForWriter: such a system opens no pipe before it has a writer.
func waitForWriter(*os.File) error { return nil }
