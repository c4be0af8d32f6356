// Package token makes and opens the tokens that leave with every message and
// come back from strangers: the unsubscribe link, the link that confirms a
// subscription, and the id in the return path and the Message-ID.
//
// It promises that a token that opens was made with one of our secrets and
// was not changed by a single bit, and that the same content gives the same
// token in every retry. Keys derives everything from the configured secrets;
// the first one makes tokens, all of them open.
//
//	keys, err := token.NewKeys(secrets)
//	link := publicURL + token.Path + keys.Seal(token.Unsubscribe{Topic: "newsletter", Run: run, Address: a})
//	returnPath := token.Prefix + keys.Message(run, part, index) + "@" + domain
//
// An unsubscribe token is sealed: it carries topic, run and address, needs
// nothing of the run to be opened, and shows nothing to a person who reads the
// link. A message token is signed: it carries a reference of the run, part
// and index, in letters and digits only, because mail systems change the case
// of a local part and cut it at odd characters.
//
//	unsubscribe  base64url( head(2) nonce(12) AES-256-GCM(content) tag(16) )
//	             content = flags(1), then length and bytes of topic, run, address
//	subscribe    the same with keys of its own; content = JSON of everything that was asked for
//	message      base32( head(2) run(8) part(1) index(4) HMAC-SHA256(10) ), 40 characters
//	head         version (4 bits), key number (12 bits)
//
// The key number is derived from the secret, so that the order of secrets may
// change; tokens of a secret that is no longer configured do not open.
package token
