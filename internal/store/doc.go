// Package store connects to Redis, or makes a store within the process for
// trying things out, and says what it found.
//
// It keeps the promise that nobody starts to send on a store that would lose
// track of who was sent to: before [Open] returns, the server has answered,
// is new enough, never evicts keys, and writes to disk (a Redis without
// persistence is accepted on loopback, or by an explicit option). What a
// server is asked is INFO alone, because managed ones often forbid CONFIG.
//
// # Connections
//
// Options.MaxConnections is a hard ceiling of one process. It is split when
// the store is opened, and no part borrows from another:
//
//	MaxConnections = shared + Claims + PubSub
//
// shared belongs to [Store.Client], which everything uses, pipelines and
// asynq included. Claims belongs to the one client that [Store.Claims] makes,
// for commands that must not be sent twice. PubSub is only set aside: go-redis
// opens a connection for each subscription beside the pool, and an asynq
// server holds one. [Split] proposes the two for a process that sends.
//
// # Embedded
//
// [OpenEmbedded] runs miniredis in the process, reached over connections that
// are plain memory: no port is open, and a pipeline of any size goes through.
// It forgets everything at exit. What it lacks is made up for here and nowhere
// else: INFO server (its run id is "embedded") and the line of
// script flags ([Store.Lua]).
package store
