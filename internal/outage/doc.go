// Package outage keeps retry loops quiet while a service is away. A Notice logs
// the outage once, and its end once. A Gate lets one attempt a second through,
// however many callers wait.
package outage
