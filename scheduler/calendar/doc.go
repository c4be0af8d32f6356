// Package calendar answers when: it reads the times and cron texts of campaign
// files and computes the moments they mean. It is pure; the clock is a parameter.
// The promise it keeps: every scheduler computes the same occurrences, and each
// local time that a person wrote down happens exactly once on each of its days,
// whatever the zone does.
//
// # A single time
//
// ParseAt takes 2026-10-01T09:00 with or without seconds, with a space for the T,
// and with or without an offset (Z, +02:00). Without one it is local time in the
// campaign's zone:
//
//   - a local time that does not exist (clocks go forward over it) is moved to the
//     first moment that does: 02:30 in Berlin on 29 March 2026 is 03:00 summer time;
//   - a local time that comes twice (clocks go back over it) is the first of the two.
//
// # Each recipient's own time
//
// A time of all clocks on earth (schedule.timezone: recipient) begins where it comes first,
// at UTC+14, which is the moment of the occurrence, and has come everywhere 26 hours later.
// In each zone it comes once, by the rules for a single time. A cron of such times runs by
// the clock of the first zone: each of its local times is one occurrence, and those of a
// daily cron overlap.
//
// # Cron
//
// ParseCron takes the five fields minute, hour, day of month, month and day of
// week, or @hourly, @daily, @weekly, @monthly, @yearly, or @every 90m. In a field
// stand *, numbers, names (JAN, MON; 0 and 7 are Sunday), ranges, lists and steps
// (*/15, 8-18/2, 5/10 for 5-59/10). When both day fields are restricted, one of
// them must match, as in every cron; a field that begins with * is not restricted.
//
//   - A local time in a gap happens once, at the first moment after it; when several
//     times of one cron fall in the gap, they are one occurrence.
//   - A local time that comes twice happens once, the first time. A cron for every
//     minute or every hour is therefore silent while an hour repeats itself: the
//     occurrences are local times, not intervals. For intervals there is @every.
//   - A day that a zone left out (Pacific/Apia had no 30 December 2011) is a long gap:
//     what was due on it happens once, when the next day begins.
//   - @every counts from 1970-01-01T00:00:00Z, not from when it was first seen, so
//     that two schedulers, or one after a restart, agree.
//   - A cron whose day never comes (30 February) is an error.
package calendar
