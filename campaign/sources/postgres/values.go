package postgres

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// The types whose texts are changed, by their numbers in pg_type.
const (
	oidBool        = 16
	oidBpchar      = 1042 // character(n)
	oidTimestamp   = 1114
	oidTimestampTZ = 1184
)

// textOf returns how the values of a type become texts: truth is true or false, moments
// are as in ISO 8601, and everything else is as PostgreSQL writes it.
func textOf(oid uint32) func([]byte) string {
	switch oid {
	case oidBool:
		return truth
	case oidBpchar:
		return func(b []byte) string { return string(bytes.TrimRight(b, " ")) } // it is padded
	case oidTimestamp, oidTimestampTZ:
		return moment
	}
	return func(b []byte) string { return string(b) }
}

func truth(b []byte) string {
	if string(b) == "t" {
		return "true"
	}
	return "false"
}

// moment turns 2026-10-01 07:00:00+00 into 2026-10-01T07:00:00Z.
func moment(b []byte) string {
	text := strings.Replace(string(b), " ", "T", 1)
	if before, isUTC := strings.CutSuffix(text, "+00"); isUTC {
		return before + "Z"
	}
	return text
}

// check refuses values that are no text, which a database with the encoding SQL_ASCII may
// have.
func (r *rows) check() error {
	for i, v := range r.values {
		if !utf8.ValidString(v) {
			return r.fault("row %d: the column %s is not UTF-8: the encoding of the database is SQL_ASCII; convert it in the query with convert_from", r.number, r.headers[i])
		}
	}
	return nil
}
