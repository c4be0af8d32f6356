package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"time"

	"broadside/internal/failure"
	"broadside/internal/store"
)

// reach looks once at the servers that were named, before anything is made for
// them: a run waits for a server that is away, and so would a measurement.
func (b *bench) reach(ctx context.Context) error {
	if b.SMTP != "" {
		err := greets(ctx, b.SMTP)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("--smtp: %s is %w: %w", b.SMTP, failure.ErrUnreachable, err)
		}
	}
	if b.Redis == "" {
		return nil
	}
	s, err := b.startRedis(ctx)
	if errors.Is(err, store.ErrOptions) {
		return wrong("redis", "%s", strings.TrimPrefix(err.Error(), store.ErrOptions.Error()+": "))
	}
	if err != nil {
		return err
	}
	return s.stop()
}

// greets returns no error when an SMTP server at addr takes connections.
func greets(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // reading ends at once
	defer stop()
	text := textproto.NewConn(c)
	if _, _, err := text.ReadResponse(220); err != nil {
		return fmt.Errorf("wait for its greeting: %w", err)
	}
	_ = text.PrintfLine("QUIT") // it has answered already
	return nil
}
