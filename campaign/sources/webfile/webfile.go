// Package webfile fetches a file of addresses from the web, when a run is made.
//
// It promises that a file is there as a whole or not at all: it is read to its end into a
// temporary file without a name before anybody sees a byte of it, and an answer that breaks
// off, or whose end cannot be told, is an error. Nothing of it stays: an audience consists
// of addresses, and a copy for the next time would have to be protected, erased and
// forgotten like every other list of them, to save the transfer of a few megabytes.
//
// It is fetched from the public Internet alone unless the source says otherwise
// (internal/publicnet), and neither errors nor redirects carry the secrets of its URL.
package webfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"broadside/campaign/audience"
	"broadside/internal/failure"
	"broadside/internal/publicnet"
)

const (
	// maxSize is the most bytes of an answer, as they are sent.
	maxSize = 1 << 30
	// answerWithin is how long a server may take to begin its answer: some make the file now.
	answerWithin = 2 * time.Minute
	// stallAfter ends a transfer in which nothing comes.
	stallAfter = time.Minute
	// fetchWithin is how long all of it may take.
	fetchWithin = 30 * time.Minute
)

// A Source is a file on the web.
type Source struct {
	URL          string // with its secrets
	Name         string // the URL without them, in messages
	AllowPrivate bool   // it may have an address that is not on the public Internet
	What         string // what allow_private is set for, such as "this audience"
}

// A File is a file that was fetched. Close removes it.
type File struct {
	*os.File
	// Ending says the format as the name of a file does: that of the URL, or one for its
	// content type; "" when neither is known.
	Ending string
}

// Fetch fetches a file. An error of the kind failure.ErrInvalid is an answer, or a refusal
// of our own, that will most probably stay as it is; one of failure.ErrUnreachable is trouble that may
// pass; an *audience.FileError is about what came.
func Fetch(ctx context.Context, s Source) (*File, error) {
	file, err := fetch(ctx, s)
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("read %s: %w", s.Name, context.Cause(ctx)) // the caller's own end, such as Ctrl-C
	}
	return file, err
}

func fetch(ctx context.Context, s Source) (*File, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ctx, cancel := context.WithTimeoutCause(ctx, fetchWithin, errSlow)
	defer cancel()
	client, err := newClient(s)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()

	req, err := newRequest(ctx, s)
	if err != nil {
		return nil, err
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, s.unanswered(err)
	}
	defer res.Body.Close()

	if err := s.check(res); err != nil {
		return nil, err
	}
	file, err := s.keep(ctx, res, func() { stop(errStalled) })
	if err != nil {
		return nil, err
	}
	return &File{File: file, Ending: ending(req.URL, res.Header)}, nil
}

// newClient returns a client for one fetch.
func newClient(s Source) (*http.Client, error) {
	u, err := url.Parse(s.URL)
	if err != nil {
		return nil, s.invalid("the address cannot be read (not shown)")
	}
	guard := publicnet.Guard{Private: s.AllowPrivate, Loopback: publicnet.IsLoopback(u.Hostname()), What: s.What}
	return guard.Client(&http.Transport{
		ResponseHeaderTimeout: answerWithin,
		DisableCompression:    true, // what is compressed has an end that can be checked
	}), nil
}

func newRequest(ctx context.Context, s Source) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL, http.NoBody)
	if err != nil {
		return nil, s.invalid("the address cannot be read (not shown)")
	}
	req.Header.Set("User-Agent", "Broadside")
	req.Header.Set("Accept", "text/csv, text/tab-separated-values, application/x-ndjson, application/vnd.openxmlformats-officedocument.spreadsheetml.sheet, */*;q=0.1")
	req.Header.Set("Accept-Encoding", "gzip")
	if u := req.URL.User; u != nil { // a header goes with a redirect, but to no other host
		password, _ := u.Password()
		req.SetBasicAuth(u.Username(), password)
	}
	return req, nil
}

// check refuses an answer that is not the file, or whose end could not be told from one
// that breaks off.
func (s Source) check(res *http.Response) error {
	status := strings.TrimSpace(fmt.Sprintf("%d %s", res.StatusCode, http.StatusText(res.StatusCode)))
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		return s.invalid("answered %s: are user and password, or the token in its query, right?", status)
	case code == http.StatusNotFound, code == http.StatusGone:
		return s.invalid("answered %s: is the address right?", status)
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		return s.unreachable(nil, "answered %s: try again later", status)
	case code != http.StatusOK:
		return s.invalid("answered %s, expected 200", status)
	}

	switch encoding := strings.ToLower(res.Header.Get("Content-Encoding")); encoding {
	case "", "identity", "gzip", "x-gzip", "zstd": // the reader of audiences sees it by itself
	default:
		return s.invalid("answered with the content encoding %q, expected gzip or none", encoding)
	}

	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	switch {
	case kind == "text/html" || kind == "application/xhtml+xml":
		return s.invalid("answered with a web page, expected a .csv, .xlsx or .jsonl file: does it ask people to log in?")
	case res.ContentLength > maxSize:
		return s.tooLarge()
	case res.ContentLength < 0 && res.ProtoMajor < 2 && !slices.Contains(res.TransferEncoding, "chunked"):
		return s.invalid("answered with neither Content-Length nor chunks, so that a file that breaks off would look like a whole one: have its server send one of them")
	}
	return nil
}

// Why a transfer is given up.
var (
	errStalled = fmt.Errorf("nothing came for %v", stallAfter)
	errSlow    = fmt.Errorf("it took more than %v", fetchWithin)
)

// keep reads an answer to its end into a file. stop ends the transfer.
func (s Source) keep(ctx context.Context, res *http.Response, stop func()) (*os.File, error) {
	f, err := os.CreateTemp("", "broadside-audience-")
	if err != nil {
		return nil, s.unkept(err)
	}
	if err := errors.Join(os.Remove(f.Name()), s.fill(ctx, f, res, stop)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s Source) fill(ctx context.Context, f *os.File, res *http.Response, stop func()) error {
	body := &watched{body: res.Body, timer: time.AfterFunc(stallAfter, stop)}
	defer body.timer.Stop()
	n, err := io.Copy(f, io.LimitReader(body, maxSize+1))
	switch {
	case n > maxSize:
		return s.tooLarge()
	case body.err != nil && ctx.Err() != nil:
		return s.unreachable(body.err, "%v; nothing of it is used", context.Cause(ctx))
	case body.err != nil:
		return s.brokeOff(n, res.ContentLength, body.err)
	case err != nil:
		return s.unkept(err)
	case res.ContentLength >= 0 && n != res.ContentLength:
		return s.brokeOff(n, res.ContentLength, io.ErrUnexpectedEOF)
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

// A watched body ends a transfer in which nothing comes, and remembers its own error.
type watched struct {
	body  io.Reader
	timer *time.Timer // ends the transfer
	err   error
}

func (w *watched) Read(p []byte) (int, error) {
	w.timer.Reset(stallAfter)
	n, err := w.body.Read(p)
	if err != nil && err != io.EOF {
		w.err = err
	}
	return n, err
}

func (s Source) brokeOff(n, length int64, err error) error {
	of := ""
	if length >= 0 {
		of = fmt.Sprintf(" of %d", length)
	}
	return s.unreachable(err, "the answer broke off after %d%s bytes; nothing of it is used", n, of)
}

// unkept is the error for a disk that cannot take the file.
func (s Source) unkept(err error) error {
	return failure.Unreachable(fmt.Sprintf("keep %s while it is read (TMPDIR names another directory): %v", s.Name, err))
}

// unanswered says why there is no answer.
func (s Source) unanswered(err error) error {
	about, ok := errors.AsType[*url.Error](err)
	if ok {
		err = about.Err // without the URL
	}
	if private, ok := errors.AsType[*publicnet.PrivateError](err); ok {
		return s.invalid("%v", private)
	}
	if redirect, ok := errors.AsType[*publicnet.RedirectError](err); ok {
		return s.invalid("answered with %v", redirect)
	}
	if ok && about.Timeout() {
		return s.unreachable(err, "no answer in time: %v", err)
	}
	return s.unreachable(err, "%v", err)
}

func (s Source) invalid(format string, args ...any) error {
	return failure.Invalid(s.Name + ": " + fmt.Sprintf(format, args...))
}

func (s Source) unreachable(cause error, format string, args ...any) error {
	return failure.New(failure.ErrUnreachable, s.Name+": "+fmt.Sprintf(format, args...), cause)
}

func (s Source) tooLarge() error {
	return &audience.FileError{File: s.Name, What: "larger than 1 GiB", Fix: "compress it, or store it with `broadside list import` and write list:NAME"}
}

// endings are the formats by content type.
var endings = map[string]string{
	"text/csv":                  ".csv",
	"application/csv":           ".csv",
	"text/tab-separated-values": ".csv", // its separator shows in its header
	"application/x-ndjson":      ".jsonl",
	"application/jsonl":         ".jsonl",
	"application/x-jsonlines":   ".jsonl",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}

// ending returns what says the format: the ending of the URL, or else the content type.
func ending(u *url.URL, h http.Header) string {
	name := strings.ToLower(path.Base(u.Path))
	packed := path.Ext(name)
	if packed != ".gz" && packed != ".zst" {
		packed = ""
	}
	switch ext := path.Ext(strings.TrimSuffix(name, packed)); ext {
	case ".csv", ".jsonl", ".xlsx":
		return ext
	case ".tsv":
		return ".csv"
	case ".ndjson":
		return ".jsonl"
	}
	kind, _, _ := mime.ParseMediaType(h.Get("Content-Type"))
	return endings[kind]
}
