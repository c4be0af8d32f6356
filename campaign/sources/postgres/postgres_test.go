package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"broadside/campaign/audience"
	"broadside/campaign/sources/postgres"
	"broadside/configs/strictyaml"
	"broadside/internal/failure"
	"broadside/internal/testkit"
)

const tables = `
create table subscribers (email text, first_name text, plan char(8), confirmed bool, age int, paid numeric(8,2), born date,
	joined timestamp, seen timestamptz, pause interval, tags text[], more jsonb);
insert into subscribers values
	('ann@example.com', 'Ann', 'pro', true, 40, 12.50, '1985-02-28', '2026-10-01 07:00:00.25', '2026-10-01 09:00:00+02', '1 day 2 hours', '{a,b}', '{"x": 1}'),
	('ben@example.com', null, 'free', false, null, null, null, null, null, null, null, null),
	('nobody.example.com', 'Nobody', 'free', false, 1, 1, null, null, null, null, null, null);
create table people as select 'p' || i || '@example.com' as email, repeat('x', 100) as note from generate_series(1, 200000) i;
create role reader login password 'tiger';
grant select on subscribers to reader;
create table secrets (email text);
alter database postgres set timezone = 'Asia/Kolkata';
alter database postgres set datestyle = 'German';
alter database postgres set intervalstyle = 'postgres_verbose';
`

// The tests share one server, which takes a second or two to start.
func TestPostgres(t *testing.T) {
	t.Parallel()
	certs := testkit.Certs(t)
	server := testkit.Postgres(t, certs.Valid)
	server.Exec(tables)
	t.Run("values", func(t *testing.T) { testValues(t, server) })
	t.Run("faults", func(t *testing.T) { testFaults(t, server) })
	t.Run("logins", func(t *testing.T) { testLogins(t, server, certs.CAFile) })
	t.Run("many rows", func(t *testing.T) { testManyRows(t, server) })
	t.Run("closed in between", func(t *testing.T) { testClosed(t, server) })
	t.Run("interrupted", func(t *testing.T) { testInterrupted(t, server) })
	t.Run("the server ends", func(t *testing.T) { testServerEnds(t, server) }) // the last one
}

func source(url, query string) postgres.Source {
	return postgres.Source{URL: url, Name: strictyaml.ShownURL(url), Query: query}
}

// read reads all rows, as "email: value, ...", and rejects.
func read(t testing.TB, s postgres.Source, opts audience.Options) (columns, rows []string, err error) {
	t.Helper()
	r, err := postgres.Open(t.Context(), s, opts)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	var row audience.Row
	for {
		err := r.Next(&row)
		if reject, ok := errors.AsType[*audience.Reject](err); ok {
			rows = append(rows, reject.Error())
			continue
		}
		if err == io.EOF {
			return r.Columns(), rows, nil
		}
		if err != nil {
			return nil, nil, err
		}
		rows = append(rows, fmt.Sprintf("%d %s: %s", row.Line, row.Address, strings.Join(row.Values, "|")))
	}
}

func testValues(t *testing.T, server *testkit.PostgresServer) {
	columns, rows, err := read(t, source(server.URL, "select * from subscribers order by email;"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"email", "first_name", "plan", "confirmed", "age", "paid", "born", "joined", "seen", "pause", "tags", "more"}
	if diff := cmp.Diff(want, columns); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	wantRows := []string{
		`1 ann@example.com: ann@example.com|Ann|pro|true|40|12.50|1985-02-28|2026-10-01T07:00:00.25|2026-10-01T07:00:00Z|P1DT2H|{a,b}|{"x": 1}`,
		`2 ben@example.com: ben@example.com||free|false||||||||`,
		`line 3: no @: "nobody.example.com"`,
	}
	if diff := cmp.Diff(wantRows, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}

	// Columns are named as those of a file are.
	_, rows, err = read(t, source(server.URL, `select email as "Contact", first_name as "Name", plan from subscribers where confirmed`),
		audience.Options{Email: "contact", Columns: map[string]string{"who": "Name"}})
	if diff := cmp.Diff([]string{"1 ann@example.com: ann@example.com|Ann|pro"}, rows); diff != "" || err != nil {
		t.Errorf("error %v, rows (-want +got):\n%s", err, diff)
	}
}

// The fault of a query is one of the file, with the place that the database has found.
func testFaults(t *testing.T, server *testkit.PostgresServer) {
	for _, tc := range []struct{ query, want string }{
		{"select emial from subscribers", `the database says: column "emial" does not exist (column 8 of the query); Perhaps you meant to reference the column "subscribers.email".`},
		{"select email\n  fro subscribers\nwhere true", `the database says: syntax error at or near "subscribers" (line 2, column 7 of the query)`},
		{"select email from subscriber", `the database says: relation "subscriber" does not exist (column 19 of the query)`},
		{"select 'é', email fro subscribers", `(column 23 of the query)`},
		{"select email from subscribers; drop table subscribers", "found several statements, expected one query"},
		{"drop table subscribers", "the query returns no rows, expected one like select"},
		{"-- nothing", "the query returns no rows"},
		{"commit", "the query returns no rows"},
		{"insert into subscribers (email) values ('x@example.com') returning email", "the query writes, expected one that only reads: the database says: cannot execute INSERT in a read-only transaction"},
		{"with gone as (delete from subscribers returning email) select email from gone", "the query writes"},
		{"select email, first_name, plan as first_name from subscribers", "the query returns two columns with the name first_name: give one of them another (AS)"},
		{"select email from subscribers where plan = $1", "found a parameter such as $1 in the query"},
		{"select email, 1/0 as share from subscribers", "the database says: division by zero"},
		{"select email, 1/(age-1) as share from subscribers order by email", "the database says: division by zero"},
		{"select first_name from subscribers", `no column looks like the address; there are "first_name"; name it with email: HEADER`},
		{"select email, repeat('x', 2000000) as note from subscribers", "a row of 2000"},
		{"select email from subscribers where false", "no rows"},
	} {
		_, _, err := read(t, source(server.URL, tc.query), audience.Options{})
		fault, ok := errors.AsType[*audience.FileError](err)
		if !ok || !strings.Contains(err.Error(), tc.want) || strings.ContainsAny(err.Error(), "\n\t") {
			t.Errorf("%s:\n got %v\nwant %s", tc.query, err, tc.want)
			continue
		}
		if want := fmt.Sprintf("postgres://127.0.0.1:%d/postgres", server.Port); fault.File != want {
			t.Errorf("%s: the fault is in %s, want %s", tc.query, fault.File, want)
		}
	}

	_, rows, err := read(t, source(server.URL, "select count(*)::text || '@example.com' as email from subscribers"), audience.Options{})
	if diff := cmp.Diff([]string{"1 3@example.com: 3@example.com"}, rows); diff != "" || err != nil {
		t.Errorf("error %v; the queries have changed the table (-want +got):\n%s", err, diff)
	}
	if got := strings.Count(server.Log(), "begin isolation level repeatable read, read only"); got < 10 {
		t.Errorf("%d transactions were read-only", got)
	}
}

// What is wrong with a login, or the way, is of a kind that may pass, and shows no password.
func testLogins(t *testing.T, server *testkit.PostgresServer, caFile string) {
	at := func(user, rest string) string {
		return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s", user, server.Port, rest)
	}
	const query = "select email from subscribers where confirmed"
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	l.Close()

	for _, tc := range []struct {
		name, url, query string
		kind             error
		want             string
	}{
		{"good", at("reader:tiger", "postgres"), query, nil, ""},
		{"good, with TLS", at("reader:tiger", "postgres?sslmode=verify-full&sslrootcert="+caFile), query, nil, ""},
		{"a certificate that is not trusted", at("reader:tiger", "postgres?sslmode=verify-full"), query, failure.ErrUnreachable, "certificate"},
		{"another password", at("reader:hunter2", "postgres"), query, failure.ErrInvalid, `the database says: password authentication failed for user "reader"`},
		{"another database", at("reader:tiger", "crm"), query, failure.ErrInvalid, `the database says: database "crm" does not exist`},
		{"no right to read", at("reader:tiger", "postgres"), "select email from secrets", failure.ErrInvalid, "the database says: permission denied for table secrets"},
		{"no server", "postgres://reader:hunter2@" + closed + "/postgres", query, failure.ErrUnreachable, "connection refused"},
		{"a parameter that is none", at("reader:hunter2", "postgres?sslmode=never"), query, failure.ErrInvalid, "the address (not shown) cannot be read"},
	} {
		_, rows, err := read(t, source(tc.url, tc.query), audience.Options{})
		switch {
		case tc.kind == nil:
			if err != nil || len(rows) != 1 {
				t.Errorf("%s: got %v, %v", tc.name, rows, err)
			}
		case !errors.Is(err, tc.kind) || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") || strings.ContainsAny(err.Error(), "\n\t"):
			t.Errorf("%s: got %v, want %s", tc.name, err, tc.want)
		}
	}
}

// Rows are read as they come: memory does not grow with their number.
func testManyRows(t *testing.T, server *testkit.PostgresServer) {
	r, err := postgres.Open(t.Context(), source(server.URL, "select email, note from people"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var row audience.Row
	var most uint64
	for n := 1; ; n++ {
		err := r.Next(&row)
		if err == io.EOF {
			if n != 200_001 {
				t.Errorf("got %d rows", n-1)
			}
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if n%50_000 == 0 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	if most > 16<<20 { // all rows would be 40 MB
		t.Errorf("%d bytes were in use", most)
	}
}

// Closing does not wait for rows that are not wanted.
func testClosed(t *testing.T, server *testkit.PostgresServer) {
	r, err := postgres.Open(t.Context(), source(server.URL, "select a.email from people a, people b"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var row audience.Row
	if err := r.Next(&row); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

// The end of the caller's context is no trouble of the database.
func testInterrupted(t *testing.T, server *testkit.PostgresServer) {
	interrupted := errors.New("interrupted by the user")
	ctx, stop := context.WithCancelCause(t.Context())
	r, err := postgres.Open(ctx, source(server.URL, "select a.email from people a, people b"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	stop(interrupted)
	if err := last(r); !errors.Is(err, interrupted) || errors.Is(err, failure.ErrUnreachable) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

// A connection that ends in the middle is an error, and never a short audience.
func testServerEnds(t *testing.T, server *testkit.PostgresServer) {
	r, err := postgres.Open(t.Context(), source(server.URL, "select a.email from people a, people b"), audience.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	server.Stop()
	if err := last(r); !errors.Is(err, failure.ErrUnreachable) {
		t.Errorf("got %v, want ErrUnreachable", err)
	}
}

// last reads to the end, and returns the error there.
func last(r *audience.Reader) error {
	var row audience.Row
	for {
		if err := r.Next(&row); err != nil {
			return err
		}
	}
}
