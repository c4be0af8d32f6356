// Package web answers what comes over HTTP: the unsubscribe links of
// messages, the forms on which people subscribe and the links that confirm it, the links
// and pictures by which clicks and opens are counted, and whether the process is alive and
// ready.
//
// It promises that an unsubscribe which was answered 200 is in the suppression
// list, that looking at a link changes nothing, and that a link says nothing
// to strangers: every token that does not open gets the same answer.
//
//	POST /u/TOKEN           one-click unsubscribe (RFC 8058), and the buttons of the page
//	GET  /u/TOKEN           a page with a button for each topic; changes nothing (scanners
//	                        open every link)
//	GET  /u/style-HASH.css  the stylesheet of the page
//	GET  /subscribe/NAME    a form on which people subscribe, where the configuration has one
//	POST /subscribe/NAME    has the message sent that lets them confirm it; a form, or JSON
//	GET  /subscribe/confirm/TOKEN   a page with a button; changes nothing
//	POST /subscribe/confirm/TOKEN   confirms
//	GET  /c/TOKEN           302 to where the link of a letter leads; the target is in the token
//	GET  /o/TOKEN           a picture of one pixel, whatever the token
//	POST /hooks/NAME        a webhook of a provider, as Config.Hooks answers it
//	POST /api/v1/send       a request of a program, as Config.API answers it
//	GET  /healthz           200 while the process runs
//	GET  /readyz            200 while the store answers within a second
//
// What a link has had its reader leave, it can take back: unsubscribes of the same
// address and run, and never a bounce or a complaint. A page needs neither the store nor
// the run: without them it does not say what was left, and speaks the language of the
// browser.
//
// The answer to who subscribes an address says nothing of that address: what is done
// about it is done later, by package subscribe.
//
// An unsubscribe link is never a redirect: RFC 8058 section 3.1 forbids it for POST, and
// some mail providers give up at one. That is why paths are matched here and
// not by http.ServeMux, which redirects to clean ones. A link works with what
// mail programs add to it, and under the path of the public URL as well as
// without it. When the store is away the answer is 503 with Retry-After, never
// a 200 that would be forgotten.
//
// The links of letters lead on without the store: no one waits until a click is counted,
// and there is no redirect to anything that no letter of ours linked to.
//
// Package feedback applies the unsubscribes and keeps them from being forgotten.
package web
