// Package hooks takes the webhooks by which providers tell what became of a message
// after they had accepted it: delivered, returned, complained about, unsubscribed.
//
// It promises that a request changes nothing unless it is shown to come from its
// provider, that this is decided over the bytes as they came and before anything in
// them is believed, and that 200 is answered only after every event of the request
// was stored. Whatever else is answered, the provider sends the request again, and
// the same event then has the same campaign.Notice.ID.
//
// A decoder for each provider verifies and reads; what an event does is decided by the
// Recorder that takes its Notice. A kind of event that is not known here becomes a
// notice of campaign.ClassOther with its name, and a field of another type than
// documented is left empty: providers add kinds and fields without asking.
//
//	POST /hooks/ses        Amazon SNS, signed with RSA by a certificate of Amazon's
//	POST /hooks/sendgrid   signed with ECDSA
//	POST /hooks/mailgun    a MAC over a time and a token, but not over the event
//	POST /hooks/postmark   a password (HTTP Basic)
//	POST /hooks/generic    Standard Webhooks, a MAC over id, time and body
//
//	200 stored, also when it had been stored before    404 not configured
//	400 signed, but unreadable                         405 not a POST
//	401 not shown to come from its provider, or old    413 more than 2 MiB or 10,000 events
//	503 not stored, with Retry-After
package hooks
