package hooks

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"broadside/campaign"
)

// ses reads the notifications of Amazon SES, which SNS signs and delivers
// (https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html).
type ses struct {
	topics       []string // ARNs of those that are believed
	get          getter
	certificates *certificates
	log          *slog.Logger
}

func newSES(topics []string, cfg Config) *ses {
	get := newGetter(cfg.Transport)
	return &ses{topics, get, newCertificates(get, cfg.Roots), cfg.Log}
}

// The types of SNS messages.
const (
	snsNotification = "Notification"
	snsSubscribe    = "SubscriptionConfirmation"
	snsUnsubscribe  = "UnsubscribeConfirmation"
)

// An snsMessage is the body of a request of SNS.
type snsMessage struct {
	Type             string
	MessageID        string `json:"MessageId"`
	Token            string
	TopicArn         string
	Subject          *string // nil: there is none, and it is not signed
	Message          string  // of a notification: JSON
	Timestamp        string
	SubscribeURL     string
	Signature        string // base64
	SignatureVersion string
	SigningCertURL   string
}

func (s *ses) decode(r *http.Request, body []byte, now time.Time) ([]campaign.Notice, error) {
	var m snsMessage
	if err := readJSON(body, &m); err != nil {
		return nil, err
	}
	if err := s.verify(r.Context(), m, now); err != nil {
		return nil, err
	}

	switch m.Type {
	case snsSubscribe:
		return nil, s.subscribe(r.Context(), m)
	case snsUnsubscribe:
		s.log.Warn("the subscription of an sns topic was ended: its events do not come any more", "topic", m.TopicArn)
		return nil, nil
	}
	return sesNotices(m)
}

// verify refuses what SNS has not signed for one of the topics.
func (s *ses) verify(ctx context.Context, m snsMessage, now time.Time) error {
	switch {
	case m.Signature == "":
		return fmt.Errorf("%w: no signature, expected a message of SNS: raw message delivery must be off", errUnsigned)
	case !slices.Contains(s.topics, m.TopicArn):
		return fmt.Errorf("%w: found a message of topic %.300q, expected one of topic_arns", errUnsigned, m.TopicArn)
	}

	signed, err := m.signed()
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil {
		return fmt.Errorf("%w: the signature is not base64", errUnsigned)
	}
	key, err := s.certificates.key(ctx, m.SigningCertURL, now)
	if err != nil {
		return err
	}

	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(signed)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(signed)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		err = fmt.Errorf("found signature version %.20q, expected 1 or 2", m.SignatureVersion)
	}
	if err != nil {
		return fmt.Errorf("%w: verify the signature of SNS: %w", errUnsigned, err)
	}
	return checkTime(iso(m.Timestamp), now, off)
}

// signed returns the bytes that SNS signs: names and values, each with a line break.
func (m snsMessage) signed() ([]byte, error) {
	pairs := []string{"Message", m.Message, "MessageId", m.MessageID}
	switch m.Type {
	case snsNotification:
		if m.Subject != nil {
			pairs = append(pairs, "Subject", *m.Subject)
		}
		pairs = append(pairs, "Timestamp", m.Timestamp)
	case snsSubscribe, snsUnsubscribe:
		pairs = append(pairs, "SubscribeURL", m.SubscribeURL, "Timestamp", m.Timestamp, "Token", m.Token)
	default:
		return nil, fmt.Errorf("%w: found a message of type %.40q, expected %s, %s or %s", errUnreadable, m.Type, snsNotification, snsSubscribe, snsUnsubscribe)
	}
	pairs = append(pairs, "TopicArn", m.TopicArn, "Type", m.Type)

	var text []byte
	for _, part := range pairs {
		text = append(text, part...)
		text = append(text, '\n')
	}
	return text, nil
}

// subscribe confirms that the topic may send here.
func (s *ses) subscribe(ctx context.Context, m snsMessage) error {
	if _, err := snsURL(m.SubscribeURL); err != nil {
		return fmt.Errorf("%w: SubscribeURL: %w", errUnsigned, err)
	}
	if _, err := s.get(ctx, m.SubscribeURL); err != nil {
		return fmt.Errorf("confirm the subscription of %s: %w", m.TopicArn, err)
	}
	s.log.Info("subscription of an sns topic confirmed", "topic", m.TopicArn)
	return nil
}
