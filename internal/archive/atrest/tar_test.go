package atrest

import (
	"archive/tar"
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// input is an entry of a guest's tar.
type input struct {
	tar.Header
	content []byte
}

func file(name string, content []byte) input {
	return input{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o640, Size: int64(len(content)), ModTime: time.Unix(1_700_000_000, 0)}, content}
}

func link(kind byte, name, target string) input {
	return input{tar.Header{Typeflag: kind, Name: name, Linkname: target, Mode: 0o777}, nil}
}

func other(kind byte, name string) input {
	return input{tar.Header{Typeflag: kind, Name: name, Mode: 0o755}, nil}
}

func makeTar(t testing.TB, inputs ...input) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, in := range inputs {
		if err := w.WriteHeader(&in.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(in.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// noise does not compress; the same each time.
func noise(n int) []byte {
	b := make([]byte, n)
	rand.NewChaCha8([32]byte{7}).Read(b)
	return b
}

// prose compresses, but is not trivial.
func prose(n int) []byte {
	words := []string{"int ", "main", "(void)", "{\n", "return ", "0;", "}\n", "static ", "const ", "char *", "x = ", "y + ", "z;\n", "/* why */ "}
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
	}
	return b.Bytes()[:n]
}

// readTar gives the entries of a plain tar.
func readTar(t testing.TB, r io.Reader) []input {
	t.Helper()
	var all []input
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, input{*h, b})
	}
}
