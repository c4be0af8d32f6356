package bench

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"time"
)

// farMessages is how many messages a connection of smtp-source sends over a
// distance: it makes several round trips for each.
const farMessages = 40

// smtpSource sends n messages of the same size over as many connections with
// Postfix's load generator, which does nothing else: no queue, no ledger, one
// message made once. nil where it is not installed or not wanted.
func (b *bench) smtpSource(ctx context.Context, f *field, n int) (*SMTPSource, error) {
	if b.Alone {
		return nil, nil
	}
	path := postfixTool("smtp-source")
	if path == "" {
		b.Say("smtp-source is not installed (Debian: apt-get install postfix): no ratio")
		return nil, nil
	}
	b.Say("smtp-source")
	if b.RTT > 0 {
		n = min(n, farMessages*b.Connections)
	}
	n = max(n, b.Connections)
	cmd := exec.CommandContext(ctx, path, "-d", "-s", strconv.Itoa(b.Connections), "-l", strconv.Itoa(b.size), "-m", strconv.Itoa(n),
		"-f", "news@acme.example", "-t", "reader@example.com", f.smtp)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.WaitDelay = time.Second
	before, err := f.askSink()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("smtp-source: %w: %s", err, bytes.TrimSpace(said.Bytes()))
	}
	took := time.Since(start).Seconds()
	after, err := f.askSink()
	if err != nil {
		return nil, err
	}
	return &SMTPSource{
		Messages: n, PerS: float64(n) / took, SinkCPU: float64((after.CPU - before.CPU).Microseconds()) / float64(n),
	}, nil
}
