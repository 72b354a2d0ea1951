package access

import (
	"crypto/rand"
	"math/big"
	"strings"
)

// secretPrefix lets scanners of source code and logs find a token that got there.
const secretPrefix = "pe_"

// secretDigits is how many digits of base 62 hold 32 bytes.
const secretDigits = 43

// NewSecret makes the secret of a token: 256 random bits, as letters and
// digits that a double click selects whole.
func NewSecret() string {
	var random [32]byte
	rand.Read(random[:]) // never fails: it ends the process instead
	digits := new(big.Int).SetBytes(random[:]).Text(62)
	return secretPrefix + strings.Repeat("0", secretDigits-len(digits)) + digits
}
