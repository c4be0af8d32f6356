package testkit

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// Of the server of a test.
const (
	postgresUser     = "broadside"
	postgresPassword = "tiger/2" // has to be percent-encoded in a URL
	postgresDatabase = "postgres"
)

// A PostgresServer is a private PostgreSQL with an empty database.
type PostgresServer struct {
	Port int    // of 127.0.0.1
	URL  string // of its database, with user and password

	t        testing.TB
	dir      string
	uid, gid int      // of its user, where that is another one
	as       []string // the beginning of a command line that runs as that user; nil: it is our own
	bin      string   // directory of its programs
	proc     *Proc
}

// Postgres starts a PostgreSQL, which speaks TLS too when cert is not zero. It refuses to
// run as root: then it runs as the user nobody. Starting takes a second or two, so that
// the tests of a package share one.
func Postgres(t testing.TB, cert KeyPair) *PostgresServer {
	t.Helper()
	NeedsServer(t)
	p := &PostgresServer{t: t, bin: postgresPrograms(t)}
	p.makeDir()
	p.initialise(cert)
	for range 5 { // another process may take a port first
		p.Port = Port(t)
		if p.start(cert) {
			p.URL = fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s", postgresUser, strings.ReplaceAll(postgresPassword, "/", "%2F"), p.Port, postgresDatabase)
			return p
		}
	}
	t.Fatalf("PostgreSQL did not start:\n%s", p.proc.Output())
	return nil
}

// Exec runs SQL, as psql does.
func (p *PostgresServer) Exec(sql string) {
	p.t.Helper()
	cmd := exec.Command(filepath.Join(p.bin, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", p.URL)
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("psql: %v\n%s", err, out)
	}
}

// Stop ends the server at once. What a client reads at that moment breaks off.
func (p *PostgresServer) Stop() {
	p.proc.Signal(syscall.SIGQUIT)
	p.proc.Wait(patience)
}

// postgresPrograms returns the directory of the newest version that is installed: Debian
// keeps it out of PATH.
func postgresPrograms(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return filepath.Dir(program(t, "initdb", "postgresql"))
	}
	version := func(path string) int {
		n, _ := strconv.Atoi(strings.Split(path, "/")[4])
		return n
	}
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return version(a) - version(b) }))
}

// makeDir makes a directory in a place that another user can reach: the parents of
// t.TempDir are closed to them.
func (p *PostgresServer) makeDir() {
	p.t.Helper()
	dir, err := os.MkdirTemp("", "broadside-postgres-")
	if err != nil {
		p.t.Fatalf("make directory for PostgreSQL: %v", err)
	}
	p.dir = dir
	p.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			p.t.Errorf("remove directory of PostgreSQL: %v", err)
		}
	})
	if os.Getuid() != 0 {
		return
	}

	nobody, err := user.Lookup("nobody")
	if err != nil {
		p.t.Fatalf("find the user nobody: %v", err)
	}
	p.uid, _ = strconv.Atoi(nobody.Uid)
	p.gid, _ = strconv.Atoi(nobody.Gid)
	p.as = []string{program(p.t, "setpriv", "util-linux"), "--reuid=" + nobody.Uid, "--regid=" + nobody.Gid, "--clear-groups", "--pdeathsig=KILL"}
	p.own(dir)
}

// own gives a file to the user of the server, where that is another one.
func (p *PostgresServer) own(path string) {
	p.t.Helper()
	if p.as == nil {
		return
	}
	if err := os.Chown(path, p.uid, p.gid); err != nil {
		p.t.Fatalf("give a file to PostgreSQL: %v", err)
	}
}

func (p *PostgresServer) data() string { return filepath.Join(p.dir, "data") }

// write writes a file that only the server can read.
func (p *PostgresServer) write(name string, text []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		p.t.Fatalf("write file of PostgreSQL: %v", err)
	}
	p.own(path)
	return path
}

func (p *PostgresServer) initialise(cert KeyPair) {
	p.t.Helper()
	password := p.write("password", []byte(postgresPassword+"\n"))
	args := slices.Concat(p.as, []string{
		filepath.Join(p.bin, "initdb"), "--no-sync", "--auth=scram-sha-256", "--pwfile=" + password,
		"--username=" + postgresUser, "--encoding=UTF8", "--locale=C", "--pgdata=" + p.data(),
	})
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("initdb: %v\n%s", err, out)
	}

	for name, file := range map[string]string{"server.crt": cert.CertFile, "server.key": cert.KeyFile} {
		if file == "" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			p.t.Fatalf("read certificate: %v", err)
		}
		p.write(name, text)
	}
}

// start starts the server, and reports whether it takes connections.
func (p *PostgresServer) start(cert KeyPair) bool {
	p.t.Helper()
	settings := []string{
		"listen_addresses=127.0.0.1", "port=" + strconv.Itoa(p.Port), "unix_socket_directories=", "fsync=off",
		"dynamic_shared_memory_type=mmap", "shared_buffers=16MB", "log_statement=all",
	}
	if cert != (KeyPair{}) {
		settings = append(settings, "ssl=on", "ssl_cert_file="+filepath.Join(p.dir, "server.crt"), "ssl_key_file="+filepath.Join(p.dir, "server.key"))
	}
	args := slices.Concat(p.as, []string{filepath.Join(p.bin, "postgres"), "-D", p.data()})
	for _, s := range settings {
		args = append(args, "-c", s)
	}

	p.proc = Start(p.t, nil, args[0], args[1:]...)
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	if _, ok := p.proc.Find(ctx, "database system is ready to accept connections", 1); !ok {
		p.proc.Kill()
		return false
	}
	p.t.Cleanup(p.Stop)
	return true
}

// Log returns what the server has logged: each statement is in it.
func (p *PostgresServer) Log() string { return p.proc.Output() }
