// Package slug makes short random names.
package slug

import "crypto/rand"

const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"

// Random returns n letters that are easy to read aloud.
func Random(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw)
	for i := range raw {
		raw[i] = alphabet[int(raw[i])%len(alphabet)]
	}
	return string(raw)
}
