package natstap

import (
	"bufio"
	"bytes"
	"testing"
)

// FuzzFrame: whatever comes is handed on as it came, or not at all.
func FuzzFrame(f *testing.F) {
	for _, seed := range []string{
		"INFO {}\r\n", "PUB a 2\r\nhi\r\n", "HPUB a b 12 14\r\nNATS/1.0\r\n\r\nhi\r\n", "MSG a 1 0\r\n\r\n",
		"HMSG a 1 b 22 22\r\nNATS/1.0\r\nKey: v\r\n\r\n\r\n", "PUB a -1\r\n", "HPUB a 9 1\r\n", "MSG a 99999999999\r\n", "\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bufio.NewReader(bytes.NewReader(data))
		for at := 0; ; {
			got, err := readFrame(r)
			if err != nil {
				return
			}
			if !bytes.HasPrefix(data[at:], got.raw) {
				t.Fatalf("%q is not what came: %q", got.raw, data[at:])
			}
			at += len(got.raw)
		}
	})
}
