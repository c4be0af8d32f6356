package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// ErrOptions: the settings of the store cannot be used. Its text never holds
// the URL, which has a password in it.
var ErrOptions = errors.New("redis settings")

// server is a parsed URL.
type server struct {
	addr     string // host:port or the path of a socket, for messages
	loopback bool
	tls      bool
	parse    func() *redis.Options
}

// expected says how a URL looks.
const expected = "expected redis_url (or REDIS_URL) like redis://user:password@host:6379/0, rediss:// for TLS; characters like @ / # % in a password are written as %40 %2F %23 %25"

func parseURL(text string, tlsInsecure bool) (*server, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, fmt.Errorf("%w: redis_url is not set, %s", ErrOptions, expected)
	}
	if err := refuseUnsupported(text); err != nil {
		return nil, err
	}
	// The errors of url.Parse quote the URL, with its password.
	if u, err := url.Parse(text); err != nil || u.Host == "" && u.Scheme != "unix" {
		return nil, fmt.Errorf("%w: redis_url is not a URL, %s", ErrOptions, expected)
	}
	parsed, err := redis.ParseURL(text)
	if err != nil {
		return nil, fmt.Errorf("%w: redis_url: %s", ErrOptions, strings.TrimPrefix(err.Error(), "redis: "))
	}
	return &server{
		addr:     parsed.Addr,
		loopback: parsed.Network == "unix" || loopback(parsed.Addr),
		tls:      parsed.TLSConfig != nil,
		parse: func() *redis.Options {
			o, err := redis.ParseURL(text)
			if err != nil {
				return parsed // it was parsed before
			}
			if o.TLSConfig != nil {
				o.TLSConfig.MinVersion = tls.VersionTLS12
				o.TLSConfig.InsecureSkipVerify = o.TLSConfig.InsecureSkipVerify || tlsInsecure
			}
			return o
		},
	}, nil
}

// refuseUnsupported names the ways to more than one Redis, which come later.
func refuseUnsupported(text string) error {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil // said by the caller
	}
	scheme = strings.ToLower(scheme)
	authority, _, _ := strings.Cut(rest, "/")
	hosts := authority[strings.LastIndex(authority, "@")+1:]
	what := ""
	switch {
	case strings.Contains(scheme, "sentinel") || strings.Contains(text, "master_name="):
		what = "Redis Sentinel"
	case strings.Contains(scheme, "cluster"):
		what = "Redis Cluster"
	case strings.Contains(hosts, ",") || strings.Contains(text, "addr="):
		what = "more than one Redis host"
	case scheme != "redis" && scheme != "rediss" && scheme != "unix":
		return fmt.Errorf("%w: redis_url begins with %s://, %s", ErrOptions, scheme, expected)
	default:
		return nil
	}
	return fmt.Errorf("%w: redis_url names %s, which is not supported yet: expected a single server, redis:// or rediss://", ErrOptions, what)
}

// loopback reports whether addr (host:port) is this machine.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// options returns client options with a pool of size connections, and nothing
// beside it.
func (s *server) options(size int) *redis.Options {
	o := s.parse()
	o.PoolSize, o.MaxActiveConns = size, size
	o.MinIdleConns, o.MaxIdleConns = 0, 0
	o.PipelinePoolSize = -1 // else pipelines get up to ten connections of their own
	o.DialTimeout = 3 * time.Second
	o.ReadTimeout, o.WriteTimeout = 3*time.Second, 3*time.Second
	o.PoolTimeout = 4 * time.Second
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.Protocol = 2 // RESP3 looks for push notifications with every reply, and has none for us
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}
