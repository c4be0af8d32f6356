// Package store connects to Redis, or runs a store within the process for trying
// things out, and reports what kind of server it is.
//
// It promises that no process starts to send on a store that would lose track of
// what was sent: before [Open] returns, the server has answered,
// is new enough, never evicts keys, and writes to disk (a Redis without
// persistence is accepted on loopback, or by an explicit option). What a
// server is asked is INFO alone, because managed ones often forbid CONFIG.
//
// # Connections
//
// Options.MaxConnections is a hard ceiling of one process to any one server:
// every connection is made and counted in one place. It
// is split when the store is opened, so that no part takes another's:
//
//	MaxConnections = shared + Claims
//
// shared belongs to [Store.Client], which everything uses, pipelines and
// asynq included. Claims belongs to the one client that [Store.Claims] makes,
// for commands that must not be sent twice; [ForClaims] proposes it for a
// process that sends. There are no subscriptions, for which go-redis opens
// connections outside the pool. In a cluster all of it holds for each node.
//
// # Several servers
//
// The URL says whether there is one server, sentinels that know it, or a
// cluster; the client is a redis.UniversalClient in each case. Only primaries
// are asked. [Store.Server] names the life of them all, and changes when one
// of them restarts or is replaced; [Store.Sever] then ends what still leads to
// a server that was. docs/redis.md has the URLs, the user's permissions and
// what each can lose.
//
// # Embedded
//
// [OpenEmbedded] runs miniredis in the process, reached over connections that
// are plain memory: no port is open, and a pipeline of any size goes through.
// It forgets everything at exit. What it lacks is made up for here and nowhere
// else: INFO server (its run id is "embedded") and the line of
// script flags ([Store.Lua]).
package store
