package account

import (
	"time"

	"broadside/configs"
	"broadside/throttle"
)

// Names of the quotas of an account.
const (
	QuotaHour   = "hour"
	QuotaDay    = "day"
	QuotaWarmup = "warmup" // one calendar day of a warm-up
)

// Quotas returns the quotas of an account at a moment: those of any hour and of any
// 24 hours, and the allowance of the warm-up's day in a zone. held is how many steps of
// the warm-up were not taken.
func Quotas(acct configs.Account, now time.Time, zone *time.Location, held int) []throttle.Quota {
	var quotas []throttle.Quota
	if n := acct.Limits.PerHour; n > 0 {
		quotas = append(quotas, throttle.Quota{Name: QuotaHour, Messages: n, Window: time.Hour})
	}
	if n := acct.Limits.PerDay; n > 0 {
		quotas = append(quotas, throttle.Quota{Name: QuotaDay, Messages: n, Window: 24 * time.Hour})
	}
	if _, allowance, begin, end, on := acct.Warmup.Later(held).Day(now, zone); on {
		quotas = append(quotas, throttle.Quota{Name: QuotaWarmup, Messages: allowance, Begin: begin, End: end})
	}
	return quotas
}
