package configs

import (
	"regexp"
	"strings"
	"unicode"

	"broadside/configs/strictyaml"
)

// topicARN is the name of an SNS topic, in any of Amazon's partitions.
var topicARN = regexp.MustCompile(`^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:[A-Za-z0-9_-]{1,256}$`)

const (
	topicARNForm   = "the ARN of an SNS topic, such as arn:aws:sns:eu-west-1:123456789012:ses"
	publicKeyForm  = "the public key that SendGrid shows: base64 of an ECDSA key on P-256, in one line"
	signingKeyForm = "the HTTP webhook signing key of Mailgun, on one line"
	hookUserForm   = "a username without a colon, as it stands in the address of the webhook"
	hookPassForm   = "a password on one line, as it stands in the address of the webhook"
	hookSecretForm = "whsec_ and 24 to 64 bytes in base64; make one: echo whsec_$(openssl rand -base64 32)"
)

func readHooks(m *strictyaml.Map, h *Hooks) {
	readHook(m, "ses", &h.SES, func(m *strictyaml.Map, h *SESHook) {
		m.Strings("topic_arns", &h.TopicArns, topicARNForm, topicARN.MatchString)
	}, needed{"topic_arns", "the topics that are believed, such as [\"arn:aws:sns:eu-west-1:123456789012:ses\"]"})

	readHook(m, "sendgrid", &h.Sendgrid, func(m *strictyaml.Map, h *SendgridHook) {
		m.Check("public_key", &h.PublicKey, publicKeyForm, func(text string) bool {
			_, err := SendgridHook{PublicKey: text}.Key()
			return err == nil
		})
	}, needed{"public_key", publicKeyForm})

	readHook(m, "mailgun", &h.Mailgun, func(m *strictyaml.Map, h *MailgunHook) {
		readSecret(m, "signing_key", &h.SigningKey, signingKeyForm, isOneLine)
	}, needed{"signing_key", signingKeyForm})

	readHook(m, "postmark", &h.Postmark, func(m *strictyaml.Map, h *PostmarkHook) {
		m.Check("username", &h.Username, hookUserForm, func(text string) bool {
			return isOneLine(text) && !strings.Contains(text, ":")
		})
		readSecret(m, "password", &h.Password, hookPassForm, isOneLine)
	}, needed{"username", hookUserForm}, needed{"password", hookPassForm})

	readHook(m, "generic", &h.Generic, func(m *strictyaml.Map, h *GenericHook) {
		readSecret(m, "secret", &h.Secret, hookSecretForm, func(text string) bool {
			_, err := GenericHook{Secret: Secret(text)}.Key()
			return err == nil
		})
	}, needed{"secret", hookSecretForm})
}

// needed is a key without which a hook would believe anybody or nobody.
type needed struct{ key, example string }

// readHook reads one hook into *dst, which stays nil where it is not given.
func readHook[T any](m *strictyaml.Map, name string, dst **T, read func(m *strictyaml.Map, hook *T), keys ...needed) {
	given := m.Has(name)
	var hook T
	m.Map(name, func(m *strictyaml.Map) {
		read(m, &hook)
		for _, k := range keys {
			if given {
				m.Require(k.key, k.example)
			}
		}
	})
	if given {
		*dst = &hook
	}
}

func readSecret(m *strictyaml.Map, name string, dst *Secret, expected string, ok func(text string) bool) {
	m.Secret(name, expected, func(text string) bool {
		*dst = Secret(text)
		return ok(text)
	})
}

func isOneLine(text string) bool { return !strings.ContainsFunc(text, unicode.IsControl) }

// rows adds the settings of the hooks that are taken.
func (h Hooks) rows(add func(key, value string)) {
	if h.SES != nil {
		add("ses.topic_arns", strings.Join(h.SES.TopicArns, ", "))
	}
	if h.Sendgrid != nil {
		add("sendgrid.public_key", h.Sendgrid.PublicKey)
	}
	if h.Mailgun != nil {
		add("mailgun.signing_key", h.Mailgun.SigningKey.String())
	}
	if h.Postmark != nil {
		add("postmark.username", h.Postmark.Username)
		add("postmark.password", h.Postmark.Password.String())
	}
	if h.Generic != nil {
		add("generic.secret", h.Generic.Secret.String())
	}
}
