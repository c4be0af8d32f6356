// Package token makes and opens the tokens that leave with every message and
// come back from strangers: the unsubscribe link, the link that confirms a
// subscription, the id in the return path and the Message-ID, and the links and the
// picture by which clicks and opens are counted.
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
// A link whose clicks are counted has two tokens, each of which stands on its own: one
// says who reads, the other where the link leads. So the second is the same in all
// letters, and leads there although the run is long forgotten and no store is reached. It
// is sealed, so that there is no redirect to anything but what a letter of ours linked to.
//
//	unsubscribe  base64url( head(2) nonce(12) AES-256-GCM(content) tag(16) )
//	             content = flags(1), then length and bytes of topic, run, address
//	subscribe    the same with keys of its own; content = JSON of everything that was asked for
//	message      base32( head(2) run(8) part(1) index(4) HMAC-SHA256(10) ), 40 characters
//	reader       base64url( head(2) run(8) part(1) index(4) date(4) HMAC-SHA256(11) ), 40 characters
//	link         base64url( head(2) nonce(12) AES-256-GCM(content) tag(16) )
//	             content = number and count of links, as uvarint, then the target
//	head         version (4 bits), key number (12 bits)
//
// The key number is derived from the secret, so that the order of secrets may
// change; tokens of a secret that is no longer configured do not open.
package token
