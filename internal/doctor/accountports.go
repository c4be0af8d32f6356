package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"broadside/configs"
	"broadside/sender/reply"
	"broadside/sender/smtppool"
)

// portTime is how long to wait for each step on another port.
const portTime = 5 * time.Second

// usualPorts are those of submission (RFC 8314, RFC 6409), and the one that relays open
// where networks block the others.
var usualPorts = []configs.Port{
	{Number: 587, TLS: configs.TLSStartTLS}, {Number: 2525, TLS: configs.TLSStartTLS}, {Number: 465, TLS: configs.TLSImplicit},
}

// tryPorts looks for another port when nothing answers on the account's own, and writes
// the fix of the last problem: many networks let nothing out to port 25 or 587.
func (c *AccountCheck) tryPorts(ctx context.Context, acct configs.Account, smtp smtppool.Config, err error, ports []configs.Port) {
	if !silent(err) {
		return
	}
	if ports == nil {
		ports = otherPorts(acct)
	}
	ports = slices.DeleteFunc(slices.Clone(ports), func(p configs.Port) bool { return p.Number == acct.Port })
	if len(ports) == 0 {
		return
	}

	last := &c.Problems[len(c.Problems)-1]
	works, found := firstOpen(ctx, smtp, ports)
	if !found {
		last.Fix = fmt.Sprintf("%s; %s can be reached no more than %d: check host, and whether a firewall or the operator of this network blocks mail", last.Fix, numbers(ports), acct.Port)
		return
	}
	set := fmt.Sprintf("port: %d", works.Number)
	if works.TLS != acct.TLS {
		set += " and tls: " + works.TLS
	}
	last.Fix = fmt.Sprintf("port %d cannot be reached, %d can: set %s", acct.Port, works.Number, set)
	c.OtherPort = &AccountPort{Port: works.Number, TLS: works.TLS}
}

// silent reports whether an error is that nothing answers where the account is.
func silent(err error) bool {
	var smtp *smtppool.Error
	if !errors.As(err, &smtp) || smtp.Reply.Stage != reply.Connect {
		return false
	}
	switch smtp.Reply.Event {
	case reply.DialTimeout, reply.ConnRefused, reply.Unreachable, reply.ReadTimeout, reply.EOF, reply.ConnReset:
		return true
	}
	return false
}

// otherPorts returns the ports at which an account's server may be reached too. What runs
// on this machine is behind no firewall: there only those of the preset count.
func otherPorts(acct configs.Account) []configs.Port {
	var ports []configs.Port
	if preset, ok := configs.FindPreset(acct.Preset); ok {
		ports = preset.Ports()
	}
	if acct.Loopback() {
		return ports
	}
	for _, p := range usualPorts {
		if !slices.ContainsFunc(ports, func(known configs.Port) bool { return known.Number == p.Number }) {
			ports = append(ports, p)
		}
	}
	return ports
}

// firstOpen tries ports at the same time, up to TLS and without the login, and returns
// the first of them that works.
func firstOpen(ctx context.Context, smtp smtppool.Config, ports []configs.Port) (configs.Port, bool) {
	smtp.Auth = "none"
	smtp.Tokens = nil
	smtp.Timeouts = smtppool.Timeouts{Connect: portTime, Greeting: portTime, Hello: portTime, Quit: time.Second}
	open := make([]bool, len(ports))
	var g errgroup.Group
	for i, p := range ports {
		g.Go(func() error {
			there := smtp
			there.Port, there.TLS = p.Number, p.TLS
			conn, err := smtppool.Dial(ctx, there)
			if err == nil {
				conn.Quit(ctx)
				open[i] = true
			}
			return nil
		})
	}
	_ = g.Wait() // none fails: a port that does not answer is a result

	i := slices.Index(open, true)
	if i < 0 {
		return configs.Port{}, false
	}
	return ports[i], true
}

// numbers lists ports: "2525 and 465".
func numbers(ports []configs.Port) string {
	all := make([]string, len(ports))
	for i, p := range ports {
		all[i] = strconv.Itoa(p.Number)
	}
	if len(all) == 1 {
		return all[0]
	}
	return strings.Join(all[:len(all)-1], ", ") + " and " + all[len(all)-1]
}
