package single

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// Limits of the data of one message.
const (
	MaxData  = 256 << 10 // bytes of JSON
	maxField = 64 << 10  // bytes of one value
)

// ParseData reads the merge fields of a message: a JSON object whose values are texts,
// numbers, true, false or null. A null is blank. The error is Problems.
func ParseData(text []byte) (map[string]string, error) {
	if len(text) > MaxData {
		return nil, Problems{{"data", fmt.Sprintf("found %d bytes, expected at most %d", len(text), MaxData)}}
	}
	if !utf8.Valid(text) {
		return nil, Problems{{"data", "found bytes that are not UTF-8"}}
	}

	in := json.NewDecoder(bytes.NewReader(text))
	in.UseNumber()
	first, err := in.Token()
	if errors.Is(err, io.EOF) {
		return nil, Problems{{"data", `found nothing, expected a JSON object such as {"name": "Ada"}`}}
	}
	if err != nil || first != json.Delim('{') {
		return nil, Problems{{"data", `expected a JSON object such as {"name": "Ada"}` + because(err)}}
	}

	data := map[string]string{}
	var problems Problems
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, Problems{{"data", "the JSON is broken" + because(err)}}
		}
		field, _ := name.(string) // what else the decoder refuses
		var raw json.RawMessage
		if err := in.Decode(&raw); err != nil {
			return nil, Problems{{"data", "the JSON is broken" + because(err)}}
		}
		value, problem := scalar(raw)
		if _, twice := data[field]; twice {
			problem = "found twice, expected once"
		}
		if problem != "" {
			problems = append(problems, Problem{"data." + field, problem})
		}
		data[field] = value
	}
	if _, err := in.Token(); err != nil {
		return nil, Problems{{"data", "the JSON is broken" + because(err)}}
	}
	if _, err := in.Token(); !errors.Is(err, io.EOF) {
		return nil, Problems{{"data", "found more behind the JSON object, expected its end"}}
	}
	return data, problems.err()
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return " (" + err.Error() + ")"
}

// scalar returns the text of one value, or what is wrong with it.
func scalar(raw json.RawMessage) (value, problem string) {
	switch raw[0] {
	case '{':
		return "", "found an object, expected a text, a number, true, false or null"
	case '[':
		return "", "found a list, expected a text, a number, true, false or null"
	case 'n':
		return "", ""
	case '"':
		if err := json.Unmarshal(raw, &value); err != nil {
			return "", err.Error()
		}
	default:
		value = string(raw)
	}
	if len(value) > maxField {
		return "", fmt.Sprintf("found %d bytes, expected at most %d", len(value), maxField)
	}
	return value, ""
}
