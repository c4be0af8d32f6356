package bench

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// smtpSource sends as many messages of the same size over as many connections
// with Postfix's load generator, which does nothing else: no queue, no ledger,
// one message made once. nil where it is not installed.
func (b *bench) smtpSource(ctx context.Context, addr string) (*SMTPSource, error) {
	path, err := exec.LookPath("smtp-source")
	if err != nil {
		if path, err = exec.LookPath("/usr/sbin/smtp-source"); err != nil { // not in every PATH
			b.Say("smtp-source is not installed (Debian: apt-get install postfix): no ratio")
			return nil, nil
		}
	}
	b.Say("smtp-source")
	n := max(b.Recipients, b.Connections)
	cmd := exec.CommandContext(ctx, path, "-d", "-s", strconv.Itoa(min(b.Connections, n)), "-l", strconv.Itoa(b.size), "-m", strconv.Itoa(n),
		"-f", "news@acme.example", "-t", "reader@example.com", addr)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("smtp-source: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	return &SMTPSource{Messages: n, PerS: float64(n) / time.Since(start).Seconds()}, nil
}
