package store

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"broadside/configs"
)

// ErrOptions: the settings of the store cannot be used. Its text never holds
// the URL, which has a password in it.
var ErrOptions = errors.New("redis settings")

// A kind says how many servers there are behind a URL, and who knows which of
// them to ask.
type kind int

const (
	single   kind = iota
	sentinel      // sentinels know the one primary
	cluster       // each primary has a share of the keys
)

// server is a parsed URL.
type server struct {
	kind     kind
	addr     string   // what is connected to, for messages
	addrs    []string // of sentinels or nodes; empty for a single server
	primary  string   // the name by which sentinels know the primary
	loopback bool
	tls      bool
	insecure bool // do not verify certificates

	sentinelUser, sentinelPassword string

	parse func() *redis.Options // login, database and address; fresh every time
}

// expected says how a URL looks.
const expected = "expected redis_url (or REDIS_URL) like redis://user:password@host:6379/0, redis-sentinel://user:password@host1:26379,host2:26379/NAME or redis-cluster://user:password@host1:6379,host2:6379, with rediss for TLS; characters like @ / # % in a password are written as %40 %2F %23 %25"

// schemes of several servers; the first of a kind is what we call it.
var schemes = map[string]struct {
	kind kind
	tls  bool
}{
	"redis-sentinel": {sentinel, false}, "rediss-sentinel": {sentinel, true},
	"redis+sentinel": {sentinel, false}, "rediss+sentinel": {sentinel, true},
	"redis-cluster": {cluster, false}, "rediss-cluster": {cluster, true},
	"redis+cluster": {cluster, false}, "rediss+cluster": {cluster, true},
}

func parseURL(text string, tlsInsecure bool) (*server, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return nil, fmt.Errorf("%w: redis_url is not set, %s", ErrOptions, expected)
	}
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		return nil, fmt.Errorf("%w: redis_url is not a URL, %s", ErrOptions, expected)
	}
	scheme = strings.ToLower(scheme)
	if s, ok := schemes[scheme]; ok {
		return parseMany(&server{kind: s.kind, tls: s.tls, insecure: tlsInsecure}, rest)
	}
	authority, _, _ := strings.Cut(rest, "/")
	switch hosts := authority[strings.LastIndex(authority, "@")+1:]; {
	case scheme != "redis" && scheme != "rediss" && scheme != "unix":
		return nil, fmt.Errorf("%w: redis_url begins with %s://, %s", ErrOptions, scheme, expected)
	case strings.Contains(text, "master_name="):
		return nil, fmt.Errorf("%w: redis_url names the primary of sentinels (master_name): %s", ErrOptions, expected)
	case strings.Contains(hosts, ",") || strings.Contains(text, "addr="):
		return nil, fmt.Errorf("%w: redis_url names more than one host: write redis-sentinel:// or redis-cluster:// for what they are; %s", ErrOptions, expected)
	}
	return parseSingle(text, tlsInsecure)
}

func parseSingle(text string, tlsInsecure bool) (*server, error) {
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
		insecure: tlsInsecure || parsed.TLSConfig != nil && parsed.TLSConfig.InsecureSkipVerify,
		parse: func() *redis.Options {
			o, err := redis.ParseURL(text)
			if err != nil {
				return parsed // it was parsed before
			}
			return o
		},
	}, nil
}

// parseMany reads what follows the scheme of sentinels or of a cluster:
// [user:password@]host[:port],.../[name][/db][?options].
func parseMany(s *server, rest string) (*server, error) {
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndex(rest[:end], "@")
	hosts := rest[at+1 : end]
	// One host instead of all: what is left is a URL as others are.
	u, err := url.Parse("redis://" + rest[:at+1] + "host" + rest[end:])
	if err != nil || u.Fragment != "" {
		return nil, fmt.Errorf("%w: redis_url is not a URL, %s", ErrOptions, expected)
	}
	if err := s.setHosts(hosts); err != nil {
		return nil, err
	}
	db, err := s.setPath(u)
	if err != nil {
		return nil, err
	}
	user := u.User.Username()
	password, _ := u.User.Password()
	s.parse = func() *redis.Options { return &redis.Options{Username: user, Password: password, DB: db} }
	return s, nil
}

// setHosts reads host[:port],...
func (s *server) setHosts(list string) error {
	port := "6379"
	if s.kind == sentinel {
		port = "26379"
	}
	s.loopback = true
	for text := range strings.SplitSeq(list, ",") {
		host, p := text, port
		if h, q, err := net.SplitHostPort(text); err == nil {
			host, p = h, q
		} else if strings.Contains(strings.Trim(text, "[]"), ":") && !strings.HasSuffix(text, "]") {
			host = ""
		}
		host = strings.Trim(host, "[]")
		if n, err := strconv.ParseUint(p, 10, 16); host == "" || strings.ContainsAny(host, " \t%@") || err != nil || n == 0 {
			return fmt.Errorf("%w: redis_url has the host %q, expected host or host:port, several separated by commas; %s", ErrOptions, text, expected)
		}
		addr := net.JoinHostPort(host, p)
		if slices.Contains(s.addrs, addr) {
			return fmt.Errorf("%w: redis_url names %s twice", ErrOptions, addr)
		}
		s.addrs = append(s.addrs, addr)
		s.loopback = s.loopback && loopback(addr)
	}
	s.addr = strings.Join(s.addrs, ",")
	return nil
}

// setPath reads the name of the primary, the database and the options.
func (s *server) setPath(u *url.URL) (db int, err error) {
	q := u.Query()
	take := func(name string) string {
		v := q.Get(name)
		q.Del(name)
		return v
	}
	text := take("db")
	path := strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })
	if s.kind == sentinel {
		if s.primary = take("master"); s.primary == "" && len(path) > 0 {
			s.primary, path = path[0], path[1:]
		}
		s.sentinelUser, s.sentinelPassword = take("sentinel_username"), take("sentinel_password")
		if s.primary == "" {
			return 0, fmt.Errorf("%w: redis_url names sentinels without the name of the primary that they watch: write it after the hosts, as in redis-sentinel://host1:26379,host2:26379/mymaster", ErrOptions)
		}
		s.addr += "/" + s.primary
	}
	if text == "" && len(path) > 0 {
		text, path = path[0], path[1:]
	}
	if len(path) > 0 {
		return 0, fmt.Errorf("%w: redis_url has a path too long, %s", ErrOptions, expected)
	}
	for name := range q {
		return 0, fmt.Errorf("%w: redis_url has the option %q, expected %s", ErrOptions, name, s.extras())
	}
	if text != "" {
		if db, err = strconv.Atoi(text); err != nil || db < 0 {
			return 0, fmt.Errorf("%w: redis_url has the database %q, expected a number", ErrOptions, text)
		}
	}
	if s.kind == cluster && db != 0 {
		return 0, fmt.Errorf("%w: redis_url has the database %d: a Redis Cluster has 0 alone", ErrOptions, db)
	}
	return db, nil
}

// extras names what may stand after the ? of the URL.
func (s *server) extras() string {
	if s.kind == sentinel {
		return "db, master, sentinel_username or sentinel_password"
	}
	return "none"
}

// loopback reports whether addr (host:port) is this machine.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	return err == nil && configs.IsLoopback(host)
}
