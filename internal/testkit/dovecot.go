package testkit

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"text/template"
)

// A DovecotConfig says who may read mail at a Dovecot of a test.
type DovecotConfig struct {
	User, Password string
	Cert           KeyPair // of all ports
	Capability     string  // what IMAP says that it can after the login; empty: all that it can
	Introspection  string  // URL that is asked about access tokens (RFC 7662); empty: none are taken
}

// A DovecotServer is a private Dovecot with one mailbox, which a test may stop and
// start again. IMAP and POP3 offer STARTTLS.
type DovecotServer struct {
	IMAP, IMAPS, POP3, POP3S int // ports of 127.0.0.1

	t        testing.TB
	dir      string
	user     string
	uid, gid int // of the mail
	proc     *Proc
	count    atomic.Int64 // messages that were delivered
}

//go:embed dovecot.cf
var dovecotFile string

// Dovecot starts a Dovecot. As root its parts run under Debian's users for them, else
// all under the user of the test.
func Dovecot(t testing.TB, cfg DovecotConfig) *DovecotServer {
	t.Helper()
	NeedsServer(t)
	path := program(t, "dovecot", "dovecot-imapd dovecot-pop3d")
	d := &DovecotServer{t: t, user: cfg.User}
	d.makeDirs()
	d.write("users", fmt.Sprintf("%s:{PLAIN}%s\n", cfg.User, cfg.Password))
	if cfg.Introspection != "" {
		d.write("oauth2.conf", "introspection_mode = post\nintrospection_url = "+cfg.Introspection+
			"\nusername_attribute = username\nactive_attribute = active\nactive_value = true\n")
	}
	for range 5 { // another process may take a port first
		d.IMAP, d.IMAPS, d.POP3, d.POP3S = Port(t), Port(t), Port(t), Port(t)
		d.configure(cfg)
		if d.run(path) {
			t.Cleanup(d.Stop)
			return d
		}
	}
	t.Fatalf("Dovecot did not start:\n%s", d.proc.Output())
	return nil
}

// Start starts the server again after Stop.
func (d *DovecotServer) Start() {
	d.t.Helper()
	if !d.run(program(d.t, "dovecot", "dovecot-imapd dovecot-pop3d")) {
		d.t.Fatalf("Dovecot did not start again:\n%s", d.proc.Output())
	}
}

// Stop ends the server in order, with all its parts.
func (d *DovecotServer) Stop() {
	d.proc.Signal(syscall.SIGTERM)
	d.proc.Wait(patience)
}

// Log returns what Dovecot has logged since it was started last.
func (d *DovecotServer) Log() string { return d.proc.Output() }

// Deliver puts a message into a folder, as a delivery agent does.
func (d *DovecotServer) Deliver(folder, message string) {
	d.t.Helper()
	box := d.maildir(folder)
	for _, dir := range []string{box, box + "/tmp", box + "/new", box + "/cur"} {
		d.mkdir(dir)
	}
	name := fmt.Sprintf("%d.broadside", 1_000_000_000+d.count.Add(1)) // in the order of delivery
	d.write(box+"/tmp/"+name, message)
	if err := os.Rename(d.path(box+"/tmp/"+name), d.path(box+"/new/"+name)); err != nil {
		d.t.Fatalf("deliver message: %v", err)
	}
}

// Messages returns the messages that a folder has, by their file names. One that is
// marked as deleted is not among them.
func (d *DovecotServer) Messages(folder string) map[string]string {
	d.t.Helper()
	for {
		if out, whole := d.messages(folder); whole {
			return out
		}
	}
}

// messages reads a folder; whole: no session has moved a file of it in the meantime, as one
// may that is about to end.
func (d *DovecotServer) messages(folder string) (out map[string]string, whole bool) {
	d.t.Helper()
	out = map[string]string{}

	for _, dir := range []string{"new", "cur"} {
		files, err := filepath.Glob(d.path(d.maildir(folder) + "/" + dir + "/*"))
		if err != nil {
			d.t.Fatalf("list folder: %v", err)
		}
		for _, f := range files {
			if flags := filepath.Base(f); bytes.Contains([]byte(flags), []byte("T")) {
				continue
			}

			b, err := os.ReadFile(f)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, false
			}
			if err != nil {
				d.t.Fatalf("read folder: %v", err)
			}
			out[filepath.Base(f)] = string(b)
		}
	}
	return out, true
}

// Renumber makes the folder one with another UIDVALIDITY, and the same messages.
func (d *DovecotServer) Renumber(folder string) {
	d.t.Helper()
	d.Stop()
	files, err := filepath.Glob(d.path(d.maildir(folder) + "/dovecot*"))
	if err != nil || len(files) == 0 {
		d.t.Fatalf("find index of folder: %v", err)
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil {
			d.t.Fatalf("remove index of folder: %v", err)
		}
	}
	d.write(d.maildir(folder)+"/dovecot-uidlist", "3 V1 N1\n")
	d.Start()
}

// maildir returns the directory of a folder, in the layout of Maildir++.
func (d *DovecotServer) maildir(folder string) string {
	box := "mail/" + d.user
	if folder != "INBOX" {
		box += "/." + folder
	}
	return box
}

func (d *DovecotServer) path(name string) string { return filepath.Join(d.dir, name) }

// makeDirs makes the directory in a place that other users can reach: the parents of
// t.TempDir are closed to them.
func (d *DovecotServer) makeDirs() {
	d.t.Helper()
	dir, err := os.MkdirTemp("", "broadside-dovecot-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		d.t.Fatalf("make directory for Dovecot: %v", err)
	}
	d.dir = dir
	d.t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			d.t.Errorf("remove directory of Dovecot: %v", err)
		}
	})
	d.uid, d.gid = os.Getuid(), os.Getgid()
	if d.uid == 0 {
		d.uid, d.gid = firstUser, firstUser
	}
	d.mkdir("mail")
	d.mkdir(d.maildir("INBOX"))
}

// mkdir makes a directory that belongs to the user of the mail.
func (d *DovecotServer) mkdir(name string) {
	d.t.Helper()
	err := os.MkdirAll(d.path(name), 0o755)
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(d.path(name), d.uid, d.gid)
	}
	if err != nil {
		d.t.Fatalf("make directory for Dovecot: %v", err)
	}
}

func (d *DovecotServer) write(name, text string) {
	d.t.Helper()
	err := os.WriteFile(d.path(name), []byte(text), 0o644)
	if err == nil && os.Getuid() == 0 {
		err = os.Chown(d.path(name), d.uid, d.gid)
	}
	if err != nil {
		d.t.Fatalf("write file of Dovecot: %v", err)
	}
}

func (d *DovecotServer) configure(cfg DovecotConfig) {
	d.t.Helper()
	data := struct {
		DovecotConfig
		Dir                                string
		Daemon, DaemonGroup, Login         string
		UID, GID, IMAP, IMAPS, POP3, POP3S int
	}{cfg, d.dir, "dovecot", "dovecot", "dovenull", d.uid, d.gid, d.IMAP, d.IMAPS, d.POP3, d.POP3S}
	if os.Getuid() != 0 {
		me, err := user.Current()
		if err != nil {
			d.t.Fatalf("find own user: %v", err)
		}
		group, err := user.LookupGroupId(strconv.Itoa(d.gid))
		if err != nil {
			d.t.Fatalf("find own group: %v", err)
		}
		data.Daemon, data.DaemonGroup, data.Login = me.Username, group.Name, me.Username
	}
	var b bytes.Buffer
	if err := template.Must(template.New("").Parse(dovecotFile)).Execute(&b, data); err != nil {
		d.t.Fatalf("make configuration of Dovecot: %v", err)
	}
	d.write("dovecot.conf", b.String())
}

// run starts the server, and reports whether it has opened its ports.
func (d *DovecotServer) run(path string) bool {
	d.t.Helper()
	d.proc = Start(d.t, nil, path, "-F", "-c", d.path("dovecot.conf"))
	ctx, cancel := context.WithTimeout(d.t.Context(), patience)
	defer cancel()
	_, ok := d.proc.Find(ctx, "starting up", 1)
	if !ok {
		d.proc.Kill()
	}
	return ok
}
