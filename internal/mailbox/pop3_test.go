package mailbox

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"broadside/configs"
)

// A scriptConn is a connection to a server that says what it says, whatever it is asked.
type scriptConn struct {
	net.Conn
	io.Reader
	sent strings.Builder
}

func (c *scriptConn) Read(b []byte) (int, error)  { return c.Reader.Read(b) }
func (c *scriptConn) Write(b []byte) (int, error) { return c.sent.Write(b) }
func (*scriptConn) Close() error                  { return nil }
func (*scriptConn) SetDeadline(time.Time) error   { return nil }

func TestPOP3Servers(t *testing.T) {
	t.Parallel()
	const in = "+OK ready\r\n+OK\r\n+OK\r\n"
	for _, tt := range []struct {
		name, says string
		tls        string
		want       Came
		wantErr    string
	}{
		{"no messages", in + "+OK\r\n.\r\n+OK\r\n", configs.TLSNone, Came{}, ""},
		{
			"one message", in + "+OK\r\n1 a\r\n.\r\n+OK\r\nSubject: x\r\n\r\n..\r\n.\r\n+OK\r\n+OK\r\n", configs.TLSNone,
			Came{Stored: 1},
			"",
		},
		{
			"a message that the server cannot give", in + "+OK\r\n1 a\r\n.\r\n-ERR cannot be read\r\n+OK\r\n", configs.TLSNone,
			Came{Quarantined: 1},
			"",
		},
		{
			"a server that has no time", in + "+OK\r\n1 a\r\n.\r\n-ERR [SYS/TEMP] later\r\n+OK\r\n", configs.TLSNone,
			Came{},
			"[SYS/TEMP] later",
		},
		{
			"a message that cannot be deleted", in + "+OK\r\n1 a\r\n.\r\n+OK\r\nSubject: x\r\n.\r\n-ERR read only\r\n+OK\r\n", configs.TLSNone,
			Came{},
			`DELE was refused: "read only"`,
		},
		{"no UIDL", in + "-ERR unknown command\r\n", configs.TLSNone, Came{}, "without unique ids"},
		{"UIDL that is none", in + "+OK\r\n1\r\n.\r\n", configs.TLSNone, Came{}, `found "1"`},
		{"no STLS", "+OK ready\r\n-ERR unknown command\r\n", configs.TLSStartTLS, Came{}, "write pop3s://"},
		{"more behind the answer to STLS", "+OK ready\r\n+OK begin\r\n+OK\r\n", configs.TLSStartTLS, Came{}, "found more than the answer"},
		{"refused greeting", "-ERR too many\r\n", configs.TLSNone, Came{}, "too many"},
		{"cut in a message", in + "+OK\r\n1 a\r\n.\r\n+OK\r\nSubject: x\r\n", configs.TLSNone, Came{}, "unexpected EOF"},
		{"no answer at the end", in + "+OK\r\n1 a\r\n.\r\n+OK\r\nSubject: x\r\n.\r\n+OK\r\n", configs.TLSNone, Came{}, "QUIT"},
		{"a password in an answer", "+OK ready\r\n+OK\r\n-ERR hunter2 is wrong\r\n", configs.TLSNone, Came{}, "[redacted] is wrong"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, register := newRegister(t)
			box := configs.Mailbox{Protocol: configs.POP3, TLS: tt.tls, Host: "pop.acme.example", Port: 110, User: "bounces", Password: password}
			p := New(Config{Mailboxes: []configs.Mailbox{box}, Sink: newRecorder(), Register: register, Log: slog.New(slog.DiscardHandler)})
			p.dials(func(context.Context, string, string) (net.Conn, error) {
				return &scriptConn{Reader: strings.NewReader(tt.says)}, nil
			})
			r := p.Poll(t.Context())[0]
			if r.Came != tt.want {
				t.Errorf("got %+v, want %+v", r.Came, tt.want)
			}
			if (r.Err == nil) != (tt.wantErr == "") || r.Err != nil && (!strings.Contains(r.Err.Error(), tt.wantErr) || strings.Contains(r.Err.Error(), password)) {
				t.Errorf("got error %v, want one with %q", r.Err, tt.wantErr)
			}
		})
	}
}

func TestAServerThatSendsWithoutEndIsLeft(t *testing.T) {
	t.Parallel()
	c := &conn{Conn: &scriptConn{Reader: strings.NewReader("+OK\r\n" + strings.Repeat("1 a\r\n", 1<<20))}}
	p := &pop3Client{step: func(time.Duration, int64) { c.step(time.Minute, 1000) }, text: textproto.NewConn(c)}
	if _, err := p.list(); !errors.Is(err, errTooMuch) {
		t.Errorf("got %v, want %v", err, errTooMuch)
	}
}

// FuzzPOP3 reads what a server may say. What comes out of it can be sent in commands, and
// no message is longer than what was received.
func FuzzPOP3(f *testing.F) {
	f.Add("+OK 2 messages\r\n1 whqtswO00WBw418f9t5JxYwZ\r\n2 QhdPYR:00WBw1Ph7x7\r\n.\r\n", "+OK\r\nSubject: x\r\n\r\n..dot\r\n.\r\n")
	f.Add("+OK\n1  a\n.\n", "+OK\n.\n")
	f.Add("-ERR [SYS/TEMP] later\r\n", "-ERR no such message\r\n")
	f.Add("+OK\r\n99999999999999999999 a\r\n.\r\n", "+OK\r\n")
	f.Add("", "+OKAY")
	f.Fuzz(func(t *testing.T, list, message string) {
		client := func(says string) *pop3Client {
			return &pop3Client{step: func(time.Duration, int64) {}, text: textproto.NewConn(&scriptConn{Reader: strings.NewReader(says)})}
		}
		all, err := client(list).list()
		if err != nil && all != nil {
			t.Errorf("an error %v, and messages", err)
		}
		for _, m := range all {
			if m.number < 1 || m.id == "" || len(m.id) > maxUniqueID || strings.ContainsAny(m.id, " \r\n") {
				t.Errorf("listed %+v", m)
			}
		}

		got, err := client(message).retrieve(1)
		if err == nil && (len(got) > len(message) || !strings.HasPrefix(message, "+OK")) {
			t.Errorf("message %q from %q", got, message)
		}
	})
}
