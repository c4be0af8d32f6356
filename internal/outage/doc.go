// Package outage keeps loops calm while something that they need is away: a
// Notice says so in the log once, however often it is tried, and a Gate lets one
// try a second through, however many want to.
package outage
