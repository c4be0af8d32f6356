// Package reply says what a server's answer means.
//
// Every reply, and every reply that did not come, is described by a Reply;
// Classify turns it into a Decision by an ordered list of rules (rules.yaml,
// embedded): the first rule that matches wins, and those of providers and relays
// stand before those for everybody. The verdict is decided here and
// nowhere else.
//
//	d := reply.Classify(reply.New(reply.Rcpt, 550, "5.1.1 no such user"))
//	d.Verdict // suppress_hard
//
// The promise: an address is suppressed only when the reply concerns exactly
// one recipient and speaks of nothing that can befall an address in use. A rule
// that says suppress_hard for a reply at another stage than RCPT or the final
// dot comes out as fail_no_suppress. No such rule matches a text with a sign of
// life (the part living of rules.yaml: loops, DNS, policy, relaying, content,
// quota, the sender, outages and so on), whatever the codes before it. A rule
// that wants several confirmations comes out as fail_no_suppress too, and the
// decision says how many it wants: the caller counts them.
//
// What happened after the final dot and is not a proper reply is uncertain,
// never a retry.
//
// A Reply may say which mailbox provider the recipient has, and which relay
// answered; rules that name one are asked for no other. Rules of a user (Load,
// Open) are asked before the built-in ones:
//
//	rules, err := reply.Open(ctx, "my-rules.yaml")
//	d := rules.Classify(r)
//
// They are believed where they name the words of a reply, and cannot change what
// has been decided: what was accepted is accepted, what is unknown stays unknown.
// What a rule says for many replies (Escalate) is counted by an Escalator.
//
// A reply is read up to MaxRead; only its beginning is stored (MaxText).
// Addresses, links and host names in it are not taken for words.
//
// The package is pure but for Open: no network, no clock.
package reply
