// Package access keeps the tokens by which programs use the API, and says what one may do.
//
// It promises that a token is shown once, when it is made: only its SHA-256 is stored, and
// the comparison takes as long whatever is sent. A token says by itself which one it is, so
// that the log and `token ls` can name it without knowing it:
//
//	bs_ <id, 8 characters> _ <256 random bits, 52 characters>    all [a-z2-7]
//
// The keys:
//
//	PREFIX:tokens        hash: id -> name, scopes, SHA-256 and when it was made, JSON
//	PREFIX:tokens:used   hash: id -> when it was used last, Unix milliseconds, to the minute
package access
