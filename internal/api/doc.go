// Package api answers programs over HTTP, with JSON.
//
//	POST /api/v1/send   takes a single message (docs/send.md)
//
// A request has a bearer token with a scope (package access). What is answered with 202 is
// stored and will be sent; what is answered otherwise was not taken. An Idempotency-Key
// makes it safe to ask again: the answer to a used one is 200, with the message of the
// first time as it stands now.
package api
