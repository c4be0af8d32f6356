// Package outage keeps loops calm while something that they need is away. A
// Notice says so in the log once, however often it is tried. A Gate lets one try a
// second through, however many callers are waiting.
package outage
