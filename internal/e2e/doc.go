// Package e2e has the tests of the whole system: real processes of broadside,
// a real Redis, and a sink that shares no code with it and counts what
// arrived. It has no code of its own.
package e2e
