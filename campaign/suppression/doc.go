// Package suppression is the list of addresses that must not be mailed, and
// why, since when, and on which evidence.
//
// It keeps the promise that a suppressed address is not mailed: an entry that
// [Store.Add] has acknowledged is seen by every look-up that begins after it,
// and one behind a [Barrier] survives the death of its server too.
// Adding is a union and never takes anything away; only [Store.Rm], [Store.Undo] and
// [Store.Discard] do, and leave a mark, so that [Store.Replay] of an older
// entry does not undo it. An entry is found by the SHA-256 of the canonical
// address, so that lists of hashes can be imported, and a person can be
// forgotten and still not be mailed.
//
// An entry of a domain holds for every address in it, and not for its subdomains. A
// process keeps these entries in memory and asks once per batch whether they have
// changed, so that they cost a message nothing.
//
// An entry holds for everything ([All]) or for one topic ([Topic]). It may
// expire; an expired entry counts as absent, and stays where it is until the
// next one replaces it.
//
// An entry that the reply of a server has caused names the lane of the message, so
// that [Store.Discard] can take away those of a server that refused everybody. What
// was on the list before, or was added by another road too, stays.
//
//	store := suppression.New(rdb, "bs", redis.NewScript)
//	n, err := store.Add(ctx, suppression.Entry{Address: a, Reason: suppression.ReasonBounce, Source: "smtp", Run: run})
//	suppressed, err := store.Suppressed(ctx, "newsletter", people)
//
// In Redis it is 16 hashes (few and large: a look-up costs 1 us whatever
// their size), each in a slot of its own in a cluster:
//
//	<prefix>:supp:<0-f>    field: 16 bytes of the hash, then the topic ("" is all)
//	                       value: text that begins with the expiry; form.go
//	                       has its two forms, removed what a removal leaves
//	<prefix>:supp:domains   the same for domains: the hash is that of "*@" and the
//	                       domain. Its field "version" changes with every change
//	<prefix>:supp:confirm:<0-f>   16 bytes of the hash -> how many signs of a dead
//	                       address were seen, and when the last: see Confirm
//	<prefix>:supp:soft:<0-f>   16 bytes of the hash -> messages that came back although
//	                       the address may be in use: see CountReturns
//	<prefix>:supp:lane:<account>/<lane>   list of the newest entries that replies in
//	                       one lane have caused: see Discard
//	<prefix>:supp:runs     reference -> run that entries name by it: see runs.go
//	<prefix>:supp:topics   every topic that ever had an entry: which fields an
//	                       address can have
package suppression
