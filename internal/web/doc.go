// Package web answers what comes over HTTP: the unsubscribe links of
// messages, and whether the process is alive and ready.
//
// It promises that an unsubscribe which was answered 200 is in the suppression
// list, that looking at a link changes nothing, and that a link says nothing
// to strangers: every token that does not open gets the same answer.
//
//	POST /u/TOKEN     one-click unsubscribe (RFC 8058), and the button of the page
//	GET  /u/TOKEN     a page with that button; changes nothing (scanners open every link)
//	POST /hooks/NAME  a webhook of a provider, as Config.Hooks answers it
//	GET  /healthz     200 while the process runs
//	GET  /readyz      200 while the store answers within a second
//
// There is never a redirect: RFC 8058 section 3.1 forbids it for POST, and
// some mail providers give up at one. That is why paths are matched here and
// not by http.ServeMux, which redirects to clean ones. A link works with what
// mail programs add to it, and under the path of the public URL as well as
// without it. When the store is away the answer is 503 with Retry-After, never
// a 200 that would be forgotten.
//
// Package feedback applies the unsubscribes and keeps them from being forgotten.
package web
