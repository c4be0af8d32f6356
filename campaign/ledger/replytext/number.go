package replytext

import (
	"encoding/binary"
	"math/bits"
)

// maxPacked is how many bytes a packed number has at most.
const maxPacked = 32

// A number is a whole number of up to 256 bits whose digits have each a radix of
// their own. The digit that was pushed last is popped first.
type number [maxPacked / 8]uint64

// push appends a digit, which is less than radix.
func (n *number) push(digit, radix uint64) {
	carry := digit
	for i := range n {
		high, low := bits.Mul64(n[i], radix)
		sum, over := bits.Add64(low, carry, 0)
		n[i] = sum
		carry = high + over
	}
}

// pop takes off the last digit.
func (n *number) pop(radix uint64) uint64 {
	var digit uint64
	for i := len(n) - 1; i >= 0; i-- {
		n[i], digit = bits.Div64(digit, n[i], radix)
	}
	return digit
}

// bytes returns the number, the lowest byte first, without zeros at its end.
func (n *number) bytes() []byte {
	b := make([]byte, 0, maxPacked)
	for _, limb := range n {
		b = binary.LittleEndian.AppendUint64(b, limb)
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	return b
}

// parseNumber is the inverse of bytes.
func parseNumber(packed []byte) (n number, ok bool) {
	if len(packed) > maxPacked {
		return n, false
	}
	var b [maxPacked]byte
	copy(b[:], packed)
	for i := range n {
		n[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	return n, true
}
