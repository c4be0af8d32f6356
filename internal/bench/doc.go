// Package bench measures how fast Broadside is on this machine, in figures that
// can be compared: messages a second next to what Postfix's smtp-source does in
// the same minute to the same server, and the CPU, commands and memory that one
// message costs.
//
// Everything is real: a redis-server, worker processes and an SMTP server, each
// a process of its own, and a generated campaign of the asked size that is
// launched as any other. Nothing that it makes is kept.
//
//	expand   a list of N rows is read, checked and stored; nothing is sent
//	enqueue  tasks go into the queue, then out to handlers that do nothing
//	render   one core makes messages; no Redis, no SMTP
//	send     N messages go out, then smtp-source sends as many of that size
//
// tools/benchset makes many measurements one after another.
//
// Children are this same program, started as Options.Agent says; they answer
// questions on their standard input, and end when it does (see Agent).
package bench
