package testkit_test

import (
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"broadside/internal/testkit"
)

func dialSMTP(t *testing.T, addr string) *smtp.Client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	return smtpClient(t, conn, err)
}

func TestRecsink(t *testing.T) {
	t.Parallel()
	r := testkit.NewRecsink(t, "-temp", "busy.test=100", "-temp-times", "1", "-perm", "gone.test=100", "-close-every", "3")
	c := dialSMTP(t, r.Addr())
	send(t, c, "ann@example.test", "x\r\nMessage-ID:\r\n <1@example.test>") // "hello" follows
	try := func(to string) error {
		t.Helper()
		if err := c.Mail("news@example.test"); err != nil {
			t.Fatal(err)
		}
		return c.Rcpt(to)
	}
	wantCode(t, "first attempt", try("bob@busy.test"), 450)
	wantCode(t, "gone", try("carl@gone.test"), 550)
	send(t, c, "bob@busy.test", ".")
	c = dialSMTP(t, r.Addr())
	if err := try("dora@example.test"); err != nil {
		t.Fatal(err)
	}
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte(".\r\n..\r\nx\r\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "EOF") {
		t.Errorf("third message: got error %v, want EOF", err)
	}

	want := []testkit.Record{
		{Kind: 'A', Rcpt: "ann@example.test", ID: "<1@example.test>", Size: len("Subject: x\r\nMessage-ID:\r\n <1@example.test>\r\n\r\nhello\r\n")},
		{Kind: 'T', Rcpt: "bob@busy.test"},
		{Kind: 'P', Rcpt: "carl@gone.test"},
		{Kind: 'A', Rcpt: "bob@busy.test", Size: len("Subject: .\r\n\r\nhello\r\n")},
		{Kind: 'L', Rcpt: "dora@example.test", Size: len(".\r\n..\r\nx\r\n")},
	}
	got := r.Records()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(testkit.Record{}, "At")); diff != "" {
		t.Errorf("records (-want +got):\n%s", diff)
	}
	for _, rec := range got {
		if d := time.Since(rec.At); d < 0 || d > time.Minute {
			t.Errorf("record of %s is dated %v", rec.Rcpt, rec.At)
		}
	}
	wantOnce := map[string]int{"ann@example.test": 1, "bob@busy.test": 1, "dora@example.test": 1}
	if diff := cmp.Diff(wantOnce, r.Accepted()); diff != "" {
		t.Errorf("accepted (-want +got):\n%s", diff)
	}
	stats := r.Stats()
	for key, want := range map[string]float64{"accepted": 2, "temp": 1, "perm": 1, "lost": 1, "early": 0, "conns": 2} {
		if stats[key] != want {
			t.Errorf("counter %s: got %v, want %v", key, stats[key], want)
		}
	}
}

// TestRecsinkShare shows that percentages are of addresses, and that the same
// address fares the same each time.
func TestRecsinkShare(t *testing.T) {
	t.Parallel()
	r := testkit.NewRecsink(t, "-temp", "*=20", "-perm", "*=10", "-stage", "data")
	const n = 500
	for range 2 {
		c := dialSMTP(t, r.Addr())
		for i := range n {
			if err := c.Mail("news@example.test"); err != nil {
				t.Fatal(err)
			}
			if err := c.Rcpt(fmt.Sprintf("r%d@example.test", i)); err != nil {
				t.Fatal(err)
			}
			w, err := c.Data()
			if err != nil {
				t.Fatal(err)
			}
			w.Close() // refused or not: the records say
		}
	}
	kinds := map[string]byte{}
	count := map[byte]int{}
	for _, rec := range r.Records() {
		if k, ok := kinds[rec.Rcpt]; ok && k != rec.Kind {
			t.Errorf("%s: got %c, then %c", rec.Rcpt, k, rec.Kind)
		}
		kinds[rec.Rcpt] = rec.Kind
		count[rec.Kind]++
	}
	if got := count['A'] + count['T'] + count['P']; got != 2*n {
		t.Errorf("got %d records, want %d", got, 2*n)
	}
	if p, q := count['T'], count['P']; p < 2*n*15/100 || p > 2*n*25/100 || q < 2*n*6/100 || q > 2*n*14/100 {
		t.Errorf("got %d 4xx and %d 5xx of %d, want about 20 %% and 10 %%", p, q, 2*n)
	}
}

func TestRecsinkLimits(t *testing.T) {
	t.Parallel()
	r := testkit.NewRecsink(t, "-max-conns", "1", "-max-per-conn", "1", "-throttle", "1", "-throttle-reply", "451 4.7.1 slow down")
	c := dialSMTP(t, r.Addr())
	conn, err := net.Dial("tcp", r.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, err = smtp.NewClient(conn, "localhost")
	wantCode(t, "second connection", err, 421)

	if err := c.Mail("news@example.test"); err != nil {
		t.Fatal(err)
	}
	if err := c.Rcpt("ann@example.test"); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "second recipient in a second", c.Rcpt("bob@example.test"), 451)
	w, err := c.Data()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "second message", c.Mail("news@example.test"), 421)
	if got := r.Records(); len(got) != 2 || got[0].Kind != 'H' || got[1].Kind != 'A' {
		t.Errorf("got records %v, want H and A", got)
	}
}

// An impatient client has had enough of a reply that does not end.
type impatient struct {
	net.Conn
	left int // bytes
}

func (i *impatient) Read(p []byte) (int, error) {
	if i.left <= 0 {
		return 0, errors.New("enough")
	}
	n, err := i.Conn.Read(p)
	i.left -= n
	return n, err
}

// TestRecsinkFaults shows a fault at each stage, and that it can be lifted.
func TestRecsinkFaults(t *testing.T) {
	t.Parallel()
	r := testkit.NewRecsink(t)
	for _, tt := range []struct {
		stage, action string
		want          string // kinds of the records that it leaves
		code          int    // of the reply, 0: the dialogue breaks
	}{
		{"mail", "drop", "", 0},
		{"rcpt", "421", "", 421},
		{"data", "garbage", "", 0},
		{"body", "drop", "N", 0},
		{"dot", "drop", "L", 0},
		{"dot", "forget", "N", 0},
		{"dot", "421", "T", 421},
		{"dot", "garbage", "L", 0},
		{"dot", "endless", "L", 0},
		{"dot", "drip", "A", 250},
	} {
		before := len(r.Records())
		r.Fault(tt.stage, tt.action, 1)
		conn, err := net.Dial("tcp", r.Addr())
		err = deliverTo(smtpClient(t, &impatient{conn, 256 << 10}, err), "ann@example.test")
		var said *textproto.Error
		switch {
		case tt.code == 250 && err != nil, tt.code != 250 && err == nil:
			t.Errorf("%s at %s: got %v, want code %d", tt.action, tt.stage, err, tt.code)
		case tt.code == 421 && (!errors.As(err, &said) || said.Code != 421):
			t.Errorf("%s at %s: got %v, want 421", tt.action, tt.stage, err)
		}
		r.Clear()
		kinds := ""
		for _, rec := range r.Records()[before:] {
			kinds += string(rec.Kind)
		}
		if kinds != tt.want {
			t.Errorf("%s at %s: left records %q, want %q", tt.action, tt.stage, kinds, tt.want)
		}
	}
	send(t, dialSMTP(t, r.Addr()), "bob@example.test", "afterwards")
	if got := r.Accepted()["bob@example.test"]; got != 1 {
		t.Errorf("after the faults a message arrived %d times", got)
	}
}

// TestRecsinkHangsUntilLifted shows that the dialogue goes on where it stood,
// and that refused connections are possible again.
func TestRecsinkHangsUntilLifted(t *testing.T) {
	t.Parallel()
	r := testkit.NewRecsink(t, "-addr", fmt.Sprintf("127.0.0.1:%d", testkit.Port(t)))
	c := dialSMTP(t, r.Addr())
	r.Fault("dot", "hang", 1)
	done := make(chan error, 1)
	go func() { done <- deliverTo(c, "ann@example.test") }()
	for range testkit.Tries(20 * time.Second) {
		if r.Count() > 0 {
			break
		}
	}
	select {
	case err := <-done:
		t.Fatalf("answered while it should hang: %v", err)
	default:
	}
	r.Clear()
	if err := <-done; err != nil {
		t.Errorf("after the hang: %v", err)
	}
	r.Fault("listen", "refuse", 1)
	if c, err := net.Dial("tcp", r.Addr()); err == nil {
		c.Close()
		t.Error("a connection was possible")
	}
	r.Clear()
	send(t, dialSMTP(t, r.Addr()), "bob@example.test", "afterwards")
}

func deliverTo(c *smtp.Client, to string) error {
	if err := c.Mail("news@example.test"); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte("Subject: x\r\n\r\nhello\r\n")); err != nil {
		return err
	}
	return w.Close()
}
