package testkit

import (
	"bytes"
	"context"
	_ "embed"
	"net"
	"net/mail"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"
)

// A PostfixConfig says what a Postfix of a test asks of its clients.
type PostfixConfig struct {
	User, Password string            // whose login SASL takes; both are needed
	Cert           KeyPair           // of both ports
	NoStartTLS     bool              // the submission port offers no STARTTLS, but AUTH in clear
	Transport      string            // to which all mail goes, such as lmtp:[127.0.0.1]:2526; default: the maildir
	Elsewhere      map[string]string // transports of single domains
	Mechanisms     string            // of SASL; default "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"
}

// A PostfixServer is a private Postfix. It takes mail only from who has
// authenticated, for any address, and delivers all of it to one maildir.
type PostfixServer struct {
	t           testing.TB
	dir         string
	uid, gid    int // of Postfix's own user
	proc        *Proc
	submission  int
	submissions int
}

// postfixUser is the account that Postfix's daemons run under on Debian.
const postfixUser = "postfix"

//go:embed postfix.cf
var postfixFiles string

// Postfix starts a Postfix with a submission port (STARTTLS required) and a
// submissions port (implicit TLS). It needs root, as Postfix does. It ends by
// itself after 15 minutes: master changes its user for moments, and the
// kernel then forgets to kill it with the test binary.
func Postfix(t testing.TB, cfg PostfixConfig) *PostfixServer {
	t.Helper()
	NeedsServer(t)
	if os.Geteuid() != 0 {
		t.Fatal("Postfix can only be started by root: run this test as root, or in a container")
	}
	postconf := program(t, "postconf", "postfix")
	if cfg.Mechanisms == "" {
		cfg.Mechanisms = "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256"
	}
	p := &PostfixServer{t: t}
	p.makeDirs()
	p.addUser(cfg.User, cfg.Password)
	daemons := command(t, "", postconf, "-dh", "daemon_directory")
	for range 5 { // another process may take a port first
		p.submission, p.submissions = Port(t), Port(t)
		p.configure(cfg)
		p.proc = Start(t, []string{"MAIL_CONFIG=" + p.path("etc")}, filepath.Join(daemons, "master"), "-s", "-e", "900")
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, ok := p.proc.Find(ctx, "daemon started", 1)
		cancel()
		if ok {
			t.Cleanup(p.stop)
			return p
		}
		p.proc.Kill()
	}
	t.Fatalf("Postfix did not start:\n%s", p.proc.Output())
	return nil
}

// Submission returns the address of the port with STARTTLS.
func (p *PostfixServer) Submission() string { return loopback(p.submission) }

// Submissions returns the address of the port with implicit TLS.
func (p *PostfixServer) Submissions() string { return loopback(p.submissions) }

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Log returns Postfix's log so far.
func (p *PostfixServer) Log() string { return p.proc.Output() }

// A Delivery is one message in the maildir.
type Delivery struct {
	To   string // the recipient of the envelope
	Data []byte // with the fields that Postfix adds, and LF line ends
}

// WaitDelivered waits until n recipients have their message, and returns all
// that have.
func (p *PostfixServer) WaitDelivered(n int, timeout time.Duration) []Delivery {
	p.t.Helper()
	if n > 0 {
		p.proc.WaitLines("status=sent", n, timeout)
	}
	files, err := filepath.Glob(p.path("mail/inbox/new/*"))
	if err != nil {
		p.t.Fatalf("list maildir: %v", err)
	}
	var all []Delivery
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			p.t.Fatalf("read maildir: %v", err)
		}
		m, err := mail.ReadMessage(bytes.NewReader(b))
		if err != nil {
			p.t.Fatalf("read delivered message: %v", err)
		}
		all = append(all, Delivery{To: m.Header.Get("X-Original-To"), Data: b})
	}
	return all
}

func (p *PostfixServer) path(name string) string { return filepath.Join(p.dir, name) }

// stop has master end itself and its children. The output of all of them is
// one pipe, so that Proc's end is the end of all.
func (p *PostfixServer) stop() {
	p.proc.Signal(syscall.SIGTERM)
	p.proc.Wait(patience)
}

// makeDirs makes what "postfix check" would, in a place that Postfix's own
// user can reach: the parents of t.TempDir are closed to others.
func (p *PostfixServer) makeDirs() {
	p.t.Helper()
	u, err := user.Lookup(postfixUser)
	if err != nil {
		p.t.Fatalf("find Postfix's user: %v", err)
	}
	if p.uid, err = strconv.Atoi(u.Uid); err == nil {
		p.gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		p.t.Fatalf("find Postfix's user: %v", err)
	}
	dir, err := os.MkdirTemp("", "broadside-postfix-")
	if err != nil {
		p.t.Fatalf("make directory for Postfix: %v", err)
	}
	p.dir = dir
	p.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			p.t.Errorf("remove directory of Postfix: %v", err)
		}
	})
	mkdir := func(mode os.FileMode, owner int, names ...string) {
		for _, name := range names {
			if err := os.MkdirAll(p.path(name), mode); err != nil {
				p.t.Fatalf("make directory for Postfix: %v", err)
			}
			if err := os.Chown(p.path(name), owner, -1); err != nil {
				p.t.Fatalf("make directory for Postfix: %v", err)
			}
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		p.t.Fatalf("make directory for Postfix: %v", err)
	}
	mkdir(0o755, 0, "etc", "etc/sasl", "spool", "spool/pid")
	mkdir(0o700, p.uid, "data", "mail")
	for _, q := range strings.Fields("active bounce corrupt defer deferred flush hold incoming maildrop private public saved trace") {
		mkdir(0o700, p.uid, "spool/"+q)
	}
}

// addUser makes SASL's database with one user.
func (p *PostfixServer) addUser(name, password string) {
	p.t.Helper()
	if name == "" || password == "" {
		p.t.Fatal("a Postfix for tests needs a user and a password")
	}
	db := p.path("etc/sasl/db")
	command(p.t, password, program(p.t, "saslpasswd2", "sasl2-bin"), "-p", "-c", "-f", db, "-u", "example.test", name)
	if err := os.Chown(db, p.uid, p.gid); err != nil {
		p.t.Fatalf("give SASL's database to Postfix: %v", err)
	}
}

// configure writes main.cf, master.cf and SASL's configuration.
func (p *PostfixServer) configure(cfg PostfixConfig) {
	p.t.Helper()
	files := template.Must(template.New("").Parse(postfixFiles))
	data := struct {
		PostfixConfig
		Dir                               string
		UID, GID, Submission, Submissions int
	}{cfg, p.dir, p.uid, p.gid, p.submission, p.submissions}
	for _, name := range []string{"main.cf", "master.cf", "sasl/smtpd.conf"} {
		var b bytes.Buffer
		if err := files.ExecuteTemplate(&b, name, data); err != nil {
			p.t.Fatalf("make %s: %v", name, err)
		}
		if err := os.WriteFile(p.path("etc/"+name), b.Bytes(), 0o644); err != nil {
			p.t.Fatalf("write %s: %v", name, err)
		}
	}
}

// command runs a program with input and returns what it prints.
func command(t testing.TB, input, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("run %s: %v\n%s", name, err, out)
	}
	return strings.TrimSpace(string(out))
}
