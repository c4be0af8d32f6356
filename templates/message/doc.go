// Package message turns rendered content into the bytes of one e-mail.
//
// The promise: whatever a subject, a name or a merge value contains, the result
// is a well-formed message (RFC 5322, RFC 2045-2047) with exactly the intended
// headers. A value that could end a header line is an error; it is never folded,
// encoded or cut until it fits.
//
// [Compile] has go-mail lay out everything that is the same for all
// recipients of a run, and keeps it as segments around slots:
//
//	Date: ____
//	Feedback-ID: october:newsletter:broadside:acmeexample
//	...
//	Subject: ____
//	Content-Type: multipart/alternative; boundary="____"
//
//	--____
//	Content-Transfer-Encoding: ____
//	Content-Type: text/plain; charset=UTF-8
//
//	____
//
// [Skeleton.Append] fills the slots for one recipient. The same input gives
// the same bytes, so that a retry sends the same message as the first try; the
// boundary is made from the Message-ID.
//
// A [Body] gives its text in pieces. What is the same for all recipients comes
// as [Fixed], encoded once; only lines with a value in them are encoded for
// each message. Where such a line is long, soft breaks set the value apart;
// otherwise the result is the same as for the text in one piece.
//
// What comes out has CRLF line ends, no bare CR or LF, no NUL, and is 7-bit:
// bodies are quoted-printable, or base64 where most of the text is not ASCII,
// in lines of at most 76 octets. No body line begins with a dot or with
// "From ". The text is not dot-stuffed: that belongs to the SMTP dialogue, and
// finds nothing to do.
// The one exception to 7-bit is a To address whose local part is not ASCII:
// such a header can only be raw UTF-8 (RFC 6532), and the message needs a
// server that offers SMTPUTF8 (RFC 6531).
package message
