package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"broadside/internal/failure"
	"broadside/internal/letter"
	"broadside/internal/preview"
)

// servePreview shows the message on a page until the command is told to stop,
// which is its regular end. What cannot be rendered at the start is an error;
// later the page shows what is wrong.
func (c *cli) servePreview(ctx context.Context, want previewRequest) error {
	stdin := &onlyOnce{c.in, false}
	look := *c
	look.in = stdin
	render := func(ctx context.Context, who string) (*letter.Preview, error) {
		return look.render(ctx, want.campaign, cmp.Or(who, want.recipient))
	}
	if _, err := render(ctx, ""); err != nil {
		return err
	}
	if stdin.read {
		return fmt.Errorf("%w: the audience is the standard input, which can be read only once: name a file, or leave --serve out", failure.ErrInvalid)
	}

	l, err := preview.Listen(ctx, want.port)
	if err != nil {
		return err
	}

	if want.open {
		err = c.openTarget(ctx, preview.URL(l))
	} else {
		_, err = fmt.Fprintln(c.stdout, preview.URL(l))
	}

	if err != nil {
		return errors.Join(err, l.Close())
	}

	c.note("reload the page to render it again; Ctrl-C ends this")
	return preview.Serve(ctx, l, render)
}

// onlyOnce notes that a reader was used.
type onlyOnce struct {
	io.Reader
	read bool
}

func (o *onlyOnce) Read(p []byte) (int, error) {
	o.read = true
	return o.Reader.Read(p)
}
