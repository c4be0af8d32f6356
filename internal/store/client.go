package store

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// dialTime bounds one try to connect, TLS included.
const dialTime = 3 * time.Second

// options returns client options with a pool of size connections, and none
// outside it. For a cluster the size is that of each node.
func (s *server) options(size int) *redis.Options {
	o := s.parse()
	o.PoolSize, o.MaxActiveConns = size, size
	o.MinIdleConns, o.MaxIdleConns = 0, 0
	o.PipelinePoolSize = -1 // else pipelines get up to ten connections of their own
	o.DialTimeout = dialTime
	o.ReadTimeout, o.WriteTimeout = 3*time.Second, 3*time.Second
	o.PoolTimeout = 4 * time.Second
	o.ContextTimeoutEnabled = true
	o.DisableIdentity = true
	o.Protocol = 2 // RESP3 looks for push notifications with every reply, and has none for us
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return o
}

// newClient makes a client of the store's kind. It belongs to the store.
func (s *Store) newClient(o *redis.Options) redis.UniversalClient {
	var c redis.UniversalClient
	switch s.server.kind {
	case single:
		c = redis.NewClient(o)
	case sentinel:
		c = redis.NewFailoverClient(s.server.failover(o))
	case cluster:
		c = redis.NewClusterClient(s.server.cluster(o, s.client))
	}
	c.AddHook(denials{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, c)
	return c
}

// failover are the options of a client that asks the sentinels for the primary
// each time it connects, and closes what leads elsewhere when they say that
// there is another one.
func (s *server) failover(o *redis.Options) *redis.FailoverOptions {
	return &redis.FailoverOptions{
		MasterName: s.primary, SentinelAddrs: s.addrs,
		SentinelUsername: s.sentinelUser, SentinelPassword: s.sentinelPassword,
		Username: o.Username, Password: o.Password, DB: o.DB,
		Dialer: o.Dialer, OnConnect: o.OnConnect, MaxRetries: o.MaxRetries, Protocol: o.Protocol,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled, DisableIdentity: o.DisableIdentity,
		PoolSize: o.PoolSize, MaxActiveConns: o.MaxActiveConns, PoolTimeout: o.PoolTimeout,
		PipelinePoolSize: o.PipelinePoolSize,
	}
}

// cluster are the options of a client that asks primaries alone. One that
// never resends follows no redirection either, and takes the map of the slots
// from the shared client, so that it connects only to the server that it asks.
func (s *server) cluster(o *redis.Options, shared redis.UniversalClient) *redis.ClusterOptions {
	co := &redis.ClusterOptions{
		Addrs:    s.addrs,
		Username: o.Username, Password: o.Password,
		Dialer: o.Dialer, OnConnect: o.OnConnect, MaxRedirects: o.MaxRetries, Protocol: o.Protocol,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled, DisableIdentity: o.DisableIdentity,
		PoolSize: o.PoolSize, MaxActiveConns: o.MaxActiveConns, PoolTimeout: o.PoolTimeout,
		PipelinePoolSize: o.PipelinePoolSize, MaintNotificationsConfig: o.MaintNotificationsConfig,
		ClusterStateReloadInterval: 10 * time.Second,
	}
	if shared != nil {
		co.ClusterSlots = func(ctx context.Context) ([]redis.ClusterSlot, error) {
			return shared.ClusterSlots(ctx).Result()
		}
	}
	return co
}
