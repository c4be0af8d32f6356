// Package postgres reads recipients from a PostgreSQL database: the rows of one query, as
// they come, so that memory does not grow with their number.
//
// It promises that the database stays as it was (the query runs in a transaction that is
// read-only), that all rows are of one moment (repeatable read), and that a query has an
// end. TLS and everything else about the connection is said by the address, as libpq has it.
package postgres

import (
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"broadside/campaign/audience"
	"broadside/internal/failure"
)

const (
	// connectWithin is how long a connection may take, unless the address has a connect_timeout.
	connectWithin = 15 * time.Second
	// readWithin is how long the query may take, with the reading of its rows.
	readWithin = 30 * time.Minute
	// closeWithin is how long the server is given to take the end of the connection.
	closeWithin = 2 * time.Second
	// maxRow is the most bytes of a row, as of a line of a file.
	maxRow = 1 << 20
)

// The transaction of the query. Its settings make texts of values that mean the same
// everywhere; they end with it, so that a pooler's connection stays as it was.
const (
	begin = `begin isolation level repeatable read, read only;
set local client_encoding = 'UTF8'; set local datestyle = 'ISO'; set local timezone = 'UTC';
set local intervalstyle = 'iso_8601'; set local extra_float_digits = 1; set local statement_timeout = '%d'`
)

// A Source is a query of a database.
type Source struct {
	URL   string // with its password
	Name  string // the URL without it, in messages
	Query string
}

// Open connects, has the query begin, and reads its columns. The errors, also of the
// reading, are of the kind failure.ErrInvalid when they will most probably stay as they are (a
// login that is refused), of failure.ErrUnreachable when they may pass, and an
// *audience.FileError when the query is at fault.
func Open(ctx context.Context, s Source, opts audience.Options) (*audience.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, readWithin)
	r := &rows{source: s, ctx: ctx, cancel: cancel}
	if err := r.open(); err != nil {
		_ = r.close() // only read
		return nil, err
	}
	return audience.OpenTable(ctx, audience.Table{Name: s.Name, Headers: r.headers, Next: r.next, Close: r.close}, opts)
}

// rows are those of a query that runs.
type rows struct {
	source Source
	ctx    context.Context // of the reading
	cancel context.CancelFunc
	conn   *pgconn.PgConn // nil: not connected
	result *pgconn.ResultReader

	headers []string
	texts   []func([]byte) string // of the values of each column
	values  []string
	number  int  // of the row that was read last
	ready   bool // it was read, and not returned yet
}

func (r *rows) open() error {
	if err := r.connect(); err != nil {
		return err
	}
	if _, err := r.conn.Exec(r.ctx, fmt.Sprintf(begin, readWithin.Milliseconds())).ReadAll(); err != nil {
		return r.failed(err)
	}

	statement, err := r.conn.Prepare(r.ctx, "", r.source.Query, nil)
	if err != nil {
		return r.failed(err)
	}
	if err := r.readColumns(statement); err != nil {
		return err
	}

	r.result = r.conn.ExecPrepared(r.ctx, "", nil, nil, nil) // all values as texts
	// What is wrong with a query shows with its first row, before anything is made of it.
	r.ready = r.result.NextRow()
	if !r.ready {
		if _, err := r.result.Close(); err != nil {
			return r.failed(err)
		}
	}
	return nil
}

func (r *rows) connect() error {
	cfg, err := pgconn.ParseConfig(r.source.URL)
	if err != nil { // its text may show parts of the address
		return failure.Invalid(r.source.Name + ": the address (not shown) cannot be read as PostgreSQL's own programs read it: are its parameters right, and can the files that it names be read?")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectWithin
		dialer := &net.Dialer{Timeout: connectWithin}
		cfg.DialFunc = dialer.DialContext
	}
	if cfg.RuntimeParams["application_name"] == "" {
		cfg.RuntimeParams["application_name"] = "broadside"
	}
	cfg.BuildFrontend = func(in io.Reader, out io.Writer) *pgproto3.Frontend {
		f := pgproto3.NewFrontend(in, out)
		f.SetMaxBodyLen(maxRow)
		return f
	}

	r.conn, err = pgconn.ConnectConfig(r.ctx, cfg)
	if err != nil {
		return r.failed(err)
	}
	return nil
}

// readColumns reads what the query returns.
func (r *rows) readColumns(s *pgconn.StatementDescription) error {
	if len(s.ParamOIDs) > 0 {
		return r.fault("found a parameter such as $1 in the query, expected none")
	}
	if len(s.Fields) == 0 {
		return r.fault("the query returns no rows, expected one like select email, first_name from subscribers")
	}

	seen := map[string]bool{}
	for _, f := range s.Fields {
		if seen[f.Name] {
			return r.fault("the query returns two columns with the name %s: give one of them another (AS)", f.Name)
		}
		seen[f.Name] = true
		r.headers = append(r.headers, f.Name)
		r.texts = append(r.texts, textOf(f.DataTypeOID))
	}
	r.values = make([]string, len(s.Fields))
	return nil
}

// next returns the values of the next row, which are valid until the one after it.
func (r *rows) next() ([]string, error) {
	if !r.ready && !r.result.NextRow() {
		if _, err := r.result.Close(); err != nil {
			return nil, r.failed(err)
		}
		return nil, io.EOF
	}
	r.ready = false
	r.number++

	for i, value := range r.result.Values() {
		r.values[i] = ""
		if value != nil { // null is blank
			r.values[i] = r.texts[i](value)
		}
	}
	return r.values, r.check()
}

// close ends the connection, and with it a query that still runs. The caller does not
// wait for the server.
func (r *rows) close() error {
	defer r.cancel()
	if r.conn == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.ctx), closeWithin)
	defer cancel()
	_ = r.conn.Close(ctx) // only read
	return nil
}
