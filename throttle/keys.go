package throttle

func accountTag(account string) string { return "{acct:" + account + "}" }

func accountKey(prefix, account, what string) string {
	return prefix + ":" + accountTag(account) + ":" + what
}
