package hooks

import "broadside/campaign"

// ReadSES reads what SES says, without a signature.
func ReadSES(message string) ([]campaign.Notice, error) {
	notices, err := sesNotices(snsMessage{Message: message})
	complete(notices, "ses")
	return notices, err
}

// MaxStores is how many times at once what requests say is stored.
const MaxStores = maxStores

// MaxAlone is how many requests at once store what they say by themselves, after a failure.
const MaxAlone = maxAlone
